package console

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
)

// maxBody bounds the body of a call: the longest wish, a key with 256 grants of
// 128 bytes, is half of it.
const maxBody = 64 << 10

// undoTime bounds the undoing of a change whose event could not be recorded. The
// caller may be gone, so it has its own clock.
const undoTime = 10 * time.Second

// callState is one call while it is carried out.
type callState struct {
	ctx context.Context
	// caller ends when the caller is gone. What changes something goes on by ctx.
	caller context.Context
	param  string // the id or receipt in the path
	named  string // what the log calls it
	actor  Actor
	// operation is what was decided about; records and bound are what it is about, where
	// others may have to agree.
	operation Operation
	records   int
	bound     []string
	// agreed are those who have agreed to it, ticket is its change ticket.
	agreed []string
	ticket string
	body   any // what the route's decode returned
}

// answer is what a deed came to.
type answer struct {
	status   int
	body     any    // nil for none
	location string // of what was made
	attrs    map[string]string
	about    any // for the Journal
	// undo takes a change back whose event could not be recorded; nil when it
	// cannot be taken back, or does no harm.
	undo func(ctx context.Context) error
}

// call carries out one call of the API, top to bottom.
func (a *api) call(w http.ResponseWriter, r *http.Request) {
	if ref := a.checkOrigin(r); ref != nil {
		a.writeProblem(w, r, ref, "")
		return
	}
	route, param, allowed := find(r.Method, r.URL.EscapedPath())
	if route == nil {
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			a.writeProblem(w, r, refuse(reasonMethod, "", nil), "")
			return
		}
		a.writeProblem(w, r, refuse(reasonNotFound, "", nil), "")
		return
	}
	op := route.operation
	op.Method = r.Method

	actor, err := a.Identify(r)
	if err != nil {
		var ref *Refusal
		if !errors.As(err, &ref) {
			ref = refuse(reasonCredential, "", err)
		}
		a.deny(w, r, Record{Actor: actor, Operation: op, Decision: Decision{Reason: ref.Code}}, ref)
		return
	}
	if actor.Cookie && r.Method != http.MethodGet && r.Method != http.MethodHead && !ownPage(r) {
		a.deny(w, r, Record{Actor: actor, Operation: op, Decision: Decision{Reason: reasonOrigin}}, refuse(reasonOrigin, "", nil))
		return
	}
	decision, err := a.Authorize(r.Context(), actor, op)
	if err != nil {
		decision = Decision{Reason: reasonPolicyError}
	}
	if !decision.Allow && !(route.prepare != nil && decision.Reason == reasonNeedsApproval) {
		if decision.Reason == "" {
			decision.Reason = reasonPolicy
		}
		a.deny(w, r, Record{Actor: actor, Operation: op, Decision: decision}, refuse(decision.Reason, "", err))
		return
	}

	state := &callState{ctx: r.Context(), caller: r.Context(), param: param, named: cmp.Or(route.names, "key"), actor: actor}
	if ref := readBody(w, r, route, state); ref != nil {
		a.writeProblem(w, r, ref, "")
		return
	}
	rec := Record{Actor: actor, Operation: op, Decision: decision}
	if route.recorded {
		var ref *Refusal
		if rec.Ticket, ref = ticketOf(r); ref != nil {
			a.writeProblem(w, r, ref, "")
			return
		}
		state.ticket = rec.Ticket
	}
	if route.prepare != nil {
		if ref := route.prepare(a, state, &rec); ref != nil {
			a.logFailure(op, actor, ref)
			a.writeProblem(w, r, ref, "")
			return
		}
		if ref := a.agree(r, state, &rec); ref != nil {
			a.deny(w, r, rec, ref)
			return
		}
		state.operation = rec.Operation
	}
	if route.recorded {
		a.recorded(w, r, route, state, rec)
		return
	}
	ans, ref := route.act(a, state)
	if ref != nil {
		a.logFailure(op, actor, ref)
		a.writeProblem(w, r, ref, "")
		return
	}
	a.write(w, r, ans, "")
}

