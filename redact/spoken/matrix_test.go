package spoken

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// testCards are the published test numbers of the card brands.
var testCards = strings.Fields("4111111111111111 4012888888881881 4242424242424242 4000056655665556 5555555555554444 5105105105105100 2223003122003222 378282246310005 " +
	"371449635398431 6011111111111117 6011000990139424 30569309025904 38520000023237 36227206271667 3530111333300000 3566002020360505 6200000000000005 5019717010103742 6759649826438453")

// cardJudge takes what looks like a card with the first digits of a test card.
type cardJudge struct {
	found []string
	spans [][2]int
	named bool
}

func (j *cardJudge) Begins(f uint32) bool {
	for _, c := range testCards {
		if c[:3] == fmt.Sprintf("%03d", f) {
			return true
		}
	}
	return false
}

func (j *cardJudge) Fits(f uint32, digits int, luhn bool) bool {
	for _, c := range testCards {
		if luhn && digits == len(c) && c[:4] == fmt.Sprintf("%08d", f)[:4] {
			return true
		}
	}
	return false
}

func (j *cardJudge) Named(int) bool      { return j.named }
func (j *cardJudge) Short(int, int) bool { return false }
func (j *cardJudge) Take(n *Number) bool {
	j.found, j.spans = append(j.found, string(n.Digits)), append(j.spans, [2]int{n.Start, n.End})
	return true
}

// speaker says numbers in one language, with the first alternative of each row
// or a random one.
type speaker struct {
	*Language
	*rand.Rand
}

func (p speaker) pick(row string) string {
	all := strings.Split(row, "|")
	if p.Rand == nil {
		return all[0]
	}
	return all[p.IntN(len(all))]
}

func (p speaker) digit(b byte) string { return p.pick(p.Digits[b-'0']) }

// pair says two digits as one number, or one by one where nobody would. French
// writes hyphens inside a number; without them "soixante onze" may be 60 and 11.
func (p speaker) pair(two string) string {
	if p.Name == "French" && two[0] != '0' {
		return strings.ReplaceAll(p.compound(two), " ", "-")
	}
	return p.compound(two)
}

func (p speaker) compound(two string) string {
	t, u := int(two[0]-'0'), int(two[1]-'0')
	switch t {
	case 0:
		return p.digit(two[0]) + " " + p.digit(two[1])
	case 1:
		return p.pick(p.Teens[u])
	}
	if row, ok := p.More[two]; ok {
		return p.pick(row)
	}
	if from, ok := p.Borrowed[t]; ok && p.Tens[t] == "septante" || ok && p.Tens[t] == "nonante" {
		join := " "
		if from == 6 && u == 1 {
			join = " et "
		}
		return strings.Split(p.Tens[from], "|")[0] + join + p.pick(p.Teens[u])
	}
	if u == 0 {
		return p.pick(p.Tens[t])
	}
	unit := p.Inner[u]
	if unit == "" {
		unit = p.Digits[u]
	}
	pattern := p.Compounds[0]
	if p.Name == "French" && u == 1 && t < 7 {
		pattern = p.Compounds[1]
	}
	return strings.NewReplacer("{t}", p.pick(p.Tens[t]), "{u}", p.pick(unit)).Replace(pattern)
}

func (p speaker) repeat(n int) string {
	for _, w := range []string{"double", "triple", "doble", "doppel", "dreimal"} {
		if p.Repeat[w] == n {
			return w
		}
	}
	return ""
}

// style is a way to say a card number; empty when it does not fit the language.
type style struct {
	name string
	say  func(p speaker, card string) string
}

// blocks cuts a card as it is printed.
func blocks(card string) []string {
	sizes := []int{4, 4, 4, 4}
	switch len(card) {
	case 15:
		sizes = []int{4, 6, 5}
	case 14:
		sizes = []int{4, 6, 4}
	}
	var out []string
	for _, n := range sizes {
		out = append(out, card[:n])
		card = card[n:]
	}
	return out
}

func (p speaker) digits(card, sep string) string {
	words := make([]string, len(card))
	for i := range card {
		words[i] = p.digit(card[i])
	}
	return strings.Join(words, sep)
}

func (p speaker) pairs(card, sep string) string {
	var words []string
	for ; len(card) > 1; card = card[2:] {
		words = append(words, p.pair(card[:2]))
	}
	if card != "" {
		words = append(words, p.digit(card[0]))
	}
	return strings.Join(words, sep)
}

