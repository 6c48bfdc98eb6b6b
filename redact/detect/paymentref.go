package detect

import (
	"bytes"
)

// stripeKinds are the prefixes of Stripe's ids that name a payment, who made it,
// what it was made with, or what became of it. Ids of products and events are not
// among them.
var stripeKinds = [...]string{
	"ba_", "card_", "ch_", "cus_", "cs_live_", "cs_test_", "dp_", "du_", "pi_", "pm_", "po_", "py_", "pyr_", "re_", "seti_", "si_", "src_", "tok_", "tr_", "txn_",
}

// maxStripeKind is how many letters stand in front of the first underscore at most.
const maxStripeKind = len("card")

// maxPaymentReference is the length of the longest reference with a shape of its
// own, a checkout session.
const maxPaymentReference = 80

// payPalBegin is how PayPal's payment ids begin.
const payPalBegin = "PAYID-"

// paymentReferenceAt returns where the id of a payment processor that begins at i
// ends, and the rule, or 0. Stripe's ids and PayPal's payment ids say what they are;
// the others are letters and digits that only words around them explain. The letters and
// digits from i on end at word.
func paymentReferenceAt(t []byte, i, word int) (end int, rule string) {
	switch b := t[i]; {
	case b == 'P':
		if len(t)-i > len(payPalBegin)+20 && string(t[i:i+len(payPalBegin)]) == payPalBegin {
			from := i + len(payPalBegin)
			end = spanOf(t, from, setUpper|setDigit, 33)
			if n := end - from; n >= 20 && n <= 32 && edgeAfter(t, end) && has(t[from:end], setDigit) {
				return end, "paypal payment id"
			}
		}
	case b-'a' < 26 && word < len(t) && t[word] == '_' && word-i <= maxStripeKind:
		for _, p := range stripeKinds {
			if p[0] != b || len(t)-i < len(p)+14 || string(t[i:i+len(p)]) != p {
				continue
			}
			from := i + len(p)
			end = spanOf(t, from, setAlnum, maxPaymentReference)
			body := t[from:end]
			if len(body) < 14 || len(body) > 66 || !edgeAfter(t, end) || !varied(body, 6) {
				continue
			}
			// Names of variables have no capitals or no digits. Those of a mask are none.
			if !bytes.Contains(body, []byte("XXXXXXXX")) && has(body, setDigit) && has(body, setUpper) && has(body, setLower) {
				return end, "stripe id"
			}
		}
	}
	return 0, ""
}

// processor is a payment processor whose ids have no mark of their own.
type processor struct {
	// names are looked for among the words before an id: the end of a word, so that
	// its first letter may be a capital.
	names []string
	// pair are two pairs of letters, one of which stands in each name; see mayHold.
	pair string
	// keys are names of members that hold the id.
	keys     []string
	set      charset
	min, max int
	digit    bool // holds a digit
	letter   bool // holds a letter
	rule     string
}

var processors = [...]processor{
	{[]string{"dyen", "ADYEN", "psp", "PSP"}, "dyps", []string{"pspreference", "psp_reference"}, setUpper | setDigit, 16, 16, true, false, "adyen psp reference"},
	{[]string{"aypal", "ayPal", "PAYPAL"}, "ypyp", []string{"capture_id", "paypal"}, setUpper | setDigit, 17, 17, true, true, "paypal transaction id"},
	{[]string{"raintree", "BRAINTREE"}, "trtr", []string{"braintree"}, setLower | setDigit, 6, 10, true, true, "braintree id"},
}

// The shortest and longest id that a processor has to be named for.
const (
	minPaid = 6
	maxPaid = 17
)

// processorNameReach is how far before an id its processor may be named.
const processorNameReach = 64

// namedPaymentReference returns the rule when word, which begins at i, is an id of
// a processor that is named before it or by the key.
func namedPaymentReference(t []byte, i, end int, h Hint) string {
	word := t[i:end]
	for k := range processors {
		p := &processors[k]
		if len(word) < p.min || len(word) > p.max || spanOf(t, i, p.set, len(word)) != end ||
			p.digit && !has(word, setDigit) || p.letter && !has(word, setUpper|setLower) || !varied(word, 4) {
			continue
		}
		near := t[lo(i, processorNameReach):i]
		if h.Key == "" && !mayHold(near, p.pair[0], p.pair[1], p.pair[2], p.pair[3]) {
			continue
		}
		for _, name := range p.names {
			if bytes.Contains(near, []byte(name)) {
				return p.rule
			}
		}
		if h.Key == "" || i > 0 || end < len(t) {
			continue
		}
		for _, key := range p.keys {
			if containsFold(h.Key, key) {
				return p.rule
			}
		}
	}
	return ""
}
