package detect

import (
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func spokenLines(t testing.TB) []string {
	t.Helper()
	src, err := os.ReadFile("testdata/spoken.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.SplitSeq(string(src), "\n") {
		if line != "" && line[0] != '#' {
			lines = append(lines, strings.ReplaceAll(line, `\n`, "\n"))
		}
	}
	return lines
}

// TestSpoken runs testdata/spoken.txt. Every line is exact, and stands at each
// place relative to what the trigger looks at.
func TestSpoken(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for n, line := range spokenLines(t) {
		for shift := range 16 {
			c := textCase{want: strings.Repeat(" ", shift) + line}
			in := c.input()
			found := d.Text(nil, []byte(in), Hint{})
			if got := marked(in, found); got != c.want {
				t.Errorf("message %d at %d: got  %q\n         want %q", n+1, shift, got, c.want)
				break
			}
			for _, f := range found {
				if f.Evidence&redact.EvidenceSpoken == 0 {
					t.Errorf("message %d: %s by rule %q does not say that it is spoken", n+1, f.Class, f.Rule)
				}
			}
		}
	}
}

// TestSpokenInWindows: a stream of talk gives what the whole gives, cut anywhere.
func TestSpokenInWindows(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	var b strings.Builder
	for range 6 {
		for _, line := range spokenLines(t) {
			c := textCase{want: line}
			b.WriteString(c.input())
			b.WriteString(" And then nothing was said for a while.\n")
		}
	}
	text := []byte(b.String())
	whole := d.Text(nil, text, Hint{})
	if len(whole) < 100 {
		t.Fatalf("only %d found", len(whole))
	}
	for _, size := range []int{1, 17, 900, 5000} {
		var (
			carry   Carry
			parts   []redact.Finding
			buf     []byte
			base    int
			settled int
		)
		for at := 0; at < len(text); {
			end := min(len(text), at+size)
			buf = append(buf, text[at:end]...)
			at = end
			if size == 1 && at%61 != 0 && at < len(text) {
				continue // a byte at a time would take minutes
			}
			n := len(parts)
			parts, settled = d.Window(parts, buf, settled, at == len(text), &carry)
			for i := n; i < len(parts); i++ {
				parts[i].Start += base
				parts[i].End += base
			}
			if cut := settled - LookBehind; cut > 0 {
				buf = append([]byte(nil), buf[cut:]...)
				base += cut
				settled -= cut
			}
		}
		if len(parts) != len(whole) {
			t.Errorf("in pieces of %d: %d found, %d in the whole", size, len(parts), len(whole))
			continue
		}
		for i := range parts {
			if parts[i] != whole[i] {
				t.Errorf("in pieces of %d: finding %d differs: %+v, %+v", size, i, parts[i], whole[i])
				break
			}
		}
	}
}
