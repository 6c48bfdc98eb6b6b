package detect

import (
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// markedCases reads a file of messages in which what is to be found stands in
// brackets with its class, ⟦email|jo@example.com⟧. Lines that begin with # are
// comments; "@key" sets the key for the lines behind it, "@" alone takes it away;
// \n is a line break.
func markedCases(tb testing.TB, file string, each func(line int, key, want string)) {
	tb.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	key := ""
	for n, line := range strings.Split(string(src), "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '@' && !strings.Contains(line, " "):
			key = line[1:]
		default:
			each(n+1, key, strings.ReplaceAll(line, `\n`, "\n"))
		}
	}
}

// unmark takes the brackets out.
func unmark(marked string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(marked, "⟦")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		inside, after, _ := strings.Cut(rest, "⟧")
		_, value, _ := strings.Cut(inside, "|")
		b.WriteString(value)
		marked = after
	}
}

// mark puts brackets around findings of the classes in only.
func mark(text string, found []redact.Finding, only map[redact.Class]bool) string {
	var b strings.Builder
	at := 0
	for _, f := range found {
		if !only[f.Class] {
			continue
		}
		b.WriteString(text[at:f.Start] + "⟦" + string(f.Class) + "|" + text[f.Start:f.End] + "⟧")
		at = f.End
	}
	return b.String() + text[at:]
}

// testMarked runs every line of file for the given classes.
func testMarked(t *testing.T, d *Detector, file string, atLeast int, classes ...redact.Class) {
	t.Helper()
	only := map[redact.Class]bool{}
	for _, c := range classes {
		only[c] = true
	}
	lines := 0
	markedCases(t, file, func(n int, key, want string) {
		lines++
		text := unmark(want)
		if got := mark(text, d.Text(nil, []byte(text), Hint{Key: key}), only); got != want {
			t.Errorf("%s:%d: got  %q\n  want %q", file, n, got, want)
		}
	})
	if lines < atLeast {
		t.Errorf("%s: only %d lines", file, lines)
	}
}

// Separators that are read as they stand need nothing undone, whatever their script: that
// is what markAfter takes for granted.
func TestSeparatorsNeedNoView(t *testing.T) {
	t.Parallel()
	seen := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		text := utf8.AppendRune(nil, r)
		if g, _ := separator(text, 0); g == none || g&gapMark != 0 {
			continue
		}
		seen++
		if _, _, kind := unitAt(text, 0); kind != 0 {
			t.Errorf("%U is undone as %d", r, kind)
		}
	}
	if seen < 20 {
		t.Errorf("%d separators", seen)
	}
}
