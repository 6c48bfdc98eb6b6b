package channel

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/redact/walk"
	"go.yaml.in/yaml/v4"
)

// Webhooks is how the vendor signs what it sends, and what that holds. Its
// methods (signature.go) verify a delivery and sign it anew.
type Webhooks struct {
	// Algorithm is "hmac-sha256" or "hmac-sha1"; Encoding is "base64" or "hex".
	Algorithm, Encoding string
	// Signature is the header that holds the signature.
	Signature string
	// SignaturePrefix stands before the encoded signature ("sha256="); often empty.
	SignaturePrefix string
	// SignaturePart and TimestampPart name the members of a Signature header that is
	// a list, as in "t=1633174587,v1=5257a8..."; both empty where the header is the
	// signature itself. SignaturePart may stand there several times, and one of them
	// has to be right.
	SignaturePart, TimestampPart string
	// Timestamp is the header with the time of sending; empty when the vendor sends
	// none or TimestampPart has it. TimeFormat is "rfc3339" or "unix" (seconds), and
	// empty when there is no time at all.
	Timestamp, TimeFormat string
	// Signed lists what is signed, in order, without separators of its own.
	Signed []SignedPart
	// Tolerance is how far the timestamp may be from now. Without a timestamp it is
	// how long the same signed bytes count as one delivery.
	Tolerance time.Duration
	// Dedupe are the JSON Pointers of the values that together name a delivery; empty
	// without any. See DeliveryID.
	Dedupe []string
	// Operation is what a delivery is called; its Request holds the body's places.
	Operation *Operation
	// HandshakeQuery is the query parameter that makes a GET without a body the
	// vendor's question whether the endpoint exists, which is not signed; empty when
	// the vendor asks none. Handshake is what such a call is called, nil likewise.
	HandshakeQuery string
	Handshake      *Operation
}

// SignedPart is one piece of what a signature covers. Exactly one of its fields
// is set.
type SignedPart struct {
	// Word is "timestamp" (the text as it was sent) or "body" (the bytes as they
	// were sent, before any decoding).
	Word string
	// Text is a literal, such as the "v0:" and ":" between the others.
	Text string
}

// Names of the operations of a route for webhooks.
const (
	operationDelivery  = "webhook.delivery"
	operationHandshake = "webhook.handshake"
)

// defaultTolerance is what most vendors' own libraries use.
const defaultTolerance = 5 * time.Minute

// MaxTolerance bounds how far a timestamp may be from now. What a longer one
// would let in twice would have to be remembered for as long.
const MaxTolerance = 24 * time.Hour

// webhooks reads how the vendor signs deliveries.
func (b *builder) webhooks(n *yaml.Node) *Webhooks {
	r := b.reader
	m := r.object(n, "`webhooks`", []string{"algorithm", "encoding", "signature", "signed"},
		[]string{"signature_prefix", "parts", "timestamp", "time_format", "tolerance", "dedupe", "handshake", "request"})
	w := &Webhooks{
		Algorithm:       r.oneOf(m["algorithm"], "`algorithm`", "hmac-sha256", "hmac-sha1"),
		Encoding:        r.oneOf(m["encoding"], "`encoding`", "base64", "hex"),
		Signature:       r.header(m["signature"], "`signature`"),
		SignaturePrefix: r.text(m["signature_prefix"], "`signature_prefix`"),
		Timestamp:       r.header(m["timestamp"], "`timestamp`"),
		Tolerance:       defaultTolerance,
	}
	if m["parts"] != nil {
		r.parts(m["parts"], w)
	}
	if w.Timestamp != "" && w.TimestampPart != "" {
		r.fail(m["timestamp"], "the timestamp stands in a header and in `parts`", "name one place")
	}
	r.signed(m["signed"], w)
	if timed := m["timestamp"] != nil || w.TimestampPart != ""; timed {
		w.TimeFormat = "rfc3339"
		if m["time_format"] != nil {
			w.TimeFormat = r.oneOf(m["time_format"], "`time_format`", "rfc3339", "unix")
		}
	} else if m["time_format"] != nil {
		r.fail(m["time_format"], "`time_format` belongs to a timestamp", "add `timestamp: HEADER`, or remove it")
	}
	if v := r.text(m["tolerance"], "`tolerance`"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 || d > MaxTolerance {
			r.fail(m["tolerance"], fmt.Sprintf("`tolerance` is %q", v), "write a duration above zero and up to 24h, for instance `5m`")
		}
		w.Tolerance = d
	}
	rules := b.places(m["request"], "`webhooks.request`")
	if m["dedupe"] != nil {
		w.Dedupe = r.pointers(m["dedupe"], "`dedupe`")
		for i, pointer := range w.Dedupe {
			if strings.Contains(pointer, "*") {
				r.fail(m["dedupe"], "`dedupe` points to many places", "name the places of the delivery's own id, without a star")
			}
			rules = append(rules, walk.Rule{Pointer: pointer, Label: LabelDelivery + strconv.Itoa(i), Flags: walk.Wanted | walk.Never})
		}
		if len(w.Dedupe) > maxDedupe {
			r.fail(m["dedupe"], fmt.Sprintf("`dedupe` has more than %d places", maxDedupe), "name the id and what tells the vendor's own bodies from others")
		}
		rules = merge(rules)
	}
	w.Operation = &Operation{
		Name: operationDelivery, Methods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, Pattern: "/**",
		Effect: EffectWrite, Scope: ScopeOne, Mark: MarkSigned,
		RequestRules: rules, Request: b.compile(n, rules),
	}
	if m["handshake"] != nil {
		hm := r.object(m["handshake"], "`handshake`", []string{"query"}, nil)
		w.HandshakeQuery = r.text(hm["query"], "`handshake.query`")
		w.Handshake = &Operation{Name: operationHandshake, Methods: []string{http.MethodGet}, Pattern: "/**",
			Effect: EffectRead, Scope: ScopeOne, Mark: MarkHandshake}
	}
	return w
}

