package view

import "testing"

// TestLookalikes are texts and how they read.
func TestLookalikes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"4O12-8888":      "4012-8888",
		"4lll llll 1":    "4111 1111 1", // a group without a digit
		"no Z8, SOS 5S5": "no 28, SOS 555",
		"4012 solo sOIl": "4012 5010 5011",
		"412 llll":       "412 llll", // no group in front
		"4012 lll":       "4012 lll", // a word
		"4012 llllo":     "4012 llllo",
		"4012 llly 4O12": "4012 llly 4012",
		"4О12 ο5":        "4012 05",
		"a1 0x1O ffO1":   "a1 0x1O ffO1",
		"a%204O12":       "a 4012",
		"a%3D4O12":       "a=4012",
		"a%414O12":       "a%414012", // no sign
		"12":             "12",
		"":               "",
	} {
		var r Reader
		v := r.Lookalikes([]byte(in), 0, len(in))
		if got := string(v.Text()); got != want || v.Changed() != (in != want) {
			t.Errorf("%q: got %q (%v), want %q", in, got, v.Changed(), want)
		}
		if n := v.Len(); n > 0 {
			if from, to := v.Raw(0, n); from != 0 || to != len(in) {
				t.Errorf("%q: the view is of %d to %d", in, from, to)
			}
		}
	}
}
