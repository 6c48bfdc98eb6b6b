package channel

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/caregate/caregate/redact/walk"
	"go.yaml.in/yaml/v4"
)

// Labels of the places under `payment`. In a request they say what the call does to a
// payment, in an answer what the payment is.
const (
	LabelPaymentReference = "payment:reference" // which payment: in a request, where a token is turned back
	LabelPaymentAmount    = "payment:amount"
	LabelPaymentRefunded  = "payment:refunded" // answers: what has gone back already
	LabelPaymentCurrency  = "payment:currency"
	LabelPaymentOrder     = "payment:order"
	LabelPaymentAccount   = "payment:account" // the merchant's
)

// paymentPlaces are the words under `payment`.
var paymentPlaces = map[string]string{
	"reference": LabelPaymentReference,
	"amount":    LabelPaymentAmount,
	"refunded":  LabelPaymentRefunded,
	"currency":  LabelPaymentCurrency,
	"order":     LabelPaymentOrder,
	"account":   LabelPaymentAccount,
}

// Payments says what is common to the payments of a processor. A channel without it
// turns no token back.
type Payments struct {
	// Idempotency is the header that makes a repeated call harmless. A call that moves
	// money by a token must have it, whether or not the processor reads it.
	Idempotency string
	// Account is the header that names the merchant's account, empty where only bodies
	// and paths do.
	Account string
	// Assertion says that the header is a JWT, of which the issuer and the merchant that it
	// names are the account.
	Assertion bool
	// Form is what a reference looks like, the whole of it. Nothing else is ever sent to
	// this processor in place of a token.
	Form *regexp.Regexp
	// Once says that the processor ignores the header: a call whose outcome is unknown
	// would be carried out a second time, and is not repeated.
	Once bool
	// Decimal says that amounts are written in whole units with a decimal point
	// ("10.50"), as strings; otherwise they are whole numbers of the smallest unit (1050).
	Decimal bool
}

// payments reads `payments`.
func (r *reader) payments(n *yaml.Node) *Payments {
	m := r.object(n, "`payments`", []string{"references", "idempotency", "amounts"}, []string{"account", "account_form", "keys"})
	p := &Payments{
		Idempotency: r.header(m["idempotency"], "`payments.idempotency`"),
		Account:     r.header(m["account"], "`payments.account`"),
		Once:        m["keys"] != nil && r.oneOf(m["keys"], "`payments.keys`", "kept", "ignored") == "ignored",
		Decimal:     r.oneOf(m["amounts"], "`payments.amounts`", "minor", "decimal") == "decimal",
	}
	if n := m["account_form"]; n != nil {
		if p.Assertion = r.oneOf(n, "`payments.account_form`", "text", "assertion") == "assertion"; p.Assertion && p.Account == "" {
			r.fail(n, "`payments.account_form` is of a header that is not named", "name it: `account: PayPal-Auth-Assertion`")
		}
	}
	if form := r.text(m["references"], "`payments.references`"); form != "" {
		var err error
		// Calls are few and references short: this is no hot path.
		if p.Form, err = regexp.Compile(`\A(?:` + form + `)\z`); err != nil || p.Form.MatchString("") || p.Form.MatchString("a b\"/") {
			r.fail(m["references"], "`payments.references` is no form of references", "write a regular expression for the whole reference, of letters, digits, `_` and `-` only: (ch|pi)_[A-Za-z0-9]+")
		}
	}
	return p
}

// paymentRules reads the places under `payment` of a set.
func (r *reader) paymentRules(n *yaml.Node) (rules []walk.Rule) {
	words := sortedKeys(paymentPlaces)
	m := r.object(n, "`payment`", nil, words)
	for _, word := range words {
		for _, ptr := range r.pointers(m[word], "`payment."+word+"`") {
			rules = append(rules, walk.Rule{Pointer: ptr, Label: paymentPlaces[word], Flags: walk.Wanted})
		}
	}
	return rules
}

// strayPayments reports places of payments in a file that does not say what is common to
// them: no token would ever be turned back there.
func (b *builder) strayPayments() {
	if b.channel.Payments != nil {
		return
	}
	for _, key := range sortedKeys(b.sets) {
		for _, rule := range b.sets[key].rules {
			if strings.HasPrefix(rule.Label, "payment:") {
				b.fail(b.sets[key].node, fmt.Sprintf("the set %q has places of payments, and the file has no `payments`", key), paymentsHint)
				break
			}
		}
	}
	for _, key := range sortedKeys(b.params) {
		if d := b.params[key]; strings.HasPrefix(d.label, "payment:") {
			b.fail(d.node, fmt.Sprintf("the parameter %q is of payments, and the file has no `payments`", key), paymentsHint)
		}
	}
}

const paymentsHint = "write `payments: {references: PATTERN, idempotency: Idempotency-Key, amounts: minor}` at the top, or take the places out"

// TakesToken reports whether a request of this operation has a place where the token of a
// payment is turned back.
func (o *Operation) TakesToken() bool {
	for i := range o.params {
		if o.params[i].label == LabelPaymentReference {
			return true
		}
	}
	for i := range o.RequestRules {
		if o.RequestRules[i].Label == LabelPaymentReference {
			return true
		}
	}
	return false
}
