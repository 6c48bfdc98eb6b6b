package proxy

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// outside is a finding that is not in the body.
type outside struct {
	place  string // policy.PlaceQuery, PlacePath or PlaceHeader
	header string // the header's name
	index  int    // which of its values
	// encoded says that the value stands percent-encoded in the header.
	encoded bool
	// call is where the element of the inner call begins in whose address it is, in a
	// composite call; 0 everywhere else.
	call    int
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
	fields, ref := x.unfold()
	if ref != nil {
		return ref
	}
	if ref := x.detectBody(side, fields); ref != nil {
		return ref
	}
	x.inner.addressesAreRead(side.body.doc)
	if ref := x.tokenInForm(); ref != nil {
		return ref
	}
	x.converse(r)
	return x.stop(side, overriding(r, &side.body))
}

// overriding refuses a POST whose query or form names the method that the call
// is to be taken for: Rails, Laravel and Symfony carry out that one, and policy
// would have decided about another.
func overriding(r *http.Request, b *reading) *refusal {
	if r.Method != http.MethodPost {
		return nil
	}
	forms := []string{r.URL.RawQuery}
	if b.kind == walk.Form && b.doc != nil {
		forms = append(forms, string(b.plain))
	}
	for _, form := range forms {
		for pair := range strings.SplitSeq(form, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if name, err := url.QueryUnescape(name); err == nil && strings.EqualFold(name, "_method") {
				return refuse(reasonOverride)
			}
		}
	}
	return nil
}

// detectBody parses one body with the places of its operation.
func (x *exchange) detectBody(side *half, fields *walk.Fields) *refusal {
	b := &side.body
	if !b.present || b.unread != "" {
		return nil
	}
	if b.stream != nil {
		if side == &x.response {
			x.name(side)
		}
		return nil // it reads itself
	}
	parse := func(kind walk.Kind) (*walk.Doc, error) {
		return x.parse(b, kind, fields)
	}
	doc, err := parse(b.kind)
	if b.kind == walk.Text && err == nil {
		doc, err = readAsSomethingElse(b.plain, doc, parse)
	}
	if err != nil {
		return x.leaveUnread(side, b, nil, walkRefusal(err))
	}
	if ref := x.leavePartsUnread(side, doc); ref != nil {
		return ref
	}
	b.doc = doc
	if side == &x.response {
		x.name(side) // whatever is decided about the answer
	}
	return nil
}

// readAsSomethingElse is for bodies that are announced as text. Whoever parses
// one as JSON or as a form in spite of its type must find what we found; text is
// the reading that was made of it so far.
func readAsSomethingElse(plain []byte, text *walk.Doc, parse func(walk.Kind) (*walk.Doc, error)) (*walk.Doc, error) {
	switch {
	case looksJSON(plain):
		doc, err := parse(walk.JSON)
		if err == nil {
			return doc, nil
		}
		// People begin sentences with brackets and quotation marks. But what hides
		// from a reader of text hides in escapes, and what breaks no rule of JSON but
		// one was not written by people.
		var w *walk.Refusal
		if bytes.Contains(plain, []byte(`\u`)) || errors.As(err, &w) && w.Reason != walk.ReasonSyntax && w.Reason != walk.ReasonTrailing {
			return nil, err
		}
	case len(text.Findings) == 0 && bytes.IndexByte(plain, '%') >= 0 && bytes.IndexByte(plain, '=') > 0 && !bytes.ContainsAny(plain, " \t\r\n"):
		if doc, err := parse(walk.Form); err == nil {
			return doc, nil
		}
	}
	return text, nil
}

func looksJSON(b []byte) bool {
	for _, c := range bytes.TrimPrefix(b, []byte("\ufeff")) {
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
	doc, err := walk.Parse(walk.Form, []byte(r.URL.RawQuery), x.det.detector, nil, walk.Limits{Values: maxQueryValues})
	if err != nil {
		return refuseErr(reasonQuery, err)
	}
	for _, f := range doc.Findings {
		if f.Place != redact.PlaceKey && x.match.Op.Query(parameter(f.Path)).ID {
			continue
		}
		x.request.found = append(x.request.found, outside{place: queryPlace(f), finding: f})
	}
	x.request.query = doc
	return nil
}

// queryPlace tells the name of a parameter, which cannot be masked without
// becoming another parameter, from its value.
func queryPlace(f redact.Finding) string {
	if f.Place == redact.PlaceKey {
		return policy.PlaceKey
	}
	return policy.PlaceQuery
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
		if isID(x.match.Params, segment) {
			continue
		}
		for _, f := range x.det.detector.Text(nil, []byte(segment), detect.Hint{}) {
			x.request.found = append(x.request.found, outside{place: policy.PlacePath, finding: f})
		}
	}
}

// isID tells whether a decoded path segment is the value of an id parameter.
func isID(params []channel.Param, segment string) bool {
	for _, p := range params {
		if p.ID && (segment == p.Value || strings.TrimSuffix(segment, ".json") == p.Value) {
			return true
		}
	}
	return false
}

// decodeOnce percent-decodes a path.
func decodeOnce(escaped string) (string, error) { return url.PathUnescape(escaped) }
