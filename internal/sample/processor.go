package sample

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Processor is a payment processor with the part of Stripe's API that a refund needs:
// charges and refunds, forms in and JSON out, idempotency keys, connected accounts. What
// it has done stands in its ledger, which Charges and Refunds copy. It is safe for
// concurrent use.
type Processor struct {
	mux http.ServeMux

	mu       sync.Mutex // owns what follows
	charges  map[string]*Charge
	order    []string // of charges, as they were made
	refunds  []Refund
	answered map[string]processorAnswer // by account and idempotency key
	seen     []ProcessorCall
}

// Charge is a payment that was made.
type Charge struct {
	ID, Intent, Account, Currency, Order string
	// Amount and Refunded are in the smallest unit of the currency.
	Amount, Refunded int64
}

// Refund is what went back.
type Refund struct {
	ID, Charge, Account string
	Amount              int64
	Key                 string // the idempotency key
	Reason              string
}

// ProcessorCall is a call as the processor saw it.
type ProcessorCall struct {
	Method, URI, Body string
	Header            http.Header
}

// processorAnswer is kept under an idempotency key, with the call that it answers.
type processorAnswer struct {
	call   string
	status int
	body   any
}

// NewProcessor returns a processor without payments.
func NewProcessor() *Processor {
	p := &Processor{charges: make(map[string]*Charge), answered: make(map[string]processorAnswer)}
	p.mux.HandleFunc("POST /v1/charges", p.once(p.charge))
	p.mux.HandleFunc("GET /v1/charges", p.list)
	p.mux.HandleFunc("GET /v1/charges/{id}", p.show)
	p.mux.HandleFunc("POST /v1/refunds", p.once(p.refund))
	return p
}

// Pay makes a charge behind the API's back, as a shop's checkout would.
func (p *Processor) Pay(c Charge) Charge {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.add(c)
}

func (p *Processor) add(c Charge) *Charge {
	n := len(p.order) + 1
	c.ID, c.Intent = fmt.Sprintf("ch_sample%06dQx", n), fmt.Sprintf("pi_sample%06dQx", n)
	p.charges[c.ID], p.order = &c, append(p.order, c.ID)
	return &c
}

// Charges are all charges, oldest first.
func (p *Processor) Charges() (all []Charge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.order {
		all = append(all, *p.charges[id])
	}
	return all
}

// Refunds are all refunds, oldest first.
func (p *Processor) Refunds() []Refund {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Refund(nil), p.refunds...)
}

// Seen are all calls, oldest first.
func (p *Processor) Seen() []ProcessorCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ProcessorCall(nil), p.seen...)
}

// maxProcessorForm bounds a request.
const maxProcessorForm = 64 << 10

// ServeHTTP answers as Stripe would. Any secret key is good.
func (p *Processor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxProcessorForm)
	err := r.ParseForm()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, ProcessorCall{Method: r.Method, URI: r.URL.RequestURI(), Body: r.PostForm.Encode(), Header: r.Header.Clone()})
	user, _, basic := r.BasicAuth()
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer sk_") && (!basic || !strings.HasPrefix(user, "sk_")):
		writeJSON(w, http.StatusUnauthorized, problem("invalid_request_error", "", "No secret key was given."))
	case err != nil:
		writeJSON(w, http.StatusBadRequest, problem("invalid_request_error", "", "The form cannot be read."))
	default:
		p.mux.ServeHTTP(w, r)
	}
}

// problem is an error as Stripe writes them.
func problem(kind, code, message string) map[string]any {
	e := map[string]any{"type": kind, "message": message}
	if code != "" {
		e["code"] = code
	}
	return map[string]any{"error": e}
}

// account is the one that a call is for.
func account(r *http.Request) string { return r.Header.Get("Stripe-Account") }

