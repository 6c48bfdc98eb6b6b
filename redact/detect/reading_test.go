package detect

import "testing"

// TestEncodedNumbers are numbers in hexadecimal text and in short base64, beside what
// looks like them.
func TestEncodedNumbers(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"hexadecimal", Hint{}, "blob C<34313131313131313131313131313131>."},
		{"hexadecimal, groups", Hint{}, "0xC<34313131203131313120313131312031313131>"},
		{"hexadecimal, capitals", Hint{}, "C<343131312D313131312D313131312D31313131>"},
		{"hexadecimal, words around", Hint{}, "6D7920636172642069732028C<34313131313131313131313131313131>29"},
		{"hexadecimal, a social security number", Hint{}, "S<3533362d32322d38313435>"},
		{"hexadecimal, named", Hint{Key: "ssn"}, "S<353336323238313436>"},
		{"hexadecimal, nine digits without a name", Hint{}, "353336323238313436"},
		{"hexadecimal, check digit wrong", Hint{}, "34313131313131313131313131313132"},
		{"hexadecimal, half a pair in front", Hint{}, "134313131313131313131313131313131"},
		{"hexadecimal, in a word", Hint{}, "zz34313131313131313131313131313131"},
		{"a digest", Hint{}, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		{"short base64, named", Hint{}, "ssn S<NTM2MjI4MTQ1>, card C<MzA1NjkzMDkwMjU5MDQ=>"},
		{"short base64, key", Hint{Key: "ssn"}, "S<NTM2MjI4MTQ1>"},
		{"short base64, as printed", Hint{}, "S<NTM2LTIyLTgxNDU=>"},
		{"short base64, without a name", Hint{}, "NTM2MjI4MTQ1"},
		{"short base64, words", Hint{}, "ssn TWVldCBtZSBhdCA1"},
		{"a token", Hint{}, "ssn NTMxZjI4MTQ1"},
	})
}
