package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// hook is what an exchange on a route for webhooks knows of its delivery once the
// signature has been verified.
type hook struct {
	signature channel.Signature
	secret    int         // which of the route's secrets fits
	mac       []byte      // the signature's own bytes
	wire      []byte      // what it covers
	target    string      // method and address, as they came
	header    http.Header // the headers that hold it, as they came
	claim     *claim
	// resigned is set when the gateway's changes were signed anew.
	resigned bool
}

// deliveryKeeping is how long a delivery that was taken counts as such. TikTok
// repeats for 72 hours, the longest of the vendors we know, and no timestamp is
// accepted for longer (channel.MaxTolerance).
const deliveryKeeping = 72 * time.Hour

// delivery is the operation of a call on a route for webhooks. The vendor's
// question whether the endpoint exists is one by its method and parameter, as
// long as it says nothing else; everything else has to be signed, whatever its
// method and path. Where only reading shows that nothing else is said, verify
// looks again.
func (x *exchange) delivery(r *http.Request) channel.Match {
	w := x.h.ch.Webhooks
	if w.Handshake != nil && r.Method == http.MethodGet && (!hasBody(r) || unlikelyBody(r)) && r.URL.Query().Has(w.HandshakeQuery) {
		return channel.Match{Op: w.Handshake, Mapped: true}
	}
	return channel.Match{Op: w.Operation, Mapped: true}
}

// verify makes the vendor the actor of a delivery that it signed. The signature
// covers the bytes as they came, so the body is read here, before any decoding,
// and those same bytes are what the next stages read. What the headers alone show
// to be wrong is refused before.
func (x *exchange) verify(w http.ResponseWriter, r *http.Request) *refusal {
	if !x.h.Webhooks {
		return nil
	}
	scheme := x.h.ch.Webhooks
	if x.match.Op == scheme.Handshake && hasBody(r) && !x.peek(w, r) {
		x.match.Op = scheme.Operation // it says something else
	}
	if x.match.Op.Mark != channel.MarkSigned {
		return nil
	}
	if removes(r.Header, scheme.Signature, scheme.Timestamp) {
		return x.stop(&x.request, refuse(reasonHeader))
	}
	d := &hook{target: r.Method + " " + r.URL.RequestURI()}
	var err error
	if d.signature, err = scheme.ParseSignature(r.Header); err == nil {
		err = scheme.Current(d.signature, x.h.app.now(), x.h.tolerance)
	}
	if err != nil {
		return x.stop(&x.request, signatureRefusal(err))
	}
	var ref *refusal
	if d.wire, ref = x.takeBody(w, r); ref != nil {
		return x.stop(&x.request, ref)
	}
	if d.secret, d.mac, err = scheme.Verify(d.signature, d.wire, x.h.secretBytes()); err != nil {
		return x.stop(&x.request, signatureRefusal(err))
	}
	// From here on the headers are ours: what verifies says nothing else, and digits
	// in it are no finding.
	d.header = make(http.Header)
	for _, name := range [...]string{scheme.Signature, scheme.Timestamp} {
		if v := r.Header.Values(name); name != "" && len(v) > 0 {
			d.header[name] = v
			r.Header.Del(name)
		}
	}
	x.hook = d
	ctx, cancel := detached(r.Context())
	defer cancel()
	if x.actor, err = x.det.policy.resolver.Resolve(ctx, policy.Presented{Channel: x.h.ch.Name, Signed: true}); err != nil {
		return refuseErr(policy.RefusalReason(err), err)
	}
	x.rollouts = x.h.app.rollouts(x.det.policy, &x.actor)
	return x.nameActor(ctx)
}

// removes tells whether reverse_proxy would take one of these headers away,
// because the sender calls it hop-by-hop.
func removes(h http.Header, names ...string) bool {
	for _, list := range h.Values("Connection") {
		for item := range strings.SplitSeq(list, ",") {
			for _, name := range names {
				if name != "" && strings.EqualFold(strings.TrimSpace(item), name) {
					return true
				}
			}
		}
	}
	return false
}

// takeBody reads the whole body and puts what it read in its place. When the
// limits stop it, what was read stands before the rest.
func (x *exchange) takeBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	if !hasBody(r) {
		return nil, nil
	}
	rc, l := http.NewResponseController(w), &x.h.Limits
	deadline := time.Now().Add(time.Duration(l.ReadTimeout))
	_ = rc.SetReadDeadline(deadline) // not every writer below supports it; the clock in readAll is the second guard
	x.wire = bodyBegun
	wire, ref := readAll(r.Body, r.ContentLength, l.Body, deadline)
	_ = rc.SetReadDeadline(time.Time{})
	if ref != nil {
		r.Body = (&reading{wire: wire, rest: r.Body}).passing()
		return nil, ref
	}
	x.wire = bodyWhole
	// Trailers are outside of what is signed, and data nobody decided about.
	r.Trailer = nil
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(wire)), int64(len(wire)), nil
	return wire, nil
}

