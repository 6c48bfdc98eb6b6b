package spoken

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// all are texts that hold something, for tests that cut and fuzz.
var all = []string{
	"my card is four one one one, uh, one one one one, one one one one and then one one one one",
	"4 one 1 1 1111 one one one one 1111, expires twelve twenty six, code one two three",
	"Customer: quatre-vingt-dix-sept soixante et onze\nAgent: oui?\nCustomer: cinquante-cinq double cinq triple zéro",
	"einundvierzig elf elf elf elf elf elf elf und dann fünfundfünfzig zwo null",
	"four thousand one hundred and eleven, sorry, the last four, no, forty hundred to to for ate",
	"cuarenta y dos mil ciento once treinta y uno veintitrés",
	"[00:01:12] Speaker 1: triple one $12 5% 1st 12/26 10:30 twenty\u00a0two \u2014 ONE-TWO",
}

// TestScanInWindows: numbers begin where they begin, however the text is cut.
func TestScanInWindows(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	text := strings.Repeat(strings.Join(all, ". Then we talked about the weather, which was fine for one or two days. "), 12)
	whole := cardJudge{named: true}
	r.Scan([]byte(text), 0, len(text), 0, &whole)
	if len(whole.found) < 24 {
		t.Fatalf("only %d found", len(whole.found))
	}
	for _, step := range []int{7, 64, 1000} {
		parts := cardJudge{named: true}
		var base, from int
		for from < len(text) {
			cut := max(0, from-Lead)
			end := min(len(text), from+step+Reach+2*before)
			to := min(len(text), from+step)
			if end == len(text) {
				to = end
			}
			base = len(parts.spans)
			r.Scan([]byte(text[cut:end]), from-cut, to-cut, cut, &parts)
			next := to
			for i := base; i < len(parts.spans); i++ {
				parts.spans[i][0] += cut
				parts.spans[i][1] += cut
				next = max(next, parts.spans[i][1])
			}
			from = next
		}
		if !slices.Equal(parts.spans, whole.spans) {
			t.Errorf("in steps of %d: %d found at other places than the %d of the whole", step, len(parts.spans), len(whole.spans))
		}
	}
}

// FuzzScan: no panic; candidates begin in order, lie in the text, and every digit
// comes from bytes of the candidate.
func FuzzScan(f *testing.F) {
	for _, s := range all {
		f.Add([]byte(s), uint8(3))
	}
	r := newReader(f)
	f.Fuzz(func(t *testing.T, text []byte, phase uint8) {
		j := checkJudge{t: t, text: text}
		r.Scan(text, 0, len(text), int(phase), &j)
	})
}

// checkJudge looks at everything and takes every other candidate.
type checkJudge struct {
	t    *testing.T
	text []byte
	last int
	n    int
}

func (j *checkJudge) Begins(uint32) bool          { return true }
func (j *checkJudge) Fits(uint32, int, bool) bool { return true }
func (j *checkJudge) Named(int) bool              { return true }
func (j *checkJudge) Short(int, int) bool         { return true }
func (j *checkJudge) Take(n *Number) bool {
	if n.Start < j.last || n.End <= n.Start || n.End > len(j.text) || n.End-n.Start > Reach || n.Lead > n.Start || n.Start-n.Lead > Lead ||
		len(n.Digits) != len(n.From) || len(n.Digits) != len(n.To) || len(n.Digits) > maxDigits {
		j.t.Fatalf("candidate %d to %d behind %d, lead %d, %d digits", n.Start, n.End, j.last, n.Lead, len(n.Digits))
	}
	for i := range n.Digits {
		if n.Digits[i]-'0' > 9 || n.From[i] < n.Start || n.To[i] > n.End || n.To[i] <= n.From[i] || i > 0 && n.From[i] < n.From[i-1] {
			j.t.Fatalf("digit %d comes from %d to %d of %d to %d", i, n.From[i], n.To[i], n.Start, n.End)
		}
	}
	j.n++
	j.last = n.Start
	if j.n%2 == 0 {
		j.last = n.End
		return true
	}
	return false
}

func BenchmarkCleanChat(b *testing.B) {
	text, err := os.ReadFile("../../bench/clean-chat.txt")
	if err != nil {
		b.Fatal(err)
	}
	r := newReader(b)
	j := cardJudge{}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.Scan(text, 0, len(text), 0, &j)
	}
	if len(j.found) > 0 {
		b.Fatal("the text is clean")
	}
}

// The inputs are those of the whole engine. The floor is 50 MB/s.
func BenchmarkHostile(b *testing.B) {
	src, err := os.ReadFile("../testdata/hostile.json")
	if err != nil {
		b.Fatal(err)
	}
	var hostile struct{ Spoken map[string]string }
	if err := json.Unmarshal(src, &hostile); err != nil || len(hostile.Spoken) == 0 {
		b.Fatalf("no hostile inputs: %v", err)
	}
	r := newReader(b)
	for name, piece := range hostile.Spoken {
		text := []byte(strings.Repeat(piece, 1<<18/len(piece)))
		b.Run(name, func(b *testing.B) {
			j := luhnJudge{text: string(text)}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				j.found, j.start = j.found[:0], j.start[:0]
				r.Scan(text, 0, len(text), 0, &j)
			}
		})
	}
}
