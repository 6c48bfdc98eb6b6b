package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// quietWithin returns how often the scan passes a number of text by as quiet, and fails
// when a look at it finds something or ends elsewhere.
func quietWithin(t *testing.T, d *Detector, text []byte, h Hint) (quiet int) {
	t.Helper()
	s := scanner{d: d, text: text, hint: h, final: true, card: -1}
	for i := s.next(0); i < len(text); i = s.next(i + 1) {
		if !isDigit(text[i]) || i > 0 && isDigit(text[i-1]) {
			continue
		}
		end := s.loud(i)
		if end == i {
			continue
		}
		for end = runEnd(text, i); end+2 < len(text) && (text[end] == '.' || text[end] == ':') && isDigit(text[end+1]); {
			end = runEnd(text, end+1)
		}
		quiet++
		for _, card := range []int{-1, i - 1} { // nor does a card in front make it something
			loud := scanner{d: d, text: text, hint: h, final: true, card: card}
			var found []redact.Finding
			ahead := func(f redact.Finding) bool { return f.End <= i } // of its token, and found by what stands there
			if last, settled := loud.number(&found, i, runEnd(text, i)); last != end || !settled || len(slices.DeleteFunc(found, ahead)) > 0 {
				t.Fatalf("the quiet number at %d of %d bytes ends at %d; a look ends at %d and finds %d", i, len(text), end, last, len(found))
			}
		}
	}
	return quiet
}

// Whatever stands beside a number that is passed by, a look would not find anything.
func TestQuietNumbersAreNothing(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	r := rand.New(rand.NewPCG(11, 2))
	lefts := strings.Split(" ~ call ~ account number ~$~$~ $~ \"~'~\n~(~-~:~a~X~XX-~ cvv ~ pin ~exp ~valid thru ~born ~last four ~April ~::~1.~5 ~#~4111 1111 1111 1111 ", "~")
	rights := strings.Split(" ~. ~, ~? ~: ~:a~.a~.\n~)~\" ~!~-~ - ~ (~/~th ~pm ~%~ May 1985 ~ of March ~ March 85 ~, 1985~ cvv ~ is my cvv ~_~@~\u00a0~<b>~&#~=~;~ 4111 1111 1111 1111~ is the last four of my ssn ", "~")
	quiet := 0
	for range 60000 {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString("it was " + lefts[r.IntN(len(lefts))])
			fmt.Fprint(&b, r.IntN([]int{10, 200, 200, 3000, 100_000, 100_000_000}[r.IntN(6)]))
			for range r.IntN(3) {
				b.WriteString(".:.:,/- "[r.IntN(8):][:1])
				fmt.Fprintf(&b, "%02d", r.IntN(100))
			}
			b.WriteString(rights[r.IntN(len(rights))])
		}
		b.WriteString("and so on and on")
		quiet += quietWithin(t, d, []byte(b.String()), Hint{Key: []string{"", "value", "cvv", "dob", "expiry"}[r.IntN(5)]})
	}
	if quiet < 10000 {
		t.Errorf("%d quiet numbers: the texts of this test have too few", quiet)
	}
}

// FuzzQuiet: the same for any bytes.
func FuzzQuiet(f *testing.F) {
	for _, line := range samples(f) {
		f.Add([]byte(line + " and so on, and so on"))
	}
	f.Add([]byte("it cost $59.90, was due at 13:15 on March 24, and took 11 days."))
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		quietWithin(t, d, text, Hint{})
		quietWithin(t, d, text, Hint{Key: "value"})
	})
}
