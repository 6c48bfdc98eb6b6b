package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
)

// detectHeaders looks into headers that are not part of HTTP itself, and into
// the names of all. Names that sound like ids are treated as the walker treats
// such keys.
func (x *exchange) detectHeaders(side *half, h http.Header) {
	for name, values := range h {
		if knownHeader(name) || x.h.ch.Payments != nil && strings.EqualFold(name, x.h.ch.Payments.Idempotency) {
			continue // our own list of names: there is nothing to find in one
		}
		// The hyphens of a name join its words; digits behind one are no reference.
		for _, f := range x.det.detector.Text(nil, []byte(strings.ReplaceAll(name, "-", " ")), detect.Hint{}) {
			side.found = append(side.found, outside{place: policy.PlaceKey, finding: f})
		}
		if strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Access-Control-") {
			continue // families of the same kind, see knownHeader
		}
		for i, v := range values {
			for _, f := range x.headerFindings(v, detect.Hint{Key: name}) {
				f.place, f.header, f.index = policy.PlaceHeader, name, i
				side.found = append(side.found, f)
			}
		}
	}
}

// headerFindings reads one value twice: as it stands, and percent-decoded, as it
// is read where it holds an address (Referer, Location, Link) or a file name
// (RFC 8187). The findings are sorted and do not overlap.
func (x *exchange) headerFindings(v string, hint detect.Hint) []outside {
	var out []outside
	for _, f := range x.det.detector.Text(nil, []byte(v), hint) {
		out = append(out, outside{finding: f})
	}
	plain, at := percentDecoded(v)
	if at == nil {
		return out
	}
	for _, f := range x.det.detector.Text(nil, plain, hint) {
		f.Start, f.End = at[f.Start], at[f.End]
		if !slices.ContainsFunc(out, func(o outside) bool { return f.Start < o.finding.End && o.finding.Start < f.End }) {
			out = append(out, outside{finding: f, encoded: true})
		}
	}
	slices.SortFunc(out, func(a, b outside) int { return a.finding.Start - b.finding.Start })
	return out
}

// percentDecoded undoes the escapes of v and leaves what is none as it is. at
// gives, for every decoded byte and for the end, where it stands in v; nil when
// there is no escape.
func percentDecoded(v string) (plain []byte, at []int) {
	if !strings.Contains(v, "%") {
		return nil, nil
	}
	plain, at = make([]byte, 0, len(v)), make([]int, 0, len(v)+1)
	for i := 0; i < len(v); i++ {
		at = append(at, i)
		if i+2 < len(v) {
			if b, err := url.PathUnescape(v[i : i+3]); err == nil && len(b) == 1 {
				plain = append(plain, b[0])
				i += 2
				continue
			}
		}
		plain = append(plain, v[i])
	}
	return plain, append(at, len(v))
}

// maskHeaders edits header values. Findings of one value come in order, so the
// value is rebuilt from the last one to the first.
func maskHeaders(side *half, h http.Header) {
	for i := len(side.found) - 1; i >= 0; i-- {
		o := &side.found[i]
		if o.place != policy.PlaceHeader {
			continue
		}
		a := side.action(o.finding.Class, o.place)
		if !a.Rewrites() {
			continue
		}
		v := h[o.header][o.index]
		h[o.header][o.index] = v[:o.finding.Start] + o.masked(v[o.finding.Start:o.finding.End], a) + v[o.finding.End:]
	}
}

// masked is what a finding's part of a header value becomes, in the encoding in
// which it stood there.
func (o *outside) masked(part string, a redact.Action) string {
	if !o.encoded {
		return string(transform.Append(nil, []byte(part), o.finding.Class, a))
	}
	plain, at := percentDecoded(part)
	if at == nil {
		plain = []byte(part)
	}
	return url.PathEscape(string(transform.Append(nil, plain, o.finding.Class, a)))
}

// knownHeader tells the fields of HTTP, of browsers and of credentials, whose
// values have a grammar of their own, from the fields in which people and
// programs put text: a name, an address, the name of a file.
func knownHeader(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Age", "Allow", "Alt-Svc", "Authorization",
		"Cache-Control", "Connection", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Range", "Content-Security-Policy", "Content-Type", "Cookie", "Date", "Dnt", "Etag", "Expect", "Expires", "Forwarded",
		"Host", "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive",
		"Last-Modified", "Origin", "Pragma", "Priority", "Proxy-Authenticate", "Proxy-Authorization", "Range", "Referrer-Policy",
		"Retry-After", "Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Upgrade-Insecure-Requests", "User-Agent", "Vary", "Via", "Www-Authenticate",
		"X-Content-Type-Options", "X-Frame-Options", "X-Xss-Protection", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Real-Ip", "Traceparent", "Tracestate":
		return true
	}
	return false
}
