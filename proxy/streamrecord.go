package proxy

import (
	"io"
	"strconv"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact/walk"
)

// Types of the further events of a streamed body. The opening one is the
// exchange's own request.decided or response.decided, with the attribute stream.
const (
	eventRequestWindow  = "request.window"
	eventRequestClosed  = "request.closed"
	eventResponseWindow = "response.window"
	eventResponseClosed = "response.closed"
)

// How a stream ended, in its closing event.
const (
	endComplete = "complete"
	endRefused  = "refused"
	endClient   = "client_gone"
	endUpstream = "upstream_aborted"
)

// judge takes one window through the stages of an exchange.
func (s *stream) judge() *refusal {
	x, side := s.x, s.side
	direction, kind := policy.Request, eventRequestWindow
	if side == &x.response {
		direction, kind = policy.Response, eventResponseWindow
	}
	s.count()
	if len(side.body.doc.Findings) > 0 || policy.Round(side.records) > policy.Round(s.asked) || names(side.body.doc) && x.gen.data.Index.AnyFlag(s.ctx) {
		s.asked = max(s.asked, side.records)
		if ref := x.decide(s.req, side, direction); ref != nil {
			return ref
		}
	} else if ref := x.look(side); ref != nil {
		return ref
	}
	if ref := x.takeSubjects(s.ctx, side); ref != nil {
		return ref
	}
	if direction == policy.Request {
		if ref := x.maskedWrite(s.req); ref != nil {
			return ref
		}
	} else {
		x.rewriteURLs(side)
	}
	if ref := x.tokenize(s.ctx, side); ref != nil {
		return ref
	}
	if len(side.body.doc.Findings) > 0 {
		for _, c := range side.counts {
			add(&s.totals, c)
		}
	}
	if !s.eventful() {
		return nil
	}
	ctx, cancel := detached(s.ctx)
	defer cancel()
	if err := x.index(ctx, side); err != nil && !x.withoutVault(err) {
		return refuseErr(reasonVaultUnavailable, err)
	}
	e := x.event(kind, direction, side, s.req.Method)
	e.ID = side.keeping.event(e.ID)
	e.Decision, e.Forwarded, e.Outcome = audit.DecisionAllow, true, audit.OutcomeReleased
	e.Attrs["opened"] = s.opened.String()
	indexed := func() *refusal { return nil }
	if side == &x.response {
		indexed = x.noteRecords(ctx, side, x.upstreamStatus)
	}
	if err := x.append(ctx, e, side, s.req); err != nil {
		return unrecordable(err)
	}
	if ref := indexed(); ref != nil {
		return ref
	}
	s.windows++
	return side.keeping.release(ctx, x.last)
}

// count adds the records of a window to those before it: whoever sends one at a time sends
// as many. A record that several windows name counts in each, because nobody remembers all
// of them for as long as a stream lasts.
func (s *stream) count() {
	doc := s.side.body.doc
	s.units += doc.Units
	if s.side == &s.x.request {
		s.named += len(recordsIn(nil, doc))
	}
	s.side.records = max(s.units, s.named)
}

// eventful tells whether a window has something that the opening event did not
// permit and the closing one will not tell.
func (s *stream) eventful() bool {
	return len(s.side.counts) > 0 || s.side.withheld > 0 || len(s.side.viewed.covered) > 0 || names(s.side.body.doc)
}

// names tells whether a document names a person or a record.
func names(doc *walk.Doc) bool {
	for _, c := range doc.Captures {
		if channel.Indexed(c.Label) && c.Flags&walk.URL == 0 {
			return true
		}
	}
	return false
}

// complete permits the end of the stream: not before it is recorded.
func (s *stream) complete() {
	if err := s.finish(endComplete, nil); err != nil {
		s.out = nil
		s.err = s.cut(refuseErr(reasonAuditUnavailable, err))
		return
	}
	s.whole.Store(true)
	s.err = io.EOF
}

// cut notes why the stream ends here, records it, and returns the error that its
// reader gets. What was permitted and not read yet goes no further.
func (s *stream) cut(ref *refusal) error {
	if s.ctx.Err() != nil {
		ref = refuse(reasonClientGone)
	}
	s.refused.CompareAndSwap(nil, ref)
	s.out = nil
	end := endRefused
	switch ref.code {
	case reasonClientGone, reasonIncomplete:
		end = endClient
	case reasonUpstreamAborted, reasonUpstreamTimeout, reasonUpstreamProtocol:
		end = endUpstream
	}
	if err := s.finish(end, ref); err != nil {
		s.x.h.logger.Error("recording the end of a stream", errField(err))
	}
	return ref
}

// finish records the end of the stream, once.
func (s *stream) finish(end string, ref *refusal) (err error) {
	if s.over {
		return nil
	}
	s.over = true
	defer func() { // it is called when a defect has been met already
		if r := recover(); r != nil {
			s.x.logPanic(r)
			err = errStageFailed
		}
	}()
	x := s.x
	direction, kind := policy.Request, eventRequestClosed
	if s.side == &x.response {
		direction, kind = policy.Response, eventResponseClosed
	}
	would := s.side.would
	*s.side = half{would: would, records: max(s.units, s.named)}
	if s.unread != "" && !s.fromStart {
		s.side.body.unread = s.unread
		countFor(&s.side.counts, notInspected).NotInspected++
	}
	e := x.event(kind, direction, s.side, s.req.Method)
	e.Decision, e.Forwarded, e.Outcome = audit.DecisionAllow, true, audit.OutcomeReleased
	if end != endComplete {
		e.Outcome = audit.OutcomeCut
	}
	if ref != nil {
		e.Reason = ref.code
		if end == endRefused {
			e.Decision = audit.DecisionDeny
		}
	}
	e.Attrs["opened"], e.Attrs["end"] = s.opened.String(), end
	e.Attrs["bytes"], e.Attrs["windows"] = strconv.FormatInt(s.bytes, 10), strconv.Itoa(s.windows)
	if did := summary(s.totals); did != "" {
		e.Attrs["findings"] = did
	}
	x.noteVault(&e, ref)
	x.h.app.metrics.streamed(x.h.Route, direction, end, s.bytes)
	ctx, cancel := detached(s.ctx)
	defer cancel()
	return x.append(ctx, e, s.side, s.req)
}

func add(counts *[]audit.Count, c audit.Count) {
	to := countFor(counts, c.Class)
	to.Clear += c.Clear
	to.Masked += c.Masked
	to.Tokenized += c.Tokenized
	to.Dropped += c.Dropped
	to.NotInspected += c.NotInspected
}
