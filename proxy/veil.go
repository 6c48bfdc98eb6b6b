package proxy

import (
	"bytes"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
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
		query, path := url.QueryEscape(s), url.PathEscape(s)
		forms := []string{s, strings.ReplaceAll(s, "/", `\/`), query, path, lowerHex(query), lowerHex(path), html.EscapeString(s)}
		for _, set := range escapedInJSON {
			for _, digits := range []string{"0123456789abcdef", "0123456789ABCDEF"} {
				form := inJSON(s, set, digits)
				forms = append(forms, form, strings.ReplaceAll(form, "/", `\/`))
			}
		}
		for _, form := range forms {
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

// escapedInJSON are the characters that writers of JSON give as \u00XX although they need
// not: none; those of HTML, as Go and Rails do; with = and ', as Gson does; with +, as .NET
// does; all of these and the slash; and all but letters and digits.
var escapedInJSON = [...]func(c byte) bool{
	func(byte) bool { return false },
	func(c byte) bool { return strings.IndexByte(`<>&`, c) >= 0 },
	func(c byte) bool { return strings.IndexByte(`<>&='`, c) >= 0 },
	func(c byte) bool { return strings.IndexByte("<>&'+\"`", c) >= 0 },
	func(c byte) bool { return strings.IndexByte(`<>&='+/`, c) >= 0 },
	func(c byte) bool {
		return c < utf8.RuneSelf && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	},
}

// inJSON is s within a string of JSON, with the characters of set as \u00XX.
func inJSON(s string, set func(byte) bool, digits string) string {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case set(c), c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// lowerHex writes the escapes of an address in lower case.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], bytes.ToLower(b[i:i+3]))
			i += 2
		}
	}
	return string(b)
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
