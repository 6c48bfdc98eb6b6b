package sample

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// answer is a response that is built before it is sent, so that it can carry an
// entity tag, be compressed, and be given a second time.
type answer struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	request []byte // of an idempotent call: what was asked
}

var _ http.ResponseWriter = (*answer)(nil)

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// copyTo gives the same answer again.
func (a *answer) copyTo(w *answer) {
	for name, values := range a.header {
		w.header[name] = append([]string(nil), values...)
	}
	w.status = a.status
	w.body.Write(a.body.Bytes())
}

// send writes the answer: entity tag, 304, gzip.
func (a *answer) send(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	header.Add("Vary", "Accept-Encoding")
	body := a.body.Bytes()
	if r.Method == http.MethodGet && a.status == http.StatusOK {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
		header.Set("ETag", tag)
		if strings.Contains(r.Header.Get("If-None-Match"), strings.TrimPrefix(tag, "W/")) {
			header.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if len(body) > 0 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && strings.Contains(header.Get("Content-Type"), "json") {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		zip.Write(body) //nolint:errcheck // a bytes.Buffer takes everything
		zip.Close()     //nolint:errcheck // see above
		header.Set("Content-Encoding", "gzip")
		body = packed.Bytes()
	}
	if a.status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	w.Write(body) // an error means that the client hung up
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v) //nolint:errcheck // maps of plain values always encode
}

// writeError answers in the vendor's shape.
func writeError(w http.ResponseWriter, status int, code, description string) {
	body := object{"error": code}
	if description != "" {
		body["description"] = description
	}
	writeJSON(w, status, body)
}

// notFound is the answer for an unknown id.
func notFound(w http.ResponseWriter) {
	writeError(w, http.StatusNotFound, "RecordNotFound", "Not found")
}

// callKey is the context key of the call.
type callKey struct{}

// withCall puts c into the context of the request that the mux dispatches.
func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf returns the call of a dispatched request, or nil.
func callOf(r *http.Request) *call {
	c, _ := r.Context().Value(callKey{}).(*call)
	return c
}

// decode reads the body's member called key as one object.
func (c *call) decode(key string) (object, bool) {
	o, ok := c.document()[key].(map[string]any)
	return o, ok
}

// decodeMany reads the body's member called key as a list of objects.
func (c *call) decodeMany(key string) []object {
	list, _ := c.document()[key].([]any)
	var out []object
	for _, v := range list {
		if o, ok := v.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

// document is the body as one object; numbers keep their digits.
func (c *call) document() object {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	var v object
	if d.Decode(&v) != nil {
		return object{}
	}
	return v
}

// id is the path's id.
func (c *call) id() int64 { return number(json.Number(c.PathValue("id"))) }

// ids is the query's list of ids.
func (c *call) ids() []int64 {
	var out []int64
	for part := range strings.SplitSeq(c.URL.Query().Get("ids"), ",") {
		if n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64); err == nil {
			out = append(out, n)
		}
	}
	return out
}