// once answers a call with a key that was used before as it did then.
func (p *Processor) once(serve func(account string, form url.Values, key string) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key, call := r.Header.Get("Idempotency-Key"), r.URL.Path+"?"+r.PostForm.Encode()
		was, again := p.answered[account(r)+" "+key]
		switch {
		case key == "" || !again:
			was.call = call
			was.status, was.body = serve(account(r), r.PostForm, key)
			if key != "" {
				p.answered[account(r)+" "+key] = was
			}
		case was.call != call:
			writeJSON(w, http.StatusBadRequest, problem("idempotency_error", "", "The key was used for a call with other parameters."))
			return
		default:
			w.Header().Set("Idempotent-Replayed", "true")
		}
		writeJSON(w, was.status, was.body)
	}
}

func (p *Processor) charge(account string, form url.Values, _ string) (int, any) {
	amount, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	if err != nil || amount <= 0 || len(form.Get("currency")) != 3 {
		return http.StatusBadRequest, problem("invalid_request_error", "parameter_invalid_integer", "Amount or currency is not valid.")
	}
	c := p.add(Charge{Account: account, Amount: amount, Currency: strings.ToLower(form.Get("currency")), Order: form.Get("metadata[order_id]")})
	return http.StatusOK, c.object()
}

func (p *Processor) show(w http.ResponseWriter, r *http.Request) {
	c := p.charges[r.PathValue("id")]
	if c == nil || c.Account != account(r) {
		writeJSON(w, http.StatusNotFound, problem("invalid_request_error", "resource_missing", "No such charge: '"+r.PathValue("id")+"'"))
		return
	}
	writeJSON(w, http.StatusOK, c.object())
}

func (p *Processor) list(w http.ResponseWriter, r *http.Request) {
	data := []any{}
	for _, id := range p.order {
		if c := p.charges[id]; c.Account == account(r) {
			data = append(data, c.object())
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "url": "/v1/charges", "has_more": false, "data": data})
}

// object is a charge as the API shows it.
func (c *Charge) object() map[string]any {
	metadata := map[string]any{}
	if c.Order != "" {
		metadata["order_id"] = c.Order
	}
	return map[string]any{"id": c.ID, "object": "charge", "amount": c.Amount, "amount_captured": c.Amount, "amount_refunded": c.Refunded,
		"captured": true, "created": 1_700_000_000, "currency": c.Currency, "metadata": metadata, "paid": true, "payment_intent": c.Intent,
		"refunded": c.Refunded == c.Amount, "status": "succeeded", "livemode": false,
		"receipt_url": "https://pay.sample.example/receipts/" + c.ID}
}

func (p *Processor) refund(account string, form url.Values, key string) (int, any) {
	var c *Charge
	id := form.Get("charge")
	for _, known := range p.charges {
		if known.Account == account && (known.ID == id && id != "" || known.Intent == form.Get("payment_intent") && id == "") {
			c = known
		}
	}
	if c == nil {
		return http.StatusBadRequest, problem("invalid_request_error", "resource_missing", "No such charge: '"+id+"'")
	}
	amount := c.Amount - c.Refunded
	if s := form.Get("amount"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n <= 0 {
			return http.StatusBadRequest, problem("invalid_request_error", "parameter_invalid_integer", "The amount is not valid.")
		}
		amount = n
	}
	if amount <= 0 || amount > c.Amount-c.Refunded {
		return http.StatusBadRequest, problem("invalid_request_error", "charge_already_refunded", "Charge "+c.ID+" has less left than that.")
	}
	c.Refunded += amount
	re := Refund{ID: fmt.Sprintf("re_sample%06dQx", len(p.refunds)+1), Charge: c.ID, Account: account, Amount: amount, Key: key, Reason: form.Get("reason")}
	p.refunds = append(p.refunds, re)
	return http.StatusOK, map[string]any{"id": re.ID, "object": "refund", "amount": amount, "charge": c.ID, "payment_intent": c.Intent,
		"created": 1_700_000_001, "currency": c.Currency, "metadata": map[string]any{}, "reason": re.Reason, "status": "succeeded"}
}
