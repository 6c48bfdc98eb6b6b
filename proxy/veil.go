package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// veil hides a secret of ours in what comes back from whoever was shown it: an upstream
// that says its request again. Stars take the place of its bytes, as many, so that no
// length changes. It is safe for concurrent use.
type veil struct {
	forms [][]byte // longest first
}

// newVeil hides the given texts as they are, and as they are written in JSON, HTML and
// addresses.
func newVeil(texts ...string) *veil {
	v := new(veil)
	for _, s := range texts {
		quoted, err := json.Marshal(s)
		if err != nil {
			quoted = []byte(`""`) // a string always can
		}
		inner := string(quoted[1 : len(quoted)-1])
		for _, form := range []string{s, inner, strings.ReplaceAll(s, "/", `\/`), url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s)} {
			if form != "" {
				v.forms = append(v.forms, []byte(form))
			}
		}
	}
	slices.SortFunc(v.forms, func(a, b []byte) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return bytes.Compare(a, b)
	})
	v.forms = slices.CompactFunc(v.forms, bytes.Equal)
	return v
}

// cover hides what is in b, in place, and tells whether there was something.
func (v *veil) cover(b []byte) (hidden bool) {
	for _, form := range v.forms {
		for at := 0; ; {
			i := bytes.Index(b[at:], form)
			if i < 0 {
				break
			}
			hidden = true
			for j := range form {
				b[at+i+j] = '*'
			}
			at += i + len(form)
		}
	}
	return hidden
}

// begun is how many bytes at the end of b may be the beginning of the secret.
func (v *veil) begun(b []byte) int {
	most := 0
	for _, form := range v.forms {
		for n := min(len(form)-1, len(b)); n > most; n-- {
			if bytes.Equal(b[len(b)-n:], form[:n]) {
				most = n
			}
		}
	}
	return most
}

// err is an error about an answer, which may quote it, without the secret.
func (v *veil) err(err error) error {
	if v == nil || err == nil {
		return err
	}
	if text := []byte(err.Error()); v.cover(text) {
		return errors.New(string(text))
	}
	return err
}

// body is a body with the secret hidden. It hands on what arrives at once, but for bytes
// that may become the secret.
func (v *veil) body(src io.ReadCloser) io.ReadCloser {
	if src == nil || src == http.NoBody {
		return src
	}
	return &veiled{veil: v, src: src}
}

type veiled struct {
	veil *veil
	src  io.ReadCloser
	buf  []byte // read; the first ready bytes of it can go on
	// ready bytes are covered.
	ready int
	err   error
	// hidden, when set, is told when something was hidden.
	hidden *atomic.Bool
}

// veiledRead is how much is read at a time.
const veiledRead = 32 << 10

func (r *veiled) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.ready == 0 && r.err == nil {
		have := len(r.buf)
		r.buf = slices.Grow(r.buf, veiledRead)[:have+veiledRead]
		n, err := r.src.Read(r.buf[have:])
		r.buf, r.err = r.buf[:have+n], err
		if r.veil.cover(r.buf) && r.hidden != nil {
			r.hidden.Store(true)
		}
		if r.ready = len(r.buf); r.err == nil {
			r.ready -= r.veil.begun(r.buf)
		}
	}
	if r.ready == 0 {
		return 0, r.err
	}
	n := copy(p, r.buf[:r.ready])
	r.buf, r.ready = r.buf[:copy(r.buf, r.buf[n:])], r.ready-n
	return n, nil
}

// Close may be called while Read waits: it ends the wait.
func (r *veiled) Close() error { return r.src.Close() }
