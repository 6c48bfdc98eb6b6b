package detect

import (
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// both returns a detector that uses the probe, where the processor has one, and one
// that does not.
func both(tb testing.TB) map[string]*Detector {
	tb.Helper()
	portable := newDetector(tb)
	portable.wake.quick = false
	return map[string]*Detector{"probe": newDetector(tb), "portable": portable}
}

// beginnings returns the offsets of text at which something may begin: those of digits
// and signs, and all.
func beginnings(d *Detector, text []byte) (signs, all []int) {
	for at := 0; at < len(text); {
		var blocks [maxBlocks]block
		to, some := d.wake.look(text, at, blocks[:])
		for k, b := range blocks {
			if (b.digits|b.others != 0) != (some>>k&1 != 0) {
				panic("a block has bits, and none is noted, or the other way")
			}
			for m := b.digits | b.others; m != 0; m &= m - 1 {
				i := at + k*blockSize + bits.TrailingZeros64(m)
				all = append(all, i)
				if i >= to || isDigit(text[i]) != (b.digits&(m&-m) != 0) {
					panic("a digit is none, or the other way, or it is not there")
				}
				if isDigit(text[i]) || spotKinds[text[i]] != 0 {
					signs = append(signs, i)
				}
			}
		}
		at = to
	}
	return signs, all
}

// Both ways stop at every digit and sign of any bytes, and at nothing behind the end.
func TestSignsAreSeen(t *testing.T) {
	t.Parallel()
	for name, d := range both(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 4))
			for range 3000 {
				text := make([]byte, r.IntN(400))
				for i := range text {
					if text[i] = 'h'; r.IntN(4) == 0 {
						text[i] = byte(r.IntN(256))
					}
				}
				room := append(slices.Clone(text), "7@_\u00e97password"...)[:len(text)] // what stands behind is not there
				var want []int
				for i, b := range text {
					if isDigit(b) || spotKinds[b] != 0 {
						want = append(want, i)
					}
				}
				got, all := beginnings(d, room)
				if !slices.Equal(got, want) {
					t.Fatalf("%d signs seen in %d bytes, want %d", len(got), len(text), len(want))
				}
				var s signs
				i := 0
				for _, at := range all {
					if i = s.next(&d.wake, room, i); i != at {
						t.Fatalf("next is %d, want %d of %d", i, at, len(text))
					}
					i++
				}
				if first := d.next(room, 0); len(all) > 0 && first != all[0] || len(all) == 0 && first != len(text) {
					t.Fatalf("the first place is %d of %d", first, len(text))
				}
			}
		})
	}
}

// Every word that is waited for, and base64 of digits, is found at every offset.
func TestWakesAreSeen(t *testing.T) {
	t.Parallel()
	const digits64 = "NDExMTExMTExMTExMTExMQ=="
	const filler = "Hello there, how about the green one? "
	for name, d := range both(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			triggers := []string{digits64}
			for _, f := range d.families {
				for _, w := range f.wake {
					triggers = append(triggers, w, strings.ToUpper(w))
				}
			}
			for _, trigger := range triggers {
				for lead := range 70 {
					for _, behind := range []int{0, 1, 40} {
						text := []byte(strings.Repeat(filler, 3)[:lead] + trigger + strings.Repeat(filler, 3)[:behind])
						_, all := beginnings(d, text)
						seen := slices.ContainsFunc(all, func(i int) bool {
							woken, begin := d.wake.at(text, i)
							return woken != 0 && begin == lead || trigger == digits64 && i >= lead && i < lead+len(trigger)
						})
						if !seen {
							t.Errorf("trigger %q at %d with %d bytes behind is not seen", trigger, lead, behind)
						}
					}
				}
			}
		})
	}
}

// Letters of base64 of digits are seen wherever the look at the text begins: those
// that have another four bytes before them.
func TestLettersAreSeenFromAnywhere(t *testing.T) {
	t.Parallel()
	for name, d := range both(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(2, 4))
			for range 300 {
				text := make([]byte, 1+r.IntN(1500))
				for i := range text {
					text[i] = "LMNOLNKP. x\xCC\xCF"[r.IntN(13)]
				}
				from := r.IntN(len(text))
				var blocks [maxBlocks]block
				to, _ := d.wake.look(text, from, blocks[:])
				for i := from; i < to; i++ {
					at := uint(i - from)
					got := blocks[at/blockSize].others>>(at%blockSize)&1 != 0
					pair := i >= letterPair && text[i]&^3 == 'L' && text[i-letterPair]&^3 == 'L'
					if want := pair || text[i] >= 0x80; got != want && (want || hasProbe && name == "probe") {
						t.Fatalf("byte %d of %d, looked at from %d: seen %v, want %v", i, len(text), from, got, want)
					}
				}
			}
		})
	}
}

// samples are the lines of this package's own messages.
func samples(tb testing.TB) (lines []string) {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no messages", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, strings.Split(string(src), "\n")...)
	}
	return lines
}

// What is found does not depend on the processor.
func TestFindingsWithoutProbe(t *testing.T) {
	t.Parallel()
	ways := both(t)
	texts := samples(t)
	for name, piece := range hostile(t, "text") {
		texts = append(texts, name+strings.Repeat(piece, 40))
	}
	r := rand.New(rand.NewPCG(7, 7))
	found := 0
	for range 8000 {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(texts[r.IntN(len(texts))] + " "[:r.IntN(2)])
		}
		text := []byte(b.String())
		probed := ways["probe"].Text(nil, text, Hint{})
		if !slices.Equal(probed, ways["portable"].Text(nil, text, Hint{})) {
			t.Fatalf("a text of %d bytes has other findings without the probe", len(text))
		}
		found += len(probed)
	}
	if found < 1000 {
		t.Errorf("%d findings: the texts of this test have too few", found)
	}
}

// FuzzProbe: both ways see the same digits and signs, and find the same.
func FuzzProbe(f *testing.F) {
	for _, line := range samples(f) {
		f.Add([]byte(line))
	}
	for _, piece := range hostile(f, "text") {
		f.Add([]byte(strings.Repeat(piece, 20)))
	}
	ways := both(f)
	var found [2][]redact.Finding
	f.Fuzz(func(t *testing.T, text []byte) {
		a, _ := beginnings(ways["probe"], text)
		b, _ := beginnings(ways["portable"], text)
		if !slices.Equal(a, b) {
			t.Fatalf("%d signs with the probe, %d without", len(a), len(b))
		}
		found[0] = ways["probe"].Text(found[0][:0], text, Hint{})
		found[1] = ways["portable"].Text(found[1][:0], text, Hint{})
		if !slices.Equal(found[0], found[1]) {
			t.Fatalf("%d findings with the probe, %d without", len(found[0]), len(found[1]))
		}
	})
}

// A word that is waited for may be the last of a text.
func TestWakeAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, d := range both(t) {
		for _, f := range d.families {
			for _, w := range f.wake {
				for cut := range 4 {
					text := []byte("it was 4 o'clock, and " + strings.Repeat("not a word of it ", 3) + w[:len(w)-cut])
					if found := d.Text(nil, text, Hint{}); len(found) != 0 {
						t.Errorf("%s: %d findings in a text that ends with %q", name, len(found), w)
					}
				}
			}
		}
	}
}