// maxDedupe is far above any vendor's need.
const maxDedupe = 4

// DeliveryID is what a delivery calls itself: the values at the places of Dedupe,
// or nil when one of them is missing. Where people write the body of a webhook
// themselves, an "id" alone may be that of a ticket, which is in many deliveries;
// the other places tell the vendor's own envelope from such a body.
func (w *Webhooks) DeliveryID(doc *walk.Doc) []byte {
	if doc == nil || len(w.Dedupe) == 0 {
		return nil
	}
	var id []byte
	for i := range w.Dedupe {
		label := LabelDelivery + strconv.Itoa(i)
		at := slices.IndexFunc(doc.Captures, func(c walk.Capture) bool { return c.Label == label })
		if at < 0 {
			return nil
		}
		value := doc.Value(doc.Captures[at])
		if len(value) == 0 || string(value) == "null" {
			return nil
		}
		id = strconv.AppendQuote(id, string(value)) // so that no two lists read alike
	}
	return id
}

// parts reads the names of the members of a signature header that is a list.
func (r *reader) parts(n *yaml.Node, w *Webhooks) {
	m := r.object(n, "`parts`", []string{"signature"}, []string{"timestamp"})
	for key, to := range map[string]*string{"signature": &w.SignaturePart, "timestamp": &w.TimestampPart} {
		if m[key] == nil {
			continue
		}
		if *to = r.text(m[key], "`parts."+key+"`"); strings.ContainsAny(*to, "=, ") {
			r.fail(m[key], fmt.Sprintf("`parts.%s` is %q", key, *to), "write the name before the equals sign, for instance `v1`")
		}
	}
	if w.SignaturePart != "" && w.SignaturePart == w.TimestampPart {
		r.fail(n, "both `parts` have the same name", "name the member that holds the signature and the one that holds the time")
	}
}

// signed reads what a signature covers.
func (r *reader) signed(n *yaml.Node, w *Webhooks) {
	has := func(word string) bool {
		return slices.ContainsFunc(w.Signed, func(p SignedPart) bool { return p.Word == word })
	}
	for _, item := range r.list(n, "`signed`") {
		if item.Kind == yaml.MappingNode {
			m := r.object(item, "an entry of `signed`", []string{"text"}, nil)
			if text := r.text(m["text"], "`text`"); text != "" {
				w.Signed = append(w.Signed, SignedPart{Text: text})
			}
			continue
		}
		word := r.oneOf(item, "an entry of `signed`", "timestamp", "body")
		if word == "" {
			continue
		}
		if has(word) {
			r.fail(item, fmt.Sprintf("%q is signed twice", word), "name it once")
			continue
		}
		w.Signed = append(w.Signed, SignedPart{Word: word})
	}
	timed := w.Timestamp != "" || w.TimestampPart != ""
	switch {
	case n == nil:
	case has("timestamp") && !timed:
		r.fail(n, "the timestamp is signed but nothing holds it", "add `timestamp: HEADER`")
	case timed && !has("timestamp"):
		r.fail(n, "there is a timestamp that is not signed", "anybody could renew it; add `timestamp`, or take the header out of the file")
	case !has("body"):
		r.fail(n, "the body is not signed", "a signature that leaves the body out proves nothing about it; add `body`")
	}
}
