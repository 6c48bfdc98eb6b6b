package vault

// shownDigits is how much of a value a mask leaves.
const shownDigits = 4

// fewestMasked is how long a value must be for anything of it to be left: of eight
// characters, four would be half.
const fewestMasked = 9

// Masked is the value with everything but its last four letters and digits replaced by
// X; punctuation stays. A short value, and an e-mail address, is replaced whole.
func (v Value) Masked() string {
	out := make([]byte, 0, len(v.Text))
	marks, address := 0, false
	for _, b := range v.Text {
		if isWord(b) || b >= 0x80 {
			marks++
		}
		address = address || b == '@'
	}
	show := shownDigits
	if marks < fewestMasked || address {
		show = 0
	}
	for _, b := range v.Text {
		word := isWord(b) || b >= 0x80
		switch {
		case word && marks <= show && b < 0x80:
			marks--
			out = append(out, b)
		case word:
			marks--
			out = append(out, 'X')
		default:
			out = append(out, b)
		}
	}
	return string(out)
}
