package proxy

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/vault"
)

// exchange is one request with its response. The handler makes it, the request
// context carries it through reverse_proxy, the transport finishes it. The two
// halves run one after the other in time, so its fields need no lock; a retry of
// reverse_proxy runs the response half again from its beginning.
type exchange struct {
	h    *Handler
	det  *detection // fixed for both halves, with the policy that decides about them
	gen  *generation
	slot *audit.Slot

	id    audit.ID
	start time.Time

	out   http.Header // of the caller's answer
	http1 bool        // how the caller came

	match   channel.Match
	actor   policy.Actor
	subject vault.Subject // the actor's key and pseudonym
	mail    vault.Subject // those of the e-mail address that it names, or a token proves
	client  string        // the caller's address; sealed, never logged
	network string
	purpose string
	// rollouts are those that the caller is in.
	rollouts []string
	// program is the kind of the program that calls, signed whether it vouches for its
	// own bytes; on routes that observe.
	program string
	signed  bool
	// situation is where and when the call began, in the policy's names; named is how many
	// records it names.
	situation policy.Situation
	named     int
	public    string // scheme and host under which the caller reached us
	origin    string // Origin header of a browser
	accepts   bool   // the caller takes gzip
	login     login  // where the caller can log in, on a route that takes sessions
	session   bool   // the caller counts by a session

	request, response half
	// inner are the calls inside a composite one; partTakes says for each limit of the
	// policy how many calls it counts, of those and of what is done to each of many records.
	inner     folded
	partTakes map[string]int
	// uttered are the messages of the request in conversations, unplaced those in
	// conversations that it begins; earlier are pieces of numbers in calls before.
	uttered  []uttered
	unplaced []message
	earlier  []earlierPiece
	// agreeing is what others have to do with the call.
	agreeing agreeing
	// ruled is what was decided about the whole request: its limits and views count for all
	// that comes. nil where policy failed on a route that observes.
	ruled *policy.Decision
	// limited is the limit of the policy that was reached, alarm says that nobody has
	// been told of it yet.
	limited *policy.RateLimit
	// incident is the one that was opened for that, refusal the id of the event of a refusal
	// that it names.
	incident string
	refusal  audit.ID
	alarm    bool
	// spend is what a call to a processor wants of a token, nil in most; merchant is the
	// account that the call names.
	spend    *spending
	merchant string
	// foreign says that it names one in a form that is not understood: nothing is learned.
	foreign bool
	// hook is the verified delivery of a webhook, nil in every other exchange.
	hook *hook
	// last is the newest durable event, the receipt of the exchange.
	last audit.ID
	// down is why the log does not take this exchange's events, on a route that goes on
	// without; gap is what then stands for them.
	down error
	gap  audit.ID
	// vaultDown is why the exchange goes on without the vault, on a route that does.
	vaultDown error
	// admitted is set when the event that permits forwarding is durable, forwarded
	// when the upstream may have seen the call.
	admitted, forwarded bool
	// added is the credential that the gateway put into the call, nil where it puts none.
	added *added
	// adds is the one that it will put, version that of an access token.
	adds    *added
	version int64
	// asked is when the call was last handed on.
	asked time.Time
	// upstreamEnded is set when the upstream closed the connection before its answer's
	// header was whole.
	upstreamEnded bool
	// final is the refusal that ended the exchange. It is given again to every
	// later attempt of reverse_proxy, so that nothing retries a refusal.
	final *refusal
	// upstreamStatus and record tell a caller what a withheld call did.
	upstreamStatus int
	record         string
	released       bool
	// streaming are the bodies that are judged as they pass; whole says that the
	// caller's HTTP/1.0 has no way to tell a cut answer from a complete one.
	streaming []*stream
	whole     bool
	// wire is how far the request's body was read.
	wire bodyState
	// lingering takes what the caller of a stream is still sending.
	lingering *feed
	// answered is set when an answer of ours begins.
	answered bool
	// caller keeps the upstream's answer together; nil when nothing is to be let go.
	caller *refusingConn
}

// half is what is known of one direction: what was read, found, decided and done.
type half struct {
	body     reading
	decision *policy.Decision
	// found is what was found anywhere but in the body.
	found []outside
	// flags are those of the persons whom this half is about, sorted.
	flags []string
	// records is how many records a stream has had to the end of the window in body.
	records int
	// would is the first refusal that an observing route did not carry out.
	would string
	// counts says per class what becomes of the findings.
	counts []audit.Count
	// subjects and records are the people and objects named in this half.
	people peopleIndex
	// query is the reading of the query string, requests only.
	query *walk.Doc
	// edits are changes of the body beside masks: vendor URLs, masked write-backs.
	edits []walk.Edit
	// withheld counts the masked write-backs among the edits.
	withheld int
	// viewed is how the caller sees the body.
	viewed viewed
	// keeping are the findings that become tokens.
	keeping keeping
}

type exchangeKey struct{}

// exchangeFrom finds the exchange of a request that came through the handler.
func exchangeFrom(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

func (x *exchange) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// observe tells whether this route only watches.
func (x *exchange) observe() bool { return x.h.Observe }

// stop carries out a refusal, or, on a route that observes, notes it and lets
// the exchange go on. It returns nil in the second case.
func (x *exchange) stop(side *half, ref *refusal) *refusal {
	if ref == nil || !x.observe() || unobservable(ref.code) {
		return ref
	}
	if side.would == "" {
		side.would = ref.code
	}
	return nil
}

// unobservable lists refusals that are not an opinion about the call but the
// absence of a way to carry it: there is nothing that could pass.
func unobservable(code string) bool {
	switch code {
	case reasonOverloaded, reasonAuditUnavailable, reasonVaultUnavailable, reasonInternal, reasonIncomplete, reasonReadTimeout,
		reasonUnreachable, reasonUpstreamTimeout, reasonUpstreamAborted, reasonUpstreamProtocol, reasonClientGone, reasonMethod, reasonUpgrade,
		reasonKeyMisplaced, reasonTokenUnavailable, reasonTokenLost:
		return true
	}
	return false
}

// close gives back the slot and the reference that the exchange holds.
func (x *exchange) close() {
	x.settle()
	x.abandonSpend()
	if x.spend != nil {
		clear(x.spend.value)
	}
	x.endDelivery()
	x.endStreams(false)
	if x.lingering != nil {
		<-x.lingering.done
	}
	if x.slot != nil {
		x.slot.Release()
	}
	if err := x.gen.release(); err != nil {
		x.h.logger.Error("closing the data directory", errField(err))
	}
}

// publicBase is the address under which the caller reached the gateway. It is
// what vendor URLs in answers are rewritten to. What a proxy in front of us says
// counts when the server's `trusted_proxies` name it, and from nobody else.
func publicBase(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if p := r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
			scheme = p
		}
		if h := r.Header.Get("X-Forwarded-Host"); h != "" && !strings.ContainsAny(h, ", /@\\") {
			host = h
		}
	}
	return scheme + "://" + host
}
