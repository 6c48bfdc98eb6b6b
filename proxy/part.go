package proxy

import (
	"mime"
	"net/http"
	"strings"

	"github.com/caregate/caregate/redact/walk"
)

// boundaryOf reads the boundary of a multipart body, "" when there is none or
// when readers put it together differently: a name with a star is one of RFC
// 2231, which not all of them know. The header has been read once before.
func boundaryOf(kind walk.Kind, h http.Header) string {
	if kind != walk.Multipart {
		return ""
	}
	header := h.Get("Content-Type")
	_, params, err := mime.ParseMediaType(header)
	if err != nil || strings.Contains(header, "*") {
		return ""
	}
	return params["boundary"]
}

// parse reads a body as kind. The first reading of a body stands in the exchange.
func (x *exchange) parse(b *reading, kind walk.Kind, fields *walk.Fields) (*walk.Doc, error) {
	if kind == walk.Multipart {
		return walk.ParseMultipart(b.boundary, b.plain, x.det.detector, fields, x.h.Limits.walk())
	}
	if b.used {
		return walk.Parse(kind, b.plain, x.det.detector, fields, x.h.Limits.walk())
	}
	b.used = true
	return &b.own, b.own.Read(kind, b.plain, x.det.detector, fields, x.h.Limits.walk())
}

// leavePartsUnread decides about the parts of a body that no walker reads, as
// [exchange.leaveUnread] does about bodies: they pass on routes and operations
// that say so, beside the parts that were read.
func (x *exchange) leavePartsUnread(side *half, doc *walk.Doc) *refusal {
	if len(doc.Unread) == 0 {
		return nil
	}
	b := &side.body
	switch {
	case x.observe():
		side.would, b.partly = reasonType, unreadObserve
	case x.match.Op.Mark == markAuth:
		b.partly = unreadAuth
	case x.h.Uninspected == "pass":
		b.partly = unreadType
	default:
		return &refusal{code: reasonType, offset: int64(doc.Unread[0].Start)}
	}
	return nil
}
