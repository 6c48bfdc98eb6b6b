package detect

import (
	"os"
	"strings"
	"testing"
)

// TestMessages runs the corpus of testdata/messages.txt, which says how to read
// it. Every line is exact: what is found, and nothing else.
func TestMessages(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := newDetector(t)
	unescape := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\u00a0`, "\u00a0")
	var hint Hint
	lines := 0
	for n, line := range strings.Split(string(src), "\n") {
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '@':
			hint.Key = line[1:]
			continue
		}
		lines++
		c := textCase{want: unescape.Replace(line)}
		in := c.input()
		if got := marked(in, d.Text(nil, []byte(in), hint)); got != c.want {
			t.Errorf("line %d: got  %q\n         want %q", n+1, got, c.want)
		}
	}
	if lines < 150 {
		t.Errorf("only %d messages", lines)
	}
}

// FuzzDetect: no panic, findings in order and in range, and a window gives what
// the text gives.
func FuzzDetect(f *testing.F) {
	src, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(src), "\n") {
		f.Add([]byte(line), "value")
	}
	for _, line := range spokenLines(f) {
		f.Add([]byte(line), "")
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		at := 0
		for _, x := range d.Text(nil, text, Hint{Key: key}) {
			if x.Start < at || x.End <= x.Start || x.End > len(text) || x.Class == "" || x.Rule == "" || x.Confidence <= 0 || x.Confidence > 1 {
				t.Fatalf("finding %+v behind %d of %d", x, at, len(text))
			}
			at = x.End
		}
		sameAtAGlance(t, d, text, key)
		sameAtAGlance(t, d, text, "value")
		whole := d.Text(nil, text, Hint{})
		var c Carry
		parts, settled := d.Window(nil, text, 0, false, &c)
		parts, settled = d.Window(parts, text, settled, true, &c)
		if settled != len(text) || len(parts) != len(whole) {
			t.Fatalf("%d findings in windows, %d in the text", len(parts), len(whole))
		}
		for i := range parts {
			if parts[i] != whole[i] {
				t.Fatalf("finding %d: %+v in windows, %+v in the text", i, parts[i], whole[i])
			}
		}
	})
}
