package spoken

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// readers returns one that looks at samples in blocks, where the processor can, and one
// that looks at them one by one.
func readers(tb testing.TB) (blocks, single *Reader) {
	tb.Helper()
	for _, r := range []**Reader{&blocks, &single} {
		var err error
		if *r, err = New(); err != nil {
			tb.Fatal(err)
		}
	}
	single.quick = false
	return blocks, single
}

// mayStretch never says no where stretch says yes.
func TestMayStretch(t *testing.T) {
	t.Parallel()
	r, _ := readers(t)
	rnd := rand.New(rand.NewPCG(8, 1))
	words := strings.Fields("one two three four five six seven eight nine zero oh o double vierundzwanzig acht dieciséis et un 4 77 4111 the A Wonderful zoo")
	gaps := []string{" ", " ", ", ", "-", "--", " ... ", "          ", "\u00a0", "{", "[", "\n"}
	yes, no := 0, 0
	for range 3000 {
		var b strings.Builder
		for range 12 {
			b.WriteString(words[rnd.IntN(len(words))] + gaps[rnd.IntN(len(gaps))])
		}
		text := []byte(b.String())
		for p := range text {
			switch may, is := r.mayStretch(text, p), r.stretch(text, p); {
			case is && !may:
				t.Fatalf("a stretch lies around %d of %d bytes, and mayStretch says no", p, len(text))
			case is:
				yes++
			case !may:
				no++
			}
		}
	}
	if yes < 10000 || no < 10000 {
		t.Errorf("%d places in stretches and %d that cannot be: the texts of this test have too few", yes, no)
	}
}

// sameSamples fails when the two readers do not stop at the same samples.
func sameSamples(t *testing.T, blocks, single *Reader, text []byte, phase int) (stops int) {
	t.Helper()
	for i := 0; i < len(text); stops++ {
		got, want := blocks.Next(text, i, phase), single.Next(text, i, phase)
		if got != want {
			t.Fatalf("phase %d, %d bytes, from %d on: %d in blocks, %d one by one", phase, len(text), i, got, want)
		}
		i = got + 1
	}
	return stops
}

// Blocks and single samples are two ways to the same answer, at every phase, near
// the begin and the end of a text and far from them.
func TestBlocksSeeTheSameSamples(t *testing.T) {
	t.Parallel()
	blocks, single := readers(t)
	r := rand.New(rand.NewPCG(3, 5))
	words := strings.Fields("one two three four five six seven eight nine zero double triple fünf acht cuatro vingt et und 4 77 the order number is wonderful evening right somewhere")
	gaps := []string{" ", " ", " ", ", ", "-", ". ", "\u00a0", "\n"}
	stops := 0
	for n := range 400 {
		var b strings.Builder
		for size := r.IntN(3000); b.Len() < size; {
			b.WriteString(words[r.IntN(len(words))] + gaps[r.IntN(len(gaps))])
			if r.IntN(12) == 0 {
				b.WriteString(strings.Repeat("nothing of note was ever said about it ", r.IntN(40)))
			}
		}
		stops += sameSamples(t, blocks, single, []byte(b.String()), n%37*r.IntN(2))
	}
	if stops < 1000 {
		t.Errorf("%d samples in stretches of number words: the texts of this test have too few", stops)
	}
}

// FuzzSamples: the two ways agree on any bytes.
func FuzzSamples(f *testing.F) {
	f.Add([]byte(strings.Repeat("my card is four one one one double five oh triple two. ", 20)), uint16(0))
	f.Add([]byte(strings.Repeat("neunundneunzig quatre-vingt-dix cuarenta y dos 4 1 1 1 ", 30)), uint16(3))
	f.Add([]byte(strings.Repeat(" ", 700)+"one two three four"), uint16(509))
	blocks, single := readers(f)
	f.Fuzz(func(t *testing.T, text []byte, phase uint16) {
		sameSamples(t, blocks, single, text, int(phase))
	})
}