// signatureRefusal names a fault of a signature.
func signatureRefusal(err error) *refusal {
	var fault channel.SignatureFault
	if !errors.As(err, &fault) {
		return refuseErr(reasonInternal, err)
	}
	switch fault {
	case channel.SignatureMissing:
		return refuse(reasonSignatureMissing)
	case channel.SignatureMalformed:
		return refuse(reasonSignatureMalformed)
	case channel.SignatureStale:
		return refuse(reasonSignatureStale)
	case channel.SignatureFuture:
		return refuse(reasonSignatureFuture)
	default:
		return refuse(reasonSignatureInvalid)
	}
}

// resign puts the signature back: as it came where the bytes are those that came,
// and anew, under the same secret and with the vendor's own time, where the
// gateway changed them. The system behind the gateway verifies as it always did.
func (x *exchange) resign(r *http.Request) {
	d := x.hook
	if d == nil {
		return
	}
	maps.Copy(r.Header, d.header)
	if r.GetBody == nil {
		return // nothing, or passed unread: the bytes that came
	}
	sent, err := r.GetBody()
	if err != nil {
		return // setRequestBody's never fails
	}
	body, err := io.ReadAll(sent)
	if err != nil || bytes.Equal(body, d.wire) {
		return
	}
	x.h.ch.Webhooks.Sign(r.Header, d.signature, body, []byte(x.h.secrets[d.secret]))
	d.resigned = true
}

// claimDelivery sees to it that one delivery has one effect. A delivery is the
// same one when its signature is, whatever path it is sent to, or when it has the
// same id under the same secret: the vendor repeats itself with a fresh time. Of
// one without a body, all that it says is in its address, which vendors do not
// sign; there the address has to be the same as well. One that was taken is
// answered and not forwarded; one that failed on its way is free again.
func (x *exchange) claimDelivery(r *http.Request) *refusal {
	d := x.hook
	if d == nil {
		return nil
	}
	scheme, now := x.h.ch.Webhooks, x.h.app.now()
	digest := func(purpose string, b ...[]byte) deliveryKey {
		in := append([][]byte{[]byte(x.h.Route)}, b...)
		return deliveryKey(x.gen.data.Vault.Digest(purpose, bytes.Join(in, []byte{0})))
	}
	kept := now.Add(deliveryKeeping)
	signed := kept
	if scheme.TimeFormat == "" {
		// The same bytes at another time are another delivery.
		signed = now.Add(x.h.tolerance)
	}
	keys := []keptDelivery{{digest("webhook signature", d.mac), signed}}
	if len(d.wire) == 0 {
		keys[0].key = digest("webhook address", d.mac, []byte(d.target))
	}
	if id := scheme.DeliveryID(x.request.body.doc); id != nil {
		secret := x.gen.data.Vault.Digest("webhook secret", []byte(x.h.secrets[d.secret]))
		keys = append(keys, keptDelivery{digest("webhook id", secret, id), kept})
	}
	body := digest("webhook body", d.wire)
	wait := repetitionWait
	if x.observe() {
		wait = 0
	}
	c, err := x.gen.data.deliveries.claim(r.Context(), keys, body[:], now, wait)
	switch {
	case err == nil:
		d.claim = c
		return nil
	case errors.Is(err, errTaken):
		return x.stop(&x.request, refuse(reasonWebhookDuplicate))
	case errors.Is(err, errOtherBody):
		x.h.logger.Warn("a webhook delivery has the id of an earlier one and another body", zap.String("route", x.h.Route), zap.Stringer("exchange", x.id))
		return x.stop(&x.request, refuse(reasonWebhookConflict))
	case errors.Is(err, errUnderWay) && r.Context().Err() != nil:
		return refuse(reasonClientGone)
	case errors.Is(err, errUnderWay):
		return x.stop(&x.request, refuse(reasonWebhookUnderWay))
	default:
		return x.stop(&x.request, refuseErr(reasonWebhookWindow, err))
	}
}

// delivered is called when the upstream has answered, before anything of its
// answer is released: an answer that says it took the delivery is the last one
// that this delivery gets from it, also when the answer is then withheld.
func (x *exchange) delivered(ctx context.Context, status int) {
	if x.hook == nil || x.hook.claim == nil || status < 200 || status > 299 {
		return
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := x.hook.claim.take(ctx, x.h.app.now()); err != nil {
		// It happened, so its answer goes out; withholding it would make the vendor
		// repeat what must not happen twice.
		x.h.logger.Error("a webhook delivery was taken and this could not be written; no other is let through until it is", zap.String("route", x.h.Route), errField(err))
	}
}

// endDelivery lets repetitions of the delivery find out what became of it.
func (x *exchange) endDelivery() {
	if x.hook != nil && x.hook.claim != nil {
		x.hook.claim.end()
	}
}