// recorded carries out a call between two events: one
// before, so that nothing is done that the log cannot hold, and one after, with
// what was done.
func (a *api) recorded(w http.ResponseWriter, r *http.Request, route *route, state *callState, rec Record) {
	// A caller who hangs up does not stop a change half way.
	ctx, entry, ok := a.begin(w, r, rec)
	if !ok {
		return
	}
	defer entry.End()
	used, agreed := rec.Attrs["approval"], rec.Attrs["approved_by"]
	if state.param != "" {
		if rec.Attrs == nil {
			rec.Attrs = make(map[string]string, 1)
		}
		rec.Attrs[state.named] = state.param // in place of used, where it is an approval that is given
	}
	if _, err := entry.Record(ctx, rec); err != nil {
		a.auditFailed(w, r, rec, err)
		return
	}
	state.ctx = ctx
	ans, ref := route.act(a, state)
	rec.Done = true
	if ref != nil {
		a.logFailure(rec.Operation, rec.Actor, ref)
		rec.Reason, rec.Status = ref.Code, a.reason(ref.Code).Status
	} else {
		if used != "" {
			ans.attrs["approval"], ans.attrs["approved_by"] = cmp.Or(ans.attrs["approval"], used), agreed
		}
		rec.Attrs, rec.Status, rec.About = ans.attrs, ans.status, ans.about
	}
	receipt, err := entry.Record(ctx, rec)
	if err != nil {
		if ans.undo != nil {
			undoing, cancel := context.WithTimeout(ctx, undoTime)
			defer cancel()
			if undoErr := ans.undo(undoing); undoErr != nil {
				a.logger.Error("a change that could not be recorded could not be undone either",
					"operation", rec.Operation.Name, "attrs", rec.Attrs, "error", undoErr)
			}
		}
		a.auditFailed(w, r, rec, err)
		return
	}
	if ref != nil {
		a.writeProblem(w, r, ref, receipt)
		return
	}
	a.logger.Info("carried out through the API", "operation", rec.Operation.Name, "actor", rec.Actor.ID,
		"attrs", rec.Attrs, "receipt", receipt)
	a.write(w, r, ans, receipt)
}

// begin opens the record of a call, with a context that outlives its caller's patience,
// or answers that there can be none.
func (a *api) begin(w http.ResponseWriter, r *http.Request, rec Record) (context.Context, Entry, bool) {
	ctx := context.WithoutCancel(r.Context())
	entry, err := a.Journal.Begin(ctx)
	if err != nil {
		a.auditFailed(w, r, rec, err)
		return ctx, nil, false
	}
	return ctx, entry, true
}

// deny records a denial and answers with it.
func (a *api) deny(w http.ResponseWriter, r *http.Request, rec Record, ref *Refusal) {
	if ref.err != nil {
		a.logFailure(rec.Operation, rec.Actor, ref)
	}
	rec.Done, rec.Reason, rec.Status = true, ref.Code, a.reason(ref.Code).Status
	// A caller who hangs up does not erase the record of what was tried.
	ctx, entry, ok := a.begin(w, r, rec)
	if !ok {
		return
	}
	defer entry.End()
	receipt, err := entry.Record(ctx, rec)
	if err != nil {
		a.auditFailed(w, r, rec, err)
		return
	}
	a.writeProblem(w, r, ref, receipt)
}

// auditFailed answers when the log took no event.
func (a *api) auditFailed(w http.ResponseWriter, r *http.Request, rec Record, err error) {
	ref := refuse(reasonAudit, "", err)
	a.logFailure(rec.Operation, rec.Actor, ref)
	a.writeProblem(w, r, ref, "")
}

func (a *api) logFailure(op Operation, actor Actor, ref *Refusal) {
	level := slog.LevelInfo
	if s := a.reason(ref.Code).Status; s >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	a.logger.Log(context.Background(), level, "call of the API refused",
		"operation", op.Name, "actor", actor.ID, "reason", ref.Code, "error", ref.err)
}

// write sends the answer of a deed.
func (a *api) write(w http.ResponseWriter, r *http.Request, ans answer, receipt string) {
	if receipt != "" {
		w.Header().Set(headerReceipt, receipt)
	}
	if ans.location != "" {
		w.Header().Set("Location", ans.location)
	}
	if ans.body == nil {
		w.WriteHeader(ans.status)
		return
	}
	writeJSON(w, r, ans.status, "application/json", ans.body)
}

// readBody reads and decodes the body of a route that has one, and refuses one
// where none belongs.
func readBody(w http.ResponseWriter, r *http.Request, route *route, state *callState) *Refusal {
	limit := cmp.Or(route.limit, maxBody)
	if route.decode == nil {
		limit = 0
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(reasonTooLarge, "", nil)
	case err != nil:
		return refuse(reasonSyntax, "the body ended early", err)
	case route.decode == nil:
		return nil
	}
	if len(body) > 0 {
		media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || media != "application/json" || len(params) > 1 ||
			(len(params) == 1 && !strings.EqualFold(params["charset"], "utf-8")) {
			return refuse(reasonType, "", nil)
		}
		if r.Header.Get("Content-Encoding") != "" {
			return refuse(reasonType, "content-coding is not taken here", nil)
		}
	}
	var ref *Refusal
	state.body, ref = route.decode(body)
	return ref
}
