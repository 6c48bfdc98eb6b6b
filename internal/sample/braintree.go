package sample

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Braintree is a payment processor with the part of Braintree's interface that a refund
// needs: transactions and their refunds, JSON in and XML out, several merchants. It knows
// no idempotency keys. What it has done stands in its ledger, which Charges and Refunds
// copy. It is safe for concurrent use.
type Braintree struct {
	mux http.ServeMux

	mu      sync.Mutex // owns what follows
	charges map[string]*Charge
	order   []string // of charges, as they were made
	refunds []Refund
	seen    []ProcessorCall
}

// NewBraintree returns a processor without payments.
func NewBraintree() *Braintree {
	p := &Braintree{charges: make(map[string]*Charge)}
	p.mux.HandleFunc("GET /merchants/{merchant}/transactions/{id}", p.show)
	p.mux.HandleFunc("POST /merchants/{merchant}/transactions/{id}/refund", p.refund)
	p.mux.HandleFunc("POST /merchants/{merchant}/transactions/advanced_search", p.search)
	return p
}

// Pay makes a transaction behind the interface's back. Account is the merchant.
func (p *Braintree) Pay(c Charge) Charge {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.ID = fmt.Sprintf("sale%04dq", len(p.order)+1)
	p.charges[c.ID], p.order = &c, append(p.order, c.ID)
	return c
}

// Charges are all transactions, oldest first.
func (p *Braintree) Charges() (all []Charge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.order {
		all = append(all, *p.charges[id])
	}
	return all
}

// Refunds are all refunds, oldest first.
func (p *Braintree) Refunds() []Refund {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Refund(nil), p.refunds...)
}

// Seen are all calls, oldest first.
func (p *Braintree) Seen() []ProcessorCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ProcessorCall(nil), p.seen...)
}

// ServeHTTP answers as Braintree would. Any pair of keys is good.
func (p *Braintree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxProcessorForm))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, ProcessorCall{Method: r.Method, URI: r.URL.RequestURI(), Body: body.String(), Header: r.Header.Clone()})
	r.Body = io.NopCloser(&body)
	_, _, basic := r.BasicAuth()
	switch {
	case !basic:
		w.WriteHeader(http.StatusUnauthorized)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	default:
		p.mux.ServeHTTP(w, r)
	}
}

// find is the transaction that a call is about, nil when its merchant has none of that id.
func (p *Braintree) find(r *http.Request) *Charge {
	if c := p.charges[r.PathValue("id")]; c != nil && c.Account == r.PathValue("merchant") {
		return c
	}
	return nil
}

func (p *Braintree) show(w http.ResponseWriter, r *http.Request) {
	if c := p.find(r); c != nil {
		writeXML(w, http.StatusOK, p.object(c))
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

func (p *Braintree) search(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	b.WriteString(`<credit-card-transactions type="collection"><current-page-number type="integer">1</current-page-number>`)
	for _, id := range p.order {
		if c := p.charges[id]; c.Account == r.PathValue("merchant") {
			b.WriteString(p.object(c))
		}
	}
	b.WriteString("</credit-card-transactions>")
	writeXML(w, http.StatusOK, b.String())
}

// object is a transaction as the interface shows it.
func (p *Braintree) object(c *Charge) string {
	var ids strings.Builder
	for _, re := range p.refunds {
		if re.Charge == c.ID {
			fmt.Fprintf(&ids, "<item>%s</item>", re.ID)
		}
	}
	return fmt.Sprintf(`<transaction><id>%s</id><status>settled</status><type>sale</type><currency-iso-code>%s</currency-iso-code><amount>%s</amount>`+
		`<merchant-account-id>main</merchant-account-id><order-id>%s</order-id><refund-ids type="array">%s</refund-ids><refunded-transaction-id nil="true"/>`+
		`<global-id>%s</global-id></transaction>`,
		c.ID, c.Currency, decimal(c.Amount), escaped(c.Order), ids.String(), globalID(c.ID))
}

func (p *Braintree) refund(w http.ResponseWriter, r *http.Request) {
	c := p.find(r)
	if c == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var in struct {
		Transaction struct{ Amount string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil && err != io.EOF {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	amount := c.Amount - c.Refunded
	if s := in.Transaction.Amount; s != "" {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		amount = int64(f*100 + 0.5)
	}
	if amount <= 0 || amount > c.Amount-c.Refunded {
		writeXML(w, http.StatusUnprocessableEntity, `<api-error-response><errors><errors type="array"/><transaction><errors type="array"><error><code>91521</code><attribute type="symbol">amount</attribute>`+
			`<message>Refund amount is too large.</message></error></errors></transaction></errors><message>Refund amount of `+c.ID+` is too large.</message>`+p.object(c)+`</api-error-response>`)
		return
	}
	c.Refunded += amount
	re := Refund{ID: fmt.Sprintf("back%04dq", len(p.refunds)+1), Charge: c.ID, Account: c.Account, Amount: amount, Key: r.Header.Get("Idempotency-Key")}
	p.refunds = append(p.refunds, re)
	writeXML(w, http.StatusCreated, fmt.Sprintf(`<transaction><id>%s</id><status>submitted_for_settlement</status><type>credit</type><currency-iso-code>%s</currency-iso-code><amount>%s</amount>`+
		`<order-id>%s</order-id><refund-ids type="array"/><refunded-transaction-id>%s</refunded-transaction-id><global-id>%s</global-id>`+
		`<refunded-transaction-global-id>%s</refunded-transaction-global-id></transaction>`,
		re.ID, c.Currency, decimal(amount), escaped(c.Order), c.ID, globalID(re.ID), globalID(c.ID)))
}

// decimal writes an amount in whole units.
func decimal(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// globalID is the id that the other interface has for a transaction.
func globalID(id string) string {
	return strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("transaction_"+id)), "=")
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

func writeXML(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + body + "\n"))
}
