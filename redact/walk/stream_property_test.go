package walk

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caregate/caregate/redact/detect"
)

// quarrels makes texts in which much overlaps: pieces of texts made to be slow, the
// labelled messages and their values, plain, repeated and in encodings, random
// letters, and hardly anything between them.
type quarrels struct {
	pieces, messages, values []string
	care                     *rapid.Generator[string]
}

func newQuarrels(t testing.TB) quarrels {
	t.Helper()
	q := quarrels{care: care()}
	src, err := os.ReadFile("../testdata/hostile.json")
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string]map[string]string
	if err := json.Unmarshal(src, &kinds); err != nil {
		t.Fatal(err)
	}
	for _, pieces := range kinds {
		q.pieces = slices.AppendSeq(q.pieces, maps.Values(pieces))
	}
	slices.Sort(q.pieces)
	files, err := filepath.Glob("../testdata/corpus/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no labelled messages", err)
	}
	label := regexp.MustCompile(`⟦[^|⟧]*\|([^⟧]*)⟧`)
	for _, file := range files {
		if src, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(src)) {
			var row struct{ Text string }
			if json.Unmarshal([]byte(line), &row) != nil || row.Text == "" {
				continue // a row of several messages
			}
			q.messages = append(q.messages, label.ReplaceAllString(row.Text, "$1"))
			for _, m := range label.FindAllStringSubmatch(row.Text, -1) {
				q.values = append(q.values, m[1])
			}
		}
	}
	if len(q.pieces) == 0 || len(q.values) == 0 {
		t.Fatal("nothing to make texts of")
	}
	return q
}

func oneOf(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// text is a text of some hundred to about 6,000 bytes.
func (q *quarrels) text(r *rand.Rand) string {
	between := []string{
		"", "", "", " ", " ", " ", "\n", "-", "_", ".", ",", ", ", "/", "|", ":", "=", "\u200b", "\u00a0", "<b>", "</b>", "&", "%20", `\`, `"`, "@", "x", "#", "+", ";",
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/.=0123456789"
	var b strings.Builder
	for n := 4 + r.IntN(120); n > 0 && b.Len() < 6000; n-- {
		switch r.IntN(9) {
		case 0, 1:
			b.WriteString(oneOf(r, q.pieces))
		case 2, 3:
			b.WriteString(oneOf(r, q.values))
		case 4:
			b.WriteString(oneOf(r, q.messages))
		case 5:
			b.WriteString(encoded(r, oneOf(r, q.values)))
		case 6:
			p := oneOf(r, q.pieces)
			b.WriteString(strings.Repeat(p, 1+r.IntN(1+300/len(p))))
		case 7:
			b.WriteString(q.care.Example(r.IntN(1 << 20)))
		case 8:
			for range r.IntN(200) {
				b.WriteByte(letters[r.IntN(len(letters))])
			}
		}
		b.WriteString(oneOf(r, between))
	}
	return b.String()
}

// encoded writes a value in a way for which the text has to be read another way.
func encoded(r *rand.Rand, value string) string {
	var b strings.Builder
	switch r.IntN(5) {
	case 0:
		return base64.StdEncoding.EncodeToString([]byte(value))
	case 1:
		return base64.URLEncoding.EncodeToString([]byte("card " + value))
	case 2:
		return hex.EncodeToString([]byte(value))
	case 3:
		for _, c := range value {
			fmt.Fprintf(&b, "&#%d;", c)
		}
	case 4:
		for _, c := range value {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

// torn is a text and how it arrives: cut at places, taken when more than late bytes
// are settled.
type torn struct {
	text string
	late int
	cuts []int
}

func (q *quarrels) torn(seed int) torn {
	r := rand.New(rand.NewPCG(uint64(seed), 77))
	c := torn{text: q.text(r)}
	top := []int{3, 40, 700, 3000}[r.IntN(4)]
	if len(c.text)/top > 200 {
		top = 700
	}
	for at := 1 + r.IntN(top); at < len(c.text); at += 1 + r.IntN(top) {
		c.cuts = append(c.cuts, at)
	}
	c.late = r.IntN(2) * r.IntN(2000)
	return c
}

// differs reports whether the stream gives other findings, or another output, than the
// whole.
func (c *torn) differs(t testing.TB, d *detect.Detector) bool {
	t.Helper()
	doc, err := Parse(Text, []byte(c.text), d, nil, Limits{})
	if err != nil {
		return false // cut inside a character while it was made small
	}
	got, found, err := streamed(t, d, Text, c.text, c.late, c.cuts...)
	return err != nil || got != string(doc.Rewrite(byDefault)) || !same(found, doc.Findings)
}

// without is c without c.text[from:to].
func (c *torn) without(from, to int) torn {
	less := torn{c.text[:from] + c.text[to:], c.late, nil}
	for _, cut := range c.cuts {
		if cut > to {
			cut -= to - from
		} else if cut > from {
			cut = from
		}
		less.cuts = append(less.cuts, cut)
	}
	return less
}

// small takes out of c what is not needed for it to differ, for as long as a few
// thousand tries go.
func (c *torn) small(t testing.TB, d *detect.Detector) torn {
	t.Helper()
	tries, now := 6000, *c
	keep := func(less torn) bool {
		if tries--; tries < 0 || !less.differs(t, d) {
			return false
		}
		now = less
		return true
	}
	keep(torn{now.text, 0, nil})
	for i := 0; i < len(now.cuts); {
		if !keep(torn{now.text, now.late, slices.Delete(slices.Clone(now.cuts), i, i+1)}) {
			i++
		}
	}
	for size := len(now.text) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(now.text); {
			if !keep(now.without(at, at+size)) {
				at += size
			}
		}
	}
	return now
}

// A stream gives what the whole gives, whatever stands in it and wherever it is cut.
// With -seeds and -from this is a search for hours; see CONTRIBUTING.
func TestStreamProperties(t *testing.T) {
	t.Parallel()
	d, q := newDetector(t), newQuarrels(t)
	for seed := *from; seed < *from+*seeds/8; seed++ {
		if c := q.torn(seed); c.differs(t, d) {
			c = c.small(t, d)
			t.Errorf("seed %d: the stream differs from the whole, cut at %d, taken from %d bytes on:\n%q", seed, c.cuts, c.late, c.text)
		}
	}
}
