package detect

import (
	"github.com/caregate/caregate/redact"
)

// stripeKinds are the prefixes of Stripe's ids that name a payment, who made it,
// what it was made with, or what became of it. Ids of products and events are not
// among them.
var stripeKinds = [...]string{
	"ba_", "card_", "ch_", "cus_", "cs_live_", "cs_test_", "dp_", "du_", "pi_", "pm_", "po_", "py_", "pyr_", "re_", "seti_", "si_", "src_", "tok_", "tr_", "txn_",
}

// maxPaymentReference is the length of the longest reference with a shape of its
// own, a checkout session.
const maxPaymentReference = 80

// paymentReferenceAt returns where the id of a payment processor that begins at i
// ends, and the rule, or 0. Stripe's ids and PayPal's payment ids say what they are;
// the others are letters and digits that only words around them explain.
func paymentReferenceAt(t []byte, i int) (end int, rule string) {
	switch b := t[i]; {
	case b == 'P':
		const prefix = "PAYID-"
		if len(t)-i > len(prefix)+20 && string(t[i:i+len(prefix)]) == prefix {
			end = spanOf(t, i+len(prefix), setUpper|setDigit, 33)
			if n := end - i - len(prefix); n >= 20 && n <= 32 && edgeAfter(t, end, 0) && has(t[i+len(prefix):end], setDigit) {
				return end, "paypal payment id"
			}
		}
	case b-'a' < 26:
		for _, p := range stripeKinds {
			if p[0] != b || len(t)-i < len(p)+14 || string(t[i:i+len(p)]) != p {
				continue
			}
			from := i + len(p)
			end = spanOf(t, from, setAlnum, maxPaymentReference)
			body := t[from:end]
			if len(body) < 14 || len(body) > 66 || !edgeAfter(t, end, 0) || !varied(body, 6) {
				continue
			}
			// Names of variables have no capitals or no digits.
			if has(body, setDigit) && has(body, setUpper) && has(body, setLower) {
				return end, "stripe id"
			}
		}
	}
	return 0, ""
}

// processor is a payment processor whose ids have no mark of their own.
type processor struct {
	// names are looked for among the words before an id, and in its key.
	names [2]string
	// keys are names of members that hold the id.
	keys     [2]string
	set      charset
	min, max int
	digit    bool // holds a digit
	letter   bool // holds a letter
	rule     string
}

var processors = [...]processor{
	{[2]string{"adyen", "psp"}, [2]string{"pspreference", "psp_reference"}, setUpper | setDigit, 16, 16, true, false, "adyen psp reference"},
	{[2]string{"paypal", "paypal"}, [2]string{"capture_id", "paypal"}, setUpper | setDigit, 17, 17, true, true, "paypal transaction id"},
	{[2]string{"braintree", "braintree"}, [2]string{"braintree", "braintree"}, setLower | setDigit, 6, 10, true, true, "braintree id"},
}

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
		if containsFold(near, p.names[0]) || containsFold(near, p.names[1]) || containsFold(near, p.keys[0]) || containsFold(near, p.keys[1]) {
			return p.rule
		}
		if h.Key != "" && i == 0 && end == len(t) && (containsFold(h.Key, p.keys[0]) || containsFold(h.Key, p.keys[1])) {
			return p.rule
		}
	}
	return ""
}

// addPaymentReference appends a finding of class payment_reference.
func (d *Detector) addPaymentReference(dst []redact.Finding, t []byte, start, end int, h Hint, rule string, confidence float64) []redact.Finding {
	return append(dst, redact.Finding{
		Class: redact.PaymentReference, Start: start, End: end, Confidence: confidence, Rule: rule,
		Never: h.ID || h.Key != "" && senseOfKey(h.Key) == keyID,
	})
}
