package detect

import (
	"strings"
	"testing"
)

// Every trigger is found at every offset, by the quick look at 32 bytes and by the
// other one, and both stop at the same signs.
func TestNextFindsEveryTrigger(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	triggers := []string{"7", "@", "_", "\u00e9", "NDExMTExMTExMTExMTExMQ=="}
	for _, f := range d.families {
		for _, w := range f.wake {
			triggers = append(triggers, w, strings.ToUpper(w))
		}
	}
	const filler = "Hello there, how about the green one? "
	for _, trigger := range triggers {
		for lead := range 70 {
			for _, behind := range []int{0, 1, 40} {
				text := []byte(strings.Repeat(filler, 3)[:lead] + trigger + strings.Repeat(filler, 3)[:behind])
				found := false
				for i := d.next(text, 0); i < len(text) && !found; i = d.next(text, i+1) {
					_, begin := d.wake.at(text, i)
					found = begin == lead || i == lead || i >= lead && i < lead+len(trigger) && text[i]&^3 == 'L'
				}
				if !found {
					t.Errorf("trigger %q at %d with %d bytes behind is not seen", trigger, lead, behind)
				}
			}
		}
	}
}

// The quick look and the other one see the same digits and signs.
func TestProbeSeesWhatSignsSee(t *testing.T) {
	t.Parallel()
	if !hasProbe {
		t.Skip("this processor has no probe")
	}
	d := newDetector(t)
	for b := range 256 {
		text := []byte(strings.Repeat("h", 64))
		for _, at := range []int{0, 1, 31, 32, 50, 61} {
			text[at] = byte(b)
			n := probe(&text[0], len(text), d.wake.probes)
			if want := isDigit(byte(b)) || spotKinds[byte(b)] != 0; want != (n == at) && !(at > 61 && n == ^62) {
				t.Errorf("byte %02x at %d: %d, want a hit: %v", b, at, n, want)
			}
			text[at] = 'h'
		}
	}
}
