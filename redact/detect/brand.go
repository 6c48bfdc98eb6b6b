package detect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The shortest and longest card numbers (ISO/IEC 7812-1 allows 8 to 19 digits,
// in circulation are 12 to 19).
const (
	minCard = 12
	maxCard = 19
)

// Brand is one row of the card brand table: which issuer prefixes it uses, at
// which lengths.
type Brand struct {
	// Name is for people and for error messages; it does not decide anything.
	Name string
	// Prefixes are issuer prefixes of one to eight digits, or ranges of two
	// prefixes of the same length such as "2221-2720".
	Prefixes []string
	// Lengths are the legal numbers of digits, 12 to 19. The first is the usual
	// one and wins when two readings of the same digits are equally good.
	Lengths []int
	// NoLuhn accepts numbers whose check digit is wrong, when a card word or key
	// stands beside them.
	NoLuhn bool
	// Context makes the whole row count only beside a card word or key: for
	// prefixes so broad that most numbers under them are something else.
	Context bool
}

// Brands returns the built-in table: every scheme in circulation with the
// prefixes its public documentation gives, as of November 2026. No public
// registry exists; the sources are the published validators of Braintree and
// Zendesk and the encyclopedic list of issuer ranges. The slice is a copy.
func Brands() []Brand {
	out := slices.Clone(builtinBrands)
	return out
}

// NationalBrands returns rows that are not on by default, because their
// prefixes could not be confirmed from two sources: pass them as
// Config.ExtraBrands where such cards are expected.
func NationalBrands() []Brand { return slices.Clone(nationalBrands) }

var builtinBrands = []Brand{
	{Name: "Visa", Prefixes: []string{"4"}, Lengths: []int{16, 13, 18, 19}},
	{Name: "Mastercard", Prefixes: []string{"51-55", "2221-2720", "677189"}, Lengths: []int{16}},
	{Name: "American Express", Prefixes: []string{"34", "37"}, Lengths: []int{15}},
	{Name: "Discover", Prefixes: []string{"6011", "644-649", "65", "622126-622925"}, Lengths: []int{16, 17, 18, 19}},
	{Name: "Diners Club", Prefixes: []string{"300-305", "3095", "36", "38", "39"}, Lengths: []int{14, 16, 17, 18, 19}},
	{Name: "JCB", Prefixes: []string{"3528-3589"}, Lengths: []int{16, 17, 18, 19}},
	{Name: "UnionPay", Prefixes: []string{"62", "81"}, Lengths: []int{16, 17, 18, 19}, NoLuhn: true},
	{Name: "UnionPay, short", Prefixes: []string{"62"}, Lengths: []int{14, 15}, Context: true},
	{Name: "China T-Union", Prefixes: []string{"31"}, Lengths: []int{19}},
	{Name: "Maestro", Prefixes: []string{"5018", "5020", "5038", "5893", "6304", "6759", "6761-6763", "676770", "676774"}, Lengths: []int{16, 12, 13, 14, 15, 17, 18, 19}},
	{Name: "Maestro, broad", Prefixes: []string{"50", "56-69"}, Lengths: []int{16, 12, 13, 14, 15, 17, 18, 19}, Context: true},
	{Name: "Dankort", Prefixes: []string{"5019", "4571"}, Lengths: []int{16}},
	{Name: "Mir", Prefixes: []string{"2200-2204"}, Lengths: []int{16, 17, 18, 19}},
	{Name: "Borica", Prefixes: []string{"2205"}, Lengths: []int{16}},
	{Name: "RuPay", Prefixes: []string{"60", "65", "81", "82", "508", "353", "356"}, Lengths: []int{16}},
	{Name: "Elo", Prefixes: []string{
		"401178", "401179", "431274", "438935", "451416", "457393", "457631", "457632", "504175", "506699-506778",
		"509000-509999", "627780", "636297", "636368", "650031-650033", "650035-650051", "650405-650439", "650485-650538",
		"650541-650598", "650700-650718", "650720-650727", "650901-650978", "651652-651679", "655000-655019", "655021-655058",
	}, Lengths: []int{16}},
	{Name: "Hipercard", Prefixes: []string{"606282"}, Lengths: []int{16}},
	{Name: "Hiper", Prefixes: []string{"637095", "637568", "637599", "637609", "637612", "63737423", "63743358"}, Lengths: []int{16}},
	{Name: "Verve", Prefixes: []string{"506099-506198", "507865-507964", "650002-650027"}, Lengths: []int{16, 18, 19}},
	{Name: "Troy", Prefixes: []string{"9792", "65"}, Lengths: []int{16}},
	{Name: "LankaPay", Prefixes: []string{"357111"}, Lengths: []int{16}},
	{Name: "UkrCard", Prefixes: []string{"60400100-60420099"}, Lengths: []int{16, 17, 18, 19}},
	{Name: "InterPayment", Prefixes: []string{"636"}, Lengths: []int{16, 17, 18, 19}},
	{Name: "InstaPayment", Prefixes: []string{"637-639"}, Lengths: []int{16}},
	{Name: "GPN", Prefixes: []string{"1946", "50", "56", "58", "60-63"}, Lengths: []int{16}, Context: true},
	{Name: "UATP", Prefixes: []string{"1"}, Lengths: []int{15}, Context: true},
	{Name: "JCB, historic", Prefixes: []string{"2131", "1800"}, Lengths: []int{15}, Context: true},
	{Name: "Switch, historic", Prefixes: []string{"4903", "4905", "4911", "4936", "564182", "633110", "6333"}, Lengths: []int{16, 18, 19}, Context: true},
	{Name: "Solo, historic", Prefixes: []string{"6334", "6767"}, Lengths: []int{16, 18, 19}, Context: true},
	{Name: "Laser, historic", Prefixes: []string{"6304", "6706", "6709", "6771"}, Lengths: []int{16, 17, 18, 19}, Context: true},
	{Name: "Bankcard, historic", Prefixes: []string{"5610", "560221-560225"}, Lengths: []int{16}, Context: true},
	{Name: "enRoute, historic", Prefixes: []string{"2014", "2149"}, Lengths: []int{15}, NoLuhn: true, Context: true},
}

var nationalBrands = []Brand{
	{Name: "Humo", Prefixes: []string{"9860"}, Lengths: []int{16}, NoLuhn: true},
	{Name: "Uzcard", Prefixes: []string{"8600", "5614"}, Lengths: []int{16}, NoLuhn: true},
	{Name: "NAPAS", Prefixes: []string{"9704"}, Lengths: []int{16, 19}, NoLuhn: true},
	{Name: "Meeza", Prefixes: []string{"5078"}, Lengths: []int{16}},
	{Name: "Belkart", Prefixes: []string{"9112"}, Lengths: []int{16}},
}

// issuerRange is one prefix range of a brand, widened to eight digits.
type issuerRange struct {
	lo, hi  uint32
	lengths uint32 // bit n: n digits are legal
	usual   uint8  // the first length of the row
	noLuhn  bool
	context bool
}

// issuers finds the ranges of a prefix. Ranges are listed under each of their
// first three digits, so that most digit strings are refused by one look.
type issuers struct {
	first3  [1000][]issuerRange
	lengths [1000]uint32 // of all ranges listed there
	loose   [1000]uint32 // of those that accept a wrong check digit
}

// add checks one row and enters it.
func (t *issuers) add(b Brand) error {
	if len(b.Prefixes) == 0 || len(b.Lengths) == 0 {
		return fmt.Errorf("card brand %q: prefixes and lengths are needed", b.Name)
	}
	r := issuerRange{usual: uint8(b.Lengths[0]), noLuhn: b.NoLuhn, context: b.Context}
	for _, n := range b.Lengths {
		if n < minCard || n > maxCard {
			return fmt.Errorf("card brand %q: length %d is outside %d to %d", b.Name, n, minCard, maxCard)
		}
		r.lengths |= 1 << n
	}
	for _, p := range b.Prefixes {
		from, to, ranged := strings.Cut(p, "-")
		if !ranged {
			to = from
		}
		lo, err := widen(from, "0")
		if err == nil {
			r.lo = lo
			r.hi, err = widen(to, "9")
		}
		if err != nil || len(from) != len(to) || r.lo > r.hi {
			return fmt.Errorf("card brand %q: %q is no prefix of one to eight digits and no range of two such prefixes of one length", b.Name, p)
		}
		for k := r.lo / 1e5; k <= r.hi/1e5; k++ {
			t.first3[k] = append(t.first3[k], r)
			t.lengths[k] |= r.lengths
			if r.noLuhn {
				t.loose[k] |= r.lengths
			}
		}
	}
	return nil
}

// widen fills a prefix up to eight digits.
func widen(p, fill string) (uint32, error) {
	if len(p) == 0 || len(p) > 8 {
		return 0, strconv.ErrRange
	}
	n, err := strconv.ParseUint(p+strings.Repeat(fill, 8-len(p)), 10, 32)
	return uint32(n), err
}

// reading is what the brand table says about a digit string.
type reading struct {
	ok      bool // some brand uses the prefix at this length
	context bool // only with a card word or key
	usual   bool // it is the usual length of that brand
	long    bool // long numbers are as usual as short ones (UnionPay)
}

// read looks up eight leading digits and a length; luhn says whether the check
// digit is right.
func (t *issuers) read(prefix uint32, length int, luhn bool) reading {
	var out reading
	for i := range t.first3[prefix/1e5] {
		r := &t.first3[prefix/1e5][i]
		if prefix < r.lo || prefix > r.hi || r.lengths>>length&1 == 0 || !luhn && !r.noLuhn {
			continue
		}
		context := r.context || !luhn
		if out.ok && context && !out.context {
			continue
		}
		if !out.ok || out.context && !context {
			out = reading{ok: true, context: context}
		}
		out.usual = out.usual || int(r.usual) == length
		out.long = out.long || r.noLuhn
	}
	return out
}
