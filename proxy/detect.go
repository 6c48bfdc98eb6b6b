package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// outside is a finding that is not in the body.
type outside struct {
	place   string // policy.PlaceQuery, PlacePath or PlaceHeader
	header  string // the header's name
	index   int    // which of its values
	finding redact.Finding
}

// maxQueryValues bounds a query string on its own: servers cap the number of
// parameters that they read at about a thousand and drop or pass the rest unseen.
const maxQueryValues = 1000

// detectRequest reads everything a request consists of, strictly and once.
func (x *exchange) detectRequest(r *http.Request) *refusal {
	side := &x.request
	if ref := x.detectQuery(r); ref != nil {
		if ref = x.stop(side, ref); ref != nil {
			return ref
		}
	}
	x.detectPath(r)
	x.detectHeaders(side, r.Header)
	return x.detectBody(side, x.match.Op.Request)
}

// detectBody parses one body with the places of its operation.
func (x *exchange) detectBody(side *half, fields *walk.Fields) *refusal {
	b := &side.body
	if !b.present || b.unread != "" {
		return nil
	}
	kind := b.kind
	if kind == walk.Text && looksJSON(b.plain) {
		// Whoever parses this as JSON in spite of its type must find what we found.
		if doc, err := walk.Parse(walk.JSON, b.plain, x.h.app.detector, fields, x.h.Limits.walk()); err == nil {
			b.doc = doc
			return nil
		}
	}
	doc, err := walk.Parse(kind, b.plain, x.h.app.detector, fields, x.h.Limits.walk())
	if err != nil {
		return x.leaveUnread(side, b, nil, walkRefusal(err))
	}
	b.doc = doc
	if side == &x.response {
		x.name(side) // whatever is decided about the answer
	}
	return nil
}

func looksJSON(b []byte) bool {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '{', '[', '"':
			return true
		}
		return false
	}
	return false
}

// walkRefusal keeps the walker's code and offset.
func walkRefusal(err error) *refusal {
	var w *walk.Refusal
	if errors.As(err, &w) {
		return &refusal{code: w.Reason, offset: w.Offset}
	}
	return refuseErr(reasonInternal, err)
}

// detectQuery reads the query string as a form. Parameters that the channel file
// names as ids are counted out: cursors and times are digits by nature.
func (x *exchange) detectQuery(r *http.Request) *refusal {
	if r.URL.RawQuery == "" {
		return nil
	}
	doc, err := walk.Parse(walk.Form, []byte(r.URL.RawQuery), x.h.app.detector, nil, walk.Limits{Values: maxQueryValues})
	if err != nil {
		return refuseErr(reasonQuery, err)
	}
	for _, f := range doc.Findings {
		if f.Place != redact.PlaceKey && x.match.Op.Query(parameter(f.Path)).ID {
			continue
		}
		x.request.found = append(x.request.found, outside{place: policy.PlaceQuery, finding: f})
	}
	x.request.query = doc
	return nil
}

// parameter turns the walker's path "/name" into the parameter's name.
func parameter(path string) string {
	name := strings.TrimPrefix(path, "/")
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
}

// detectPath looks at the segments that the pattern does not name as ids.
func (x *exchange) detectPath(r *http.Request) {
	if strings.IndexFunc(r.URL.Path, func(c rune) bool { return c >= '0' && c <= '9' || c > 127 }) < 0 {
		return
	}
	for segment := range strings.SplitSeq(r.URL.Path, "/") {
		if x.isID(segment) {
			continue
		}
		for _, f := range x.h.app.detector.Text(nil, []byte(segment), detect.Hint{}) {
			x.request.found = append(x.request.found, outside{place: policy.PlacePath, finding: f})
		}
	}
}

// isID tells whether a decoded path segment is the value of an id parameter.
func (x *exchange) isID(segment string) bool {
	for _, p := range x.match.Params {
		if p.ID && (segment == p.Value || strings.TrimSuffix(segment, ".json") == p.Value) {
			return true
		}
	}
	return false
}

// detectHeaders looks into headers that are not part of HTTP itself. Names that
// sound like ids are treated as the walker treats such keys.
func (x *exchange) detectHeaders(side *half, h http.Header) {
	for name, values := range h {
		if standardHeader(name) {
			continue
		}
		for i, v := range values {
			for _, f := range x.h.app.detector.Text(nil, []byte(v), detect.Hint{Key: name}) {
				side.found = append(side.found, outside{place: policy.PlaceHeader, header: name, index: i, finding: f})
			}
		}
	}
}

// standardHeader tells the fields of HTTP, of browsers and of credentials, whose
// values have a grammar of their own, from the fields in which people and
// programs put text.
func standardHeader(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Age", "Allow", "Alt-Svc", "Authorization",
		"Cache-Control", "Connection", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
		"Content-Range", "Content-Security-Policy", "Content-Type", "Cookie", "Date", "Dnt", "Etag", "Expect", "Expires", "Forwarded",
		"Host", "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive",
		"Last-Modified", "Origin", "Pragma", "Priority", "Proxy-Authenticate", "Proxy-Authorization", "Range", "Referrer-Policy",
		"Retry-After", "Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Upgrade-Insecure-Requests", "User-Agent", "Vary", "Via", "Www-Authenticate",
		"X-Content-Type-Options", "X-Frame-Options", "X-Xss-Protection", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Real-Ip", "Traceparent", "Tracestate":
		return true
	}
	return strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Access-Control-")
}

// decodeOnce percent-decodes a path.
func decodeOnce(escaped string) (string, error) { return url.PathUnescape(escaped) }
