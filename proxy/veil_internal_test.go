package proxy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// pieces reads b in the pieces whose lengths cuts gives.
type pieces struct{ b, cuts []byte }

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := len(p.b)
	if len(p.cuts) > 0 {
		n, p.cuts = int(p.cuts[0])%16, p.cuts[1:]
	}
	n = copy(to, p.b[:min(n, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}

// However a text comes, no form of the secret goes through, its length stays, and a text
// without the secret stays as it is.
func FuzzVeil(f *testing.F) {
	const secret = "a/b+aa/b+c<d"
	v := newVeil(secret, "YS9iK2FhL2I=")
	for _, form := range v.forms {
		f.Add(append([]byte("x"), form...), []byte{3, 1, 0, 5})
		f.Add(append(slices.Clone(form[:len(form)/2]), form...), []byte{1, 1, 1, 1, 1, 1})
	}
	f.Add([]byte("nothing to hide a/b+a"), []byte{7})
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		got, err := io.ReadAll(v.body(io.NopCloser(&pieces{slices.Clone(text), cuts})))
		if err != nil || len(got) != len(text) {
			t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(text))
		}
		there := false
		for _, form := range v.forms {
			there = there || bytes.Contains(text, form)
			if bytes.Contains(got, form) {
				t.Errorf("a form of %d bytes went through", len(form))
			}
		}
		if !there && !bytes.Equal(got, text) {
			t.Error("a text without the secret was changed")
		}
	})
}

// What is no beginning of the secret is not waited with, and an error comes behind what
// was read.
func TestVeilDelaysNothing(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	body := newVeil("geheimnis").body(in)
	go func() { _, _ = out.Write([]byte("data: ge\n\n")) }()
	buf := make([]byte, 64)
	if n, err := body.Read(buf); string(buf[:n]) != "data: ge\n\n" || err != nil {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	_ = body.Close()
	broken := newVeil("geheimnis").body(io.NopCloser(io.MultiReader(strings.NewReader("gehe"), iotest.ErrReader(io.ErrUnexpectedEOF))))
	if got, err := io.ReadAll(broken); string(got) != "gehe" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Writers of JSON and of addresses choose what they escape, and how.
func TestVeilForms(t *testing.T) {
	t.Parallel()
	const secret = "k+e=y&o/f<t>h'e%"
	v := newVeil(secret)
	for _, form := range []string{
		secret, `k+e=y\u0026o/f\u003ct\u003eh'e%`, `k+e=y\u0026o\/f\u003Ct\u003Eh'e%`, `k+e\u003dy\u0026o/f\u003ct\u003eh\u0027e%`,
		`k\u002Be=y\u0026o/f\u003Ct\u003Eh\u0027e%`, `k\u002be\u003dy\u0026o\u002ff\u003ct\u003eh\u0027e%`,
		`k\u002be\u003dy\u0026o\u002ff\u003ct\u003eh\u0027e\u0025`, `k\u002Be\u003Dy\u0026o\u002Ff\u003Ct\u003Eh\u0027e\u0025`,
		"k%2Be%3Dy%26o%2Ff%3Ct%3Eh%27e%25", "k%2be%3dy%26o%2ff%3ct%3eh%27e%25", "k+e=y&amp;o/f&lt;t&gt;h&#39;e%",
	} {
		if b := []byte("x" + form + "x"); !v.cover(b) || string(b) != "x"+strings.Repeat("*", len(form))+"x" {
			t.Errorf("%s is not hidden: %s", form, b)
		}
	}
	if n := len(newVeil(strings.Repeat(`+=&/<>'"\%`, 20)).forms); n > 32 {
		t.Errorf("a secret has %d forms", n)
	}
}
