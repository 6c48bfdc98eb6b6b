package proxy

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/vault"

	"github.com/caregate/caregate/redact/walk"
)

// paymentWords are what a message says of a payment, at the places that the channel file
// names.
type paymentWords struct {
	references                       []reference
	account, order, amount, currency string
	refunded                         string
	hasAmount, hasCurrency           bool
	// doubled says that something stands twice, lost that a header is taken out on the way.
	doubled, lost bool
	// foreign says that the call names an account in a form that is not understood.
	foreign bool
}

// reference is the value of a place for one.
type reference struct {
	value  string
	field  walk.Capture
	inBody bool
}

// take notes one place.
func (w *paymentWords) take(label, value string, c walk.Capture) {
	var to *string
	switch label {
	case channel.LabelPaymentReference:
		w.references = append(w.references, reference{value: value, field: c, inBody: true})
		return
	case channel.LabelPaymentAmount:
		to, w.doubled, w.hasAmount = &w.amount, w.doubled || w.hasAmount, true
	case channel.LabelPaymentCurrency:
		to, w.doubled, w.hasCurrency = &w.currency, w.doubled || w.hasCurrency, true
	case channel.LabelPaymentRefunded:
		to = &w.refunded
	case channel.LabelPaymentOrder:
		to = &w.order
	case channel.LabelPaymentAccount:
		to = &w.account
	default:
		return
	}
	w.doubled = w.doubled || *to != "" && *to != value
	*to = value
}

// payment reads what a request says of a payment, in its path, headers and body.
func (x *exchange) payment(r *http.Request) *paymentWords {
	w := &paymentWords{}
	for _, p := range x.match.Params {
		switch p.Label {
		case channel.LabelPaymentReference:
			w.references = append(w.references, reference{value: p.Value})
		case channel.LabelPaymentAccount:
			w.account = p.Value
		}
	}
	if name := x.h.ch.Payments.Account; name != "" {
		values := r.Header.Values(name)
		for _, v := range values {
			v = strings.TrimSpace(v)
			if x.h.ch.Payments.Assertion {
				var ok bool
				v, ok = assertedAccount(v)
				w.foreign = w.foreign || !ok || len(values) > 1
			}
			w.take(channel.LabelPaymentAccount, v, walk.Capture{})
		}
	}
	// What Connection names is taken out on the way (RFC 9110 section 7.6.1): the processor
	// would see a call without the key or the account that it counts under here.
	for _, list := range r.Header.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.TrimSpace(name)
			w.lost = w.lost || strings.EqualFold(name, x.h.ch.Payments.Idempotency) || name != "" && strings.EqualFold(name, x.h.ch.Payments.Account)
		}
	}
	if doc := x.request.body.doc; doc != nil {
		for _, c := range doc.Captures {
			if strings.HasPrefix(c.Label, "payment:") {
				w.take(c.Label, string(doc.Value(c)), c)
			}
		}
	}
	return w
}

// learn notes what a processor's answer says of the payments whose references have
// become tokens in it.
func (x *exchange) learn(ctx context.Context, status int) *refusal {
	side := &x.response
	doc := side.body.doc
	if x.h.ch.Payments == nil || x.h.Webhooks || x.observe() || doc == nil || side.keeping.issue == nil || x.foreign || status < 200 || status > 299 {
		return nil
	}
	units := make(map[int]*paymentWords)
	for _, c := range doc.Captures {
		if !strings.HasPrefix(c.Label, "payment:") {
			continue
		}
		if units[c.Unit] == nil {
			units[c.Unit] = &paymentWords{}
		}
		w := units[c.Unit]
		// An element that stands twice, which no parser of JSON would have let through.
		w.doubled = w.doubled || doc.Kind == walk.XML && slices.ContainsFunc(w.references, func(r reference) bool {
			return c.Label == channel.LabelPaymentReference && r.field.Path == c.Path
		})
		w.take(c.Label, string(doc.Value(c)), c)
	}
	var all []vault.Learned
	for _, w := range units {
		pay := vault.Payment{Place: x.h.ch.Name + " " + x.h.Route, Account: w.account, Order: w.order}
		if pay.Account == "" {
			pay.Account = x.merchant
		}
		var known, good bool
		if pay.Currency, known = currencyOf(w.currency); known {
			pay.Amount, good = amountOf(w.amount, pay.Currency, x.h.ch.Payments.Decimal)
		}
		if w.refunded != "" && good {
			pay.Refunded, good = amountOf(w.refunded, pay.Currency, x.h.ch.Payments.Decimal)
		}
		tokens := side.tokensAt(w.references)
		if !good || w.doubled || len(tokens) == 0 {
			continue
		}
		all = append(all, vault.Learned{Tokens: tokens, Asked: x.asked, Payment: pay})
	}
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := x.gen.data.Vault.Learn(ctx, all); err != nil {
		return refuseErr(reasonVaultUnavailable, err)
	}
	return nil
}

// tokensAt are the tokens that stand at some places of the body.
func (side *half) tokensAt(places []reference) (tokens []string) {
	k := &side.keeping
	for j, i := range k.at {
		f := &side.body.doc.Findings[i]
		for _, p := range places {
			if f.Start >= p.field.Start && f.End <= p.field.End {
				tokens = append(tokens, k.issue.Tokens[j].Text)
				break
			}
		}
	}
	return tokens
}

// maxAmountDigits bounds amounts: far above any payment, far below what overflows.
const maxAmountDigits = 15

// currencyOf reads a currency's code, in either case.
func currencyOf(s string) (string, bool) {
	if len(s) != 3 {
		return "", false
	}
	for i := range len(s) {
		if s[i]|0x20-'a' >= 26 {
			return "", false
		}
	}
	return strings.ToUpper(s), true
}

// decimals is how many digits a currency has behind the point (ISO 4217), where that is
// not two. A call that names no currency is read as one of two, and counted in that of the
// payment.
func decimals(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// amountOf reads an amount strictly: digits, and where it is decimal a point with as many
// digits behind it as the currency has at most.
func amountOf(s, currency string, decimal bool) (int64, bool) {
	whole, fraction, point := s, "", false
	places := 0
	if decimal {
		whole, fraction, point = strings.Cut(s, ".")
		places = decimals(currency)
	}
	if whole == "" || point && fraction == "" || len(fraction) > places || len(whole)+places > maxAmountDigits {
		return 0, false
	}
	digits := whole + fraction + strings.Repeat("0", places-len(fraction))
	for i := range len(digits) {
		if digits[i]-'0' > 9 {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// unescapedForm is a form or query as whoever reads it sees it, names and separators
// included.
func unescapedForm(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// unescapedJSON undoes the escapes that letters and digits, and what wraps lines, can be
// written with. It is for looking only.
func unescapedJSON(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n', 'r':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'u':
			if i+4 < len(s) {
				if n, err := strconv.ParseUint(s[i+1:i+5], 16, 16); err == nil {
					b.WriteRune(rune(n))
					i += 4
					continue
				}
			}
			b.WriteByte('u')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
