package proxy

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/vault"
)

// spending is a call to a payment processor with a token at a place where it is turned
// back. The token stays what it is until policy has allowed the call, its amount is
// reserved and the event is durable; the transport alone sees the value, on its way out.
type spending struct {
	vault.Spend
	// tokens is how many stand where one is turned back; the Spend is of the first.
	tokens int
	// field is where it stands in the body, unless it stands in the path.
	field  walk.Capture
	inBody bool
	// standing is what the newest decision was made about.
	standing vault.Standing
	// permitted is set when the token may be turned back.
	permitted bool
	// hold is what is reserved and has not ended; repeated says that an earlier call, or an
	// earlier attempt of this one, may have done it already.
	hold     *vault.Reservation
	repeated bool
	// value is what the upstream got.
	value []byte
	// outcome is how it ended, one of the words of the metric.
	outcome string
}

// Outcomes of a spending.
const (
	spendRefused  = "refused"
	spendRead     = "read" // the call took nothing
	spendSettled  = "settled"
	spendReleased = "released"
	spendUnknown  = "unknown"
)

// findToken looks for tokens in a call to a processor of payments. One at a place that the
// channel file names is compared with what is known of its payment, for policy to decide
// about; everywhere else the call is refused, and no token is ever turned back.
func (x *exchange) findToken(r *http.Request) *refusal {
	p := x.h.ch.Payments
	if p == nil || x.h.Webhooks {
		return nil
	}
	said := x.payment(r)
	x.merchant, x.foreign = said.account, said.foreign
	named := 0
	s := &spending{}
	for _, ref := range said.references {
		n := len(x.gen.data.Vault.Spans(nil, []byte(ref.value)))
		named += n
		if n == 0 && !strings.Contains(strings.ToLower(ref.value), tokenStart) {
			continue // the reference itself, or anything else
		}
		if s.tokens++; s.tokens == 1 {
			s.Token, s.field, s.inBody = ref.value, ref.field, ref.inBody
		}
	}
	if s.tokens > 0 {
		x.spend = s
	}
	if x.tokensIn(r) > named {
		x.spend = &spending{} // counted as refused
		return x.stop(&x.request, refuse(reasonTokenMisplaced))
	}
	if s.tokens == 0 {
		return nil
	}
	if said.lost {
		return x.stop(&x.request, refuse(reasonHeader))
	}
	// A reference beside the token would leave it to the processor whose payment it is.
	if said.doubled || said.foreign || len(said.references) > s.tokens {
		return x.stop(&x.request, refuse(reasonPaymentUnreadable))
	}
	s.Once, s.Form, s.Place, s.Account, s.Order = p.Once, p.Form, x.h.ch.Name+" "+x.h.Route, said.account, said.order
	s.Moves, s.Operation = x.match.Op.Effect != channel.EffectRead, x.match.Op.Name
	if s.Moves {
		if ref := x.readMove(r, s, said); ref != nil {
			return x.stop(&x.request, ref)
		}
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	var err error
	if s.standing, err = x.gen.data.Vault.Stand(ctx, &s.Spend); err != nil {
		return refuseErr(reasonVaultUnavailable, err)
	}
	return nil
}

// tokenStart is how every token begins. What begins so at a place where tokens are turned
// back is one, or wants to be taken for one.
const tokenStart = "ptk1"

// readMove reads what a call takes, and refuses one of which two readers could disagree
// how much that is.
func (x *exchange) readMove(r *http.Request, s *spending, said *paymentWords) *refusal {
	b := &x.request.body
	if r.URL.RawQuery != "" || b.present && (b.doc == nil || b.kind != walk.JSON && b.kind != walk.Form) {
		return refuse(reasonPaymentUnreadable)
	}
	switch keys := r.Header.Values(x.h.ch.Payments.Idempotency); len(keys) {
	case 0:
	case 1:
		s.Key = strings.TrimSpace(keys[0])
	default:
		return refuse(reasonPaymentUnreadable)
	}
	ok := true
	if said.hasCurrency {
		s.Currency, ok = currencyOf(said.currency)
	}
	if said.hasAmount && ok {
		decimal := x.h.ch.Payments.Decimal
		s.Amount, ok = amountOf(said.amount, s.Currency, decimal)
		ok = ok && s.Amount > 0
		s.AmountIn = func(currency string) int64 {
			if n, ok := amountOf(said.amount, currency, decimal); ok {
				return n
			}
			return -1
		}
	}
	if !ok {
		return refuse(reasonPaymentUnreadable)
	}
	return nil
}

// tokensIn counts the tokens anywhere in a request.
func (x *exchange) tokensIn(r *http.Request) (n int) {
	count := func(text string) {
		if len(text) >= vault.TokenSize {
			n += len(x.gen.data.Vault.Spans(nil, []byte(text)))
		}
	}
	count(r.URL.Path)
	count(unescapedForm(r.URL.RawQuery))
	for _, values := range r.Header {
		for _, v := range values {
			count(v)
		}
	}
	switch b := &x.request.body; b.kind {
	case walk.Form:
		count(unescapedForm(string(b.plain)))
	case walk.JSON, walk.NDJSON:
		count(unescapedJSON(string(b.plain)))
	default:
		count(string(b.plain))
	}
	return n
}

// inputPayment is what policy is told of the token.
func (x *exchange) inputPayment() policy.InputPayment {
	s := x.spend
	if s == nil || s.tokens == 0 {
		return policy.InputPayment{}
	}
	st := s.standing
	return policy.InputPayment{
		Tokens: s.tokens, Token: st.Token, Payment: st.Payment, Place: st.Place, Account: st.Account, Order: st.Order,
		Currency: st.Currency, Balance: st.Balance, Key: st.Key, Amount: int(s.Amount), Unit: s.Currency,
	}
}

// reserveRounds is how often a call is decided anew because others spent of its payment
// meanwhile.
const reserveRounds = 4

// reserve makes what the call takes count against its payment, before anything is
// forwarded. Others may have been quicker: then policy decides about what is left.
func (x *exchange) reserve(r *http.Request) *refusal {
	s := x.spend
	if s == nil || x.observe() {
		return nil
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	for round := 0; s.Moves && s.hold == nil; round++ {
		s.repeated = s.standing.Key == vault.StandsAgain
		hold, now, err := x.gen.data.Vault.Reserve(ctx, &s.Spend, s.standing)
		switch {
		case err == nil:
			s.hold = hold
			continue
		case !errors.Is(err, vault.ErrStands):
			return refuseErr(reasonVaultUnavailable, err)
		case round == reserveRounds:
			return refuseErr(reasonVaultUnavailable, errors.New("others keep spending of the same payment"))
		}
		s.standing, x.request.counts = now, nil
		if ref := x.decide(r, &x.request, policy.Request); ref != nil {
			return ref
		}
	}
	s.permitted = true
	countFor(&x.request.counts, string(redact.PaymentReference)).Clear++
	return nil
}

// turnBack puts the value where the token stands in what goes to the upstream, and
// nowhere else: out is the transport's own copy. The event is durable (V8).
func (x *exchange) turnBack(out *http.Request) *refusal {
	s := x.spend
	if s == nil || !s.permitted {
		return nil
	}
	val, err := x.gen.data.Vault.Reveal(out.Context(), s.Token)
	switch {
	case errors.Is(err, vault.ErrToken):
		return refuse(reasonTokenRefused)
	case err != nil:
		return refuseErr(reasonVaultUnavailable, err)
	}
	s.value = val.Text
	if !s.inBody {
		u := *out.URL
		segments := strings.Split(u.Path, "/")
		at := slices.Index(segments, s.Token)
		if at < 0 {
			return refuse(reasonTokenRefused)
		}
		segments[at] = string(s.value)
		u.Path, u.RawPath = strings.Join(segments, "/"), ""
		out.URL = &u
		return nil
	}
	side := &x.request
	edits := append(slices.Clone(side.edits), side.body.doc.SetString(s.field, string(s.value)))
	out.Header = out.Header.Clone()
	out.Header.Del("Content-Encoding")
	dropDigests(out.Header)
	setRequestBody(out, side.body.doc.Rewrite(side.bodyAction, edits...))
	return nil
}

// spent ends the reservation by the upstream's answer, durably and before the caller can
// see it. An answer that says no releases the amount, unless the call repeats one that may
// have been carried out.
func (x *exchange) spent(ctx context.Context, status int) {
	outcome := spendUnknown
	switch {
	case status >= 200 && status < 300:
		outcome = spendSettled
	case x.spend != nil && x.spend.repeated:
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly:
		// An earlier call may be under way, or this one still.
	case status >= 400 && status < 500:
		outcome = spendReleased
	}
	x.endSpend(ctx, outcome)
}

// endSpend writes the outcome down, once. If it cannot be written the amount stays taken.
func (x *exchange) endSpend(ctx context.Context, outcome string) {
	s := x.spend
	if s == nil || s.outcome != "" || x.observe() {
		return
	}
	if s.hold == nil {
		if s.outcome = spendRefused; s.value != nil {
			s.outcome = spendRead
		}
		x.h.app.metrics.spent(x, s.outcome)
		return
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	end := s.hold.Unknown
	switch outcome {
	case spendSettled:
		end = s.hold.Settle
	case spendReleased:
		end = s.hold.Release
	}
	if err := end(ctx); err != nil {
		x.h.logger.Error("noting what a call took of a payment; it stays taken", errField(err))
		outcome = spendUnknown
	}
	s.outcome = outcome
	x.h.app.metrics.spent(x, outcome)
}

// abandonSpend ends a reservation whose call got no answer.
func (x *exchange) abandonSpend() {
	outcome := spendReleased
	if x.forwarded || x.spend != nil && x.spend.repeated {
		outcome = spendUnknown
	}
	x.endSpend(context.Background(), outcome)
}

// conceal puts the token back wherever an answer repeats its value: in an address, in the
// text of an error, in a field that nobody has named, but not where it is part of a longer
// word. It returns text itself when there is nothing to do.
func (s *spending) conceal(text []byte) (out []byte, n int) {
	if s == nil || len(s.value) == 0 {
		return text, 0
	}
	from, at := 0, 0
	for {
		i := bytes.Index(text[at:], s.value)
		if i < 0 {
			break
		}
		i += at
		at = i + len(s.value)
		if endsInWord(text[:i]) || at < len(text) && alphanumeric(text[at]) {
			at = i + 1
			continue
		}
		out = append(append(out, text[from:i]...), s.Token...)
		from, n = at, n+1
	}
	if n == 0 {
		return text, 0
	}
	return append(out, text[from:]...), n
}

// endsInWord reports whether text ends in a letter or digit that is no part of an escape:
// a line end in JSON ends in an n, and an equals sign in an address in a D.
func endsInWord(text []byte) bool {
	n := len(text)
	switch {
	case n == 0 || !alphanumeric(text[n-1]):
		return false
	case n >= 2 && text[n-2] == '\\', n >= 3 && text[n-3] == '%', n >= 6 && text[n-6] == '\\' && text[n-5] == 'u':
		return false
	}
	return true
}

func alphanumeric(b byte) bool { return b-'0' <= 9 || b|0x20-'a' < 26 }

// concealHeaders does the same in headers.
func (s *spending) concealHeaders(h http.Header) (n int) {
	if s == nil || len(s.value) == 0 {
		return 0
	}
	for _, values := range h {
		for i, v := range values {
			out, k := s.conceal([]byte(v))
			if k > 0 {
				values[i] = string(out)
			}
			n += k
		}
	}
	return n
}