func (p speaker) inBlocks(card, sep string, say func(string) string) string {
	var words []string
	for _, b := range blocks(card) {
		words = append(words, say(b))
	}
	return strings.Join(words, sep)
}

func (p speaker) filler(i int) string {
	fillers := strings.Split(p.Fillers, "|")
	return fillers[i%len(fillers)]
}

var styles = []style{
	{"digit by digit", func(p speaker, c string) string { return p.digits(c, " ") }},
	{"commas", func(p speaker, c string) string { return p.digits(c, ", ") + "." }},
	{"hyphens", func(p speaker, c string) string { return p.digits(c, "-") }},
	{"upper case", func(p speaker, c string) string { return strings.ToUpper(p.digits(c, " ")) }},
	{"no-break spaces", func(p speaker, c string) string { return p.digits(c, "\u00a0") }},
	{"blocks with commas", func(p speaker, c string) string {
		return p.inBlocks(c, ", ", func(b string) string { return p.digits(b, " ") })
	}},
	{"blocks as sentences", func(p speaker, c string) string {
		return p.inBlocks(c, ". ", func(b string) string {
			s := p.digits(b, " ")
			return strings.ToUpper(s[:1]) + s[1:]
		})
	}},
	{"blocks on lines", func(p speaker, c string) string {
		return p.inBlocks(c, "\n", func(b string) string { return p.digits(b, " ") })
	}},
	{"pairs", func(p speaker, c string) string { return p.pairs(c, ", ") }},
	{"pairs in blocks", func(p speaker, c string) string {
		return p.inBlocks(c, ", ", func(b string) string { return p.pairs(b, " ") })
	}},
	{"numerals and words", func(p speaker, c string) string {
		i := 0
		return p.inBlocks(c, " ", func(b string) string {
			if i++; i%2 == 0 {
				return b
			}
			return p.digits(b, " ")
		})
	}},
	{"every third a numeral", func(p speaker, c string) string {
		var words []string
		for i := range c {
			if i%3 == 2 {
				words = append(words, c[i:i+1])
			} else {
				words = append(words, p.digit(c[i]))
			}
		}
		return strings.Join(words, " ")
	}},
	{"repeats", func(p speaker, c string) string {
		var words []string
		for i := 0; i < len(c); {
			n := 1
			for i+n < len(c) && c[i+n] == c[i] && n < 3 {
				n++
			}
			if w := p.repeat(n); w != "" {
				words = append(words, w+" "+p.digit(c[i]))
			} else {
				words = append(words, p.digits(c[i:i+n], " "))
			}
			i += n
		}
		return strings.Join(words, " ")
	}},
	{"turns", func(p speaker, c string) string {
		roles := strings.Split(p.Roles, "|")
		return roles[1] + ": " + p.inBlocks(c, "\n"+roles[0]+": "+p.filler(5)+", "+p.filler(7)+".\n"+roles[1]+": ", func(b string) string { return p.digits(b, " ") })
	}},
	{"read back", func(p speaker, c string) string {
		roles := strings.Split(p.Roles, "|")
		return p.inBlocks(c, "\n", func(b string) string {
			s := p.digits(b, " ")
			return "[00:01:12] " + roles[1] + ": " + s + "\n[00:01:19] " + roles[0] + ": " + s + ", " + p.filler(3)
		})
	}},
}

// TestMatrix says every test card in every style of every language, with the
// usual words and with others, at every place relative to the samples: none is
// missed, and the span is what was said.
func TestMatrix(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	for _, l := range Languages() {
		for _, st := range styles {
			t.Run(l.Name+", "+st.name, func(t *testing.T) {
				t.Parallel()
				for i, card := range testCards {
					for _, p := range []speaker{{l, nil}, {l, rand.New(rand.NewPCG(uint64(i), 7))}} {
						said := st.say(p, card)
						for shift := range stride {
							before := strings.Repeat("x", shift+1) + ". "
							text := before + said + " . x"
							j := cardJudge{}
							r.Scan([]byte(text), 0, len(text), 0, &j)
							if len(j.found) == 0 || j.found[0] != card || j.spans[0][1] > len(before)+len(said) {
								t.Fatalf("test card %d at %d: %d found of %d bytes: %.0q", i, shift, len(j.found), len(said), "")
							}
						}
					}
				}
			})
		}
	}
}
