package console

import (
	"net/http"
	"slices"
	"strings"
)

// prefix is where the API begins.
const prefix = "/api/v1"

// route is one line of the API. The pattern's {parameter} is one segment.
type route struct {
	method, pattern string
	operation       Operation // Method is filled in for each call
	// decode reads and checks the body. It is nil for calls that have none.
	decode func(body []byte) (any, *Refusal)
	// limit bounds the body in bytes; maxBody when zero.
	limit int64
	// names is what the parameter is called in the log: key when empty.
	names string
	// prepare, where set, completes the operation and its record with what the body says.
	// Policy is asked again then.
	prepare func(a *api, c *callState, rec *Record) *Refusal
	// act carries the call out.
	act func(a *api, c *callState) (answer, *Refusal)
	// recorded tells that act changes something, or answers a question about people,
	// and needs the audit log.
	recorded bool
}

// Effects of the API's operations.
const (
	effectRead  = "read"
	effectWrite = "write"
	effectAdmin = "admin"
	scopeBulk   = "bulk"
)

// prepared are operations that a call turns out to be once its body is read.
var prepared = [...]string{operationUnproven, operationRevealFull}

// OperationNames are the operations of the API, as policy knows them, sorted.
func OperationNames() []string {
	names := slices.Clone(prepared[:])
	for _, r := range routes() {
		names = append(names, r.operation.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Operations by what the body of a call says.
const (
	operationUnproven   = "incident.notice_unproven"
	operationRevealFull = "token.reveal_full"
)

// routes is the whole API. openapi.json describes each line.
func routes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/openapi.json",
			operation: Operation{Name: "openapi.read", Effect: effectRead, Mark: "anonymous"}, act: readOpenAPI},
		{method: http.MethodGet, pattern: "/status",
			operation: Operation{Name: "status.read", Effect: effectRead}, act: readStatus},
		{method: http.MethodGet, pattern: "/observed",
			operation: Operation{Name: "observed.read", Effect: effectRead}, act: readObserved},
		{method: http.MethodGet, pattern: "/events/{receipt}",
			operation: Operation{Name: "event.read", Effect: effectRead}, act: readEvent},
		// A question about a person is on record like a change: who asked, and when.
		{method: http.MethodPost, pattern: "/events/search",
			operation: Operation{Name: "audit.search", Effect: effectRead}, decode: decodeSearch, act: searchEvents, recorded: true},
		{method: http.MethodPost, pattern: "/exposures/search",
			operation: Operation{Name: "audit.exposures", Effect: effectRead}, decode: decodeSearch, act: searchExposures, recorded: true},
		{method: http.MethodPost, pattern: "/policy/replay",
			operation: Operation{Name: "policy.replay", Effect: effectRead}, decode: decodeDraft, limit: maxDraft, act: replayPolicy, recorded: true},
		{method: http.MethodGet, pattern: "/apikeys",
			operation: Operation{Name: "apikey.list", Effect: effectAdmin}, act: listAPIKeys},
		{method: http.MethodPost, pattern: "/apikeys",
			operation: Operation{Name: "apikey.create", Effect: effectAdmin}, decode: decodeNewKey, prepare: prepareChange, act: createAPIKey, recorded: true},
		{method: http.MethodPost, pattern: "/apikeys/{id}/rotate",
			operation: Operation{Name: "apikey.rotate", Effect: effectAdmin}, decode: decodeRotation, prepare: prepareChange, act: rotateAPIKey, recorded: true},
		{method: http.MethodDelete, pattern: "/apikeys/{id}",
			operation: Operation{Name: "apikey.revoke", Effect: effectAdmin}, prepare: prepareChange, act: revokeAPIKey, recorded: true},
		{method: http.MethodGet, pattern: "/sessions",
			operation: Operation{Name: "session.list", Effect: effectAdmin}, act: listSessions},
		{method: http.MethodDelete, pattern: "/sessions/{id}",
			operation: Operation{Name: "session.revoke", Effect: effectAdmin}, names: "session", prepare: prepareChange, act: revokeSession, recorded: true},
		// A plan is a question about persons, and on record like the deed.
		{method: http.MethodPost, pattern: "/subjects/erase",
			operation: Operation{Name: "subject.erase", Effect: effectAdmin}, decode: decodeErasure, act: eraseSubjects, recorded: true},
		{method: http.MethodPost, pattern: "/subjects/records",
			operation: Operation{Name: "subject.records", Effect: effectRead}, decode: decodeRecordQuestion, act: subjectRecords, recorded: true},
		{method: http.MethodPost, pattern: "/subjects/flags",
			operation: Operation{Name: "subject.flag_set", Effect: effectAdmin}, decode: decodeNewFlag, act: setFlags, recorded: true},
		{method: http.MethodPost, pattern: "/subjects/flags/end",
			operation: Operation{Name: "subject.flag_end", Effect: effectAdmin}, decode: decodeFlagEnd, act: endFlags, recorded: true},
		{method: http.MethodPost, pattern: "/subjects/flags/list",
			operation: Operation{Name: "subject.flags", Effect: effectRead}, decode: decodeFlagQuestion, act: listFlags, recorded: true},
		{method: http.MethodPost, pattern: "/imports",
			operation: Operation{Name: "channel.import", Effect: effectAdmin}, decode: decodeNewImport, act: beginImport, recorded: true},
		{method: http.MethodPost, pattern: "/imports/{id}/next",
			operation: Operation{Name: "channel.import_page", Effect: effectAdmin}, names: "import", act: nextImport, recorded: true},
		{method: http.MethodPost, pattern: "/keys/rotate",
			operation: Operation{Name: "keys.rotate", Effect: effectAdmin}, decode: decodeRotateKeys, prepare: prepareChange, act: rotateKeys, recorded: true},
		{method: http.MethodGet, pattern: "/approvals",
			operation: Operation{Name: "approval.list", Effect: effectRead}, act: listApprovals},
		{method: http.MethodGet, pattern: "/approvals/{id}",
			operation: Operation{Name: "approval.read", Effect: effectRead}, act: readApproval},
		{method: http.MethodPost, pattern: "/approvals/{id}/give",
			operation: Operation{Name: "approval.give", Effect: effectAdmin}, decode: decodeTerms, names: "approval", prepare: prepareChange, act: giveApproval, recorded: true},
		{method: http.MethodPost, pattern: "/approvals/{id}/refuse",
			operation: Operation{Name: "approval.refuse", Effect: effectAdmin}, names: "approval", act: refuseApproval, recorded: true},
		{method: http.MethodGet, pattern: "/access/reviews",
			operation: Operation{Name: "access.list", Effect: effectRead}, act: listReviews},
		{method: http.MethodPost, pattern: "/access/reviews",
			operation: Operation{Name: "access.open", Effect: effectAdmin}, decode: decodeNewReview, act: openReview, recorded: true},
		{method: http.MethodGet, pattern: "/access/reviews/{id}",
			operation: Operation{Name: "access.read", Effect: effectRead}, act: readReview},
		{method: http.MethodPost, pattern: "/access/reviews/{id}/decide",
			operation: Operation{Name: "access.decide", Effect: effectAdmin}, decode: decodeReviewDecision, names: "review", act: decideReview, recorded: true},
		{method: http.MethodPost, pattern: "/access/reviews/{id}/close",
			operation: Operation{Name: "access.close", Effect: effectAdmin}, names: "review", prepare: prepareClosing, act: closeReview, recorded: true},
		{method: http.MethodGet, pattern: "/access/reviews/{id}/report",
			operation: Operation{Name: "access.report", Effect: effectRead}, act: reportReview},
		{method: http.MethodPost, pattern: "/access/imports",
			operation: Operation{Name: "access.import", Effect: effectAdmin}, decode: decodeAccountFile, limit: maxAccountFile, prepare: prepareChange, act: importAccounts, recorded: true},
		{method: http.MethodPost, pattern: "/retention/plan",
			operation: Operation{Name: "retention.plan", Effect: effectRead}, decode: decodeRetentionQuestion, limit: maxSchedule, act: planRetention, recorded: true},
		{method: http.MethodGet, pattern: "/retention/runs",
			operation: Operation{Name: "retention.list", Effect: effectRead}, act: listPurges},
		{method: http.MethodPost, pattern: "/retention/runs",
			operation: Operation{Name: "retention.prepare", Effect: effectWrite}, decode: decodePurge, limit: maxSchedule, act: preparePurge, recorded: true},
		{method: http.MethodGet, pattern: "/retention/runs/{id}",
			operation: Operation{Name: "retention.read", Effect: effectRead}, act: readPurge},
		{method: http.MethodPost, pattern: "/retention/runs/{id}/start",
			operation: Operation{Name: "retention.start", Effect: effectAdmin}, names: "run", prepare: preparePurgeStart, act: startPurge, recorded: true},
		{method: http.MethodPost, pattern: "/retention/runs/{id}/next",
			operation: Operation{Name: "retention.next", Effect: effectAdmin}, names: "run", act: nextPurge, recorded: true},
		{method: http.MethodGet, pattern: "/retention/runs/{id}/certificate",
			operation: Operation{Name: "retention.certificate", Effect: effectRead}, act: certifyPurge},
		{method: http.MethodGet, pattern: "/holds",
			operation: Operation{Name: "hold.list", Effect: effectRead}, act: listHolds},
		{method: http.MethodPost, pattern: "/holds",
			operation: Operation{Name: "hold.place", Effect: effectWrite}, decode: decodeNewHold, limit: maxHoldBody, act: placeHold, recorded: true},
		{method: http.MethodGet, pattern: "/holds/{id}",
			operation: Operation{Name: "hold.read", Effect: effectRead}, act: readHold},
		{method: http.MethodPost, pattern: "/holds/{id}/lift",
			operation: Operation{Name: "hold.lift", Effect: effectAdmin}, decode: decodeLift, names: "hold", act: liftHold, recorded: true},
		{method: http.MethodPost, pattern: "/holds/{id}/approve-lift",
			operation: Operation{Name: "hold.approve_lift", Effect: effectAdmin}, names: "hold", act: approveLift, recorded: true},
		{method: http.MethodGet, pattern: "/access/reveals",
			operation: Operation{Name: "access.reveals", Effect: effectRead}, act: listRevealRights},
		{method: http.MethodPost, pattern: "/access/reveals/renew",
			operation: Operation{Name: "access.renew", Effect: effectAdmin}, decode: decodeRenewal, prepare: prepareRenewal, act: renewRevealRight, recorded: true},
		{method: http.MethodGet, pattern: "/incidents",
			operation: Operation{Name: "incident.list", Effect: effectRead}, act: listIncidents},
		{method: http.MethodPost, pattern: "/incidents",
			operation: Operation{Name: "incident.open", Effect: effectAdmin}, decode: decodeNewIncident, act: openIncident, recorded: true},
		{method: http.MethodGet, pattern: "/incidents/{id}",
			operation: Operation{Name: "incident.read", Effect: effectRead}, act: readIncident},
		{method: http.MethodPost, pattern: "/incidents/{id}/aware",
			operation: Operation{Name: "incident.aware", Effect: effectAdmin}, decode: decodeIncidentDecision, names: "incident", act: decideIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/scope",
			operation: Operation{Name: "incident.scope", Effect: effectAdmin}, decode: decodeIncidentScope, names: "incident", act: scopeIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/notices",
			operation: Operation{Name: "incident.notice", Effect: effectAdmin}, decode: decodeIncidentNotice, names: "incident", prepare: prepareIncidentNotice, act: noticeIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/waive",
			operation: Operation{Name: "incident.waive", Effect: effectAdmin}, decode: decodeIncidentWaiver, names: "incident", act: waiveIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/restore",
			operation: Operation{Name: "incident.restore", Effect: effectAdmin}, decode: decodeIncidentWaiver, names: "incident", act: restoreIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/ack",
			operation: Operation{Name: "incident.ack", Effect: effectAdmin}, decode: decodeIncidentAck, names: "incident", act: ackIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/close",
			operation: Operation{Name: "incident.close", Effect: effectAdmin}, names: "incident", act: closeIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/dismiss",
			operation: Operation{Name: "incident.dismiss", Effect: effectAdmin}, decode: decodeDismissal, names: "incident", act: dismissIncident, recorded: true},
		{method: http.MethodPost, pattern: "/incidents/{id}/affected",
			operation: Operation{Name: "incident.affected", Effect: effectRead}, decode: decodeAffected, names: "incident", act: affectedByIncident, recorded: true},
		{method: http.MethodGet, pattern: "/duties",
			operation: Operation{Name: "duty.list", Effect: effectRead}, act: listDuties},
		{method: http.MethodPost, pattern: "/duties/retry",
			operation: Operation{Name: "duty.retry", Effect: effectAdmin}, decode: decodeDutyRetry, act: retryDuty, recorded: true},
		{method: http.MethodPost, pattern: "/duties/clock",
			operation: Operation{Name: "duty.trust_clock", Effect: effectAdmin}, decode: decodeDismissal, act: trustClock, recorded: true},
		{method: http.MethodGet, pattern: "/requests",
			operation: Operation{Name: "request.list", Effect: effectRead}, act: listRequests},
		{method: http.MethodPost, pattern: "/requests",
			operation: Operation{Name: "request.open", Effect: effectWrite}, decode: decodeNewRequest, act: openRequest, recorded: true},
		{method: http.MethodGet, pattern: "/requests/{id}",
			operation: Operation{Name: "request.read", Effect: effectRead}, act: readRequest},
		// Who asks, and what is known of a person who has proven to be the one, is answered on
		// record.
		{method: http.MethodPost, pattern: "/requests/{id}/requester",
			operation: Operation{Name: "request.requester", Effect: effectAdmin}, names: "request", act: readRequester, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/records",
			operation: Operation{Name: "request.records", Effect: effectAdmin}, decode: decodeRequestRecords, names: "request", act: requestRecords, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/items",
			operation: Operation{Name: "request.items", Effect: effectAdmin}, decode: decodeRequestItems, names: "request", act: requestItems, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/acknowledge",
			operation: Operation{Name: "request.acknowledge", Effect: effectAdmin}, decode: decodeRequestChange("acknowledge", "notice", "at"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/verify",
			operation: Operation{Name: "request.verify", Effect: effectAdmin}, decode: decodeRequestChange("verify", "method", "proof", "at", "names", "authority", "failed"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/reauthenticate",
			operation: Operation{Name: "request.reauthenticate", Effect: effectAdmin}, decode: decodeRequestChange("reauthenticate", "method", "proof", "at"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/pause",
			operation: Operation{Name: "request.pause", Effect: effectAdmin}, decode: decodeRequestChange("pause", "cause", "notice", "at"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/resume",
			operation: Operation{Name: "request.resume", Effect: effectAdmin}, decode: decodeRequestChange("resume", "at"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/restart",
			operation: Operation{Name: "request.restart", Effect: effectAdmin}, decode: decodeRequestChange("restart", "cause", "from"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/extend",
			operation: Operation{Name: "request.extend", Effect: effectAdmin}, decode: decodeRequestChange("extend", "reason", "notice", "at"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/note",
			operation: Operation{Name: "request.note", Effect: effectAdmin}, decode: decodeRequestChange("note", "items", "rest"), limit: maxRequestBody, names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/answer",
			operation: Operation{Name: "request.answer", Effect: effectAdmin}, decode: decodeRequestChange("answer", "notice"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/refuse",
			operation: Operation{Name: "request.refuse", Effect: effectAdmin}, decode: decodeRequestChange("refuse", "reason", "notice"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/withdraw",
			operation: Operation{Name: "request.withdraw", Effect: effectAdmin}, decode: decodeRequestChange("withdraw", "notice"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/requests/{id}/duplicate",
			operation: Operation{Name: "request.duplicate", Effect: effectAdmin}, decode: decodeRequestChange("duplicate", "other", "notice"), names: "request", act: changeRequest, recorded: true},
		{method: http.MethodPost, pattern: "/tokens/reveal",
			operation: Operation{Name: "token.reveal", Effect: effectAdmin}, decode: decodeReveal, prepare: prepareReveal, act: revealTokens, recorded: true},
		{method: http.MethodPost, pattern: "/tokens/verify",
			operation: Operation{Name: "token.verify", Effect: effectRead}, decode: decodeVerify, prepare: prepareVerify, act: verifyToken, recorded: true},
	}
}

// find returns the route of a call with its parameter, or the methods that the
// path has.
func find(method, path string) (found *route, param string, allowed []string) {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return nil, "", nil
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, r := range routes() {
		p, ok := match(r.pattern, rest)
		switch {
		case !ok:
		case r.method == method:
			return &r, p, nil
		default:
			allowed = append(allowed, r.method)
		}
	}
	slices.Sort(allowed)
	return nil, "", allowed
}

// match compares segment by segment. A parameter is what names and receipts are
// made of, so that nothing in it has to be decoded.
func match(pattern, path string) (param string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	for i, segment := range want {
		switch {
		case strings.HasPrefix(segment, "{"):
			if !isWord(got[i]) {
				return "", false
			}
			param = got[i]
		case segment != got[i]:
			return "", false
		}
	}
	return param, true
}

// maxWord bounds ids in paths: longer than any id or receipt.
const maxWord = 64

// isWord tells whether s is 1 to maxWord of letters, digits, dash and underscore.
func isWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
