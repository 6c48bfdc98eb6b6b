package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
)

// transformRequest carries the decision out: query, headers and body are edited
// at the findings and nowhere else. A body without a finding goes on in the
// bytes and the coding in which it came.
func (x *exchange) transformRequest(r *http.Request) *refusal {
	side := &x.request
	x.maskQuery(r)
	maskHeaders(side, r.Header)
	untagConditions(r.Header, x.tagSuffix)
	// We inspect whole representations (RFC 9110 section 14.2 lets a server ignore Range).
	r.Header.Del("Range")
	r.Header.Del("If-Range")

	b := &side.body
	switch {
	case b.stream != nil:
		b.stream.transform()
		x.sendStream(r)
		return nil
	case !b.present:
		r.Body, r.ContentLength = http.NoBody, 0
		return nil
	case b.unread != "":
		r.Body = b.passing()
		if b.rest == nil {
			setRequestBody(r, b.wire)
		}
		return nil
	}
	out := b.doc.Rewrite(side.bodyAction, side.edits...)
	if same(out, b.plain) {
		setRequestBody(r, b.wire)
		return nil
	}
	r.Header.Del("Content-Encoding")
	dropDigests(r.Header)
	setRequestBody(r, out)
	return nil
}

// bodyAction is the decision for one finding of the body.
func (side *half) bodyAction(f redact.Finding) redact.Action {
	if side.viewed.cover(f.Start, f.End) != nil {
		return redact.Report // what the view makes of the whole value stands there
	}
	return side.actionOf(&f)
}

// same tells whether a rewriting changed nothing. Rewrite returns its input
// itself in that case; the contents are not compared.
func same(out, in []byte) bool {
	return len(out) == len(in) && (len(in) == 0 || &out[0] == &in[0])
}

// setRequestBody gives a request a body of known bytes that can be sent again
// when an HTTP/2 upstream asks for it (RFC 9113 section 8.7).
func setRequestBody(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// dropDigests removes what vouches for bytes that are no longer there.
func dropDigests(h http.Header) {
	for _, name := range [...]string{"Digest", "Content-Digest", "Repr-Digest", "Content-Md5"} {
		h.Del(name)
	}
}

// maskQuery edits the query string in place.
func (x *exchange) maskQuery(r *http.Request) {
	side := &x.request
	if side.query == nil || len(side.query.Findings) == 0 {
		return
	}
	out := side.query.Rewrite(func(f redact.Finding) redact.Action {
		if f.Place != redact.PlaceKey && x.match.Op.Query(parameter(f.Path)).ID {
			return redact.Report
		}
		return side.action(f.Class, queryPlace(f))
	})
	if string(out) != r.URL.RawQuery {
		r.URL.RawQuery = string(out)
		r.RequestURI = r.URL.RequestURI()
	}
}

// rewriteURLs points the addresses that the channel file names at the gateway,
// so that a client that follows them stays governed.
func (x *exchange) rewriteURLs(side *half) {
	doc := side.body.doc
	if doc == nil {
		return
	}
	for _, c := range doc.Captures {
		if c.Flags&walk.URL == 0 {
			continue
		}
		if to, ok := x.h.ch.RewriteURL(string(doc.Value(c)), x.h.Upstream, x.public); ok {
			side.edits = append(side.edits, doc.SetString(c, to))
		}
	}
}
