package proxy

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/policy"
)

// What a server answers is bounded, comes from it and nobody else, and nothing of a call is
// repeated in an error.
func TestHTTPSBundle(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("elsewhere")) }))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good", "/near":
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write([]byte("good"))
		case "/hop":
			http.Redirect(w, r, "/near?secret-word", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round?secret-word", http.StatusFound)
		case "/away":
			http.Redirect(w, r, elsewhere.URL+"/good?secret-word", http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http://"+r.Host+"/good?secret-word", http.StatusFound)
		case "/nowhere":
			w.Header().Set("Location", "https://%zz/secret-word")
			w.WriteHeader(http.StatusFound)
		case "/babble":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte("HTTP/1.1 secret-word\r\n\r\n"))
				_ = conn.Close()
			}
		case "/large":
			w.Header().Set("Content-Length", strconv.Itoa(policy.MaxBundle+100))
			_, _ = w.Write(make([]byte, policy.MaxBundle+100))
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		case "/short":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
		case "/tag":
			w.Header().Set("Etag", `"`+strings.Repeat("x", 2000)+`"`)
		case "/same":
			w.WriteHeader(http.StatusNotModified)
		default:
			http.Error(w, "secret-word", http.StatusForbidden)
		}
	}))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	var trusted []byte
	for _, server := range []*httptest.Server{s, elsewhere} {
		trusted = append(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})...)
	}
	if err := os.WriteFile(ca, trusted, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, tag, says string
		length          int
	}{
		{"/good", "", "", 4},
		{"/good", `"0"`, "", 4},
		{"/good", `"1"`, errUnchanged.Error(), 0},
		{"/hop", "", "", 4},
		{"/round", "", "it sends callers elsewhere", 0},
		{"/away", "", "it sends callers elsewhere", 0},
		{"/plain", "", "it sends callers elsewhere", 0},
		{"/nowhere", "", "no whole answer", 0},
		{"/babble", "", "no whole answer", 0},
		{"/large", "", "the limit of a bundle", 0},
		{"/endless", "", "", policy.MaxBundle + 1},
		{"/short", "", "reading the answer", 0},
		{"/tag", "", "", 0},
		{"/same", "", "the server answered 304", 0},
		{"/none", "", "the server answered 403", 0},
	} {
		t.Run(strings.Trim(tc.path, "/")+tc.tag, func(t *testing.T) {
			t.Parallel()
			name, b, err := newHTTPSBundle(&PolicyBundle{CA: ca}, s.URL+tc.path+"?secret-word", caddy.NewReplacer())
			if err != nil || name != s.URL+tc.path {
				t.Fatalf("got %q, %v", name, err)
			}
			got, tag, err := b.fetch(t.Context(), tc.tag)
			switch {
			case (err == nil) != (tc.says == "") || err != nil && (!strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "secret-word")):
				t.Errorf("got %v, want %q", err, tc.says)
			case len(got) != tc.length || len(tag) > maxBundleTag:
				t.Errorf("got %d bytes, want %d; a tag of %d", len(got), tc.length, len(tag))
			}
		})
	}
	// Nobody vouches for it.
	_, b, err := newHTTPSBundle(new(PolicyBundle), s.URL+"/good?secret-word", caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.fetch(t.Context(), ""); err == nil || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("a server that nobody vouches for: got %v", err)
	}
}

// Files that are being written are not read before two looks see the same.
func TestLocalBundleSettles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	l := &localBundle{place: file}
	look := func(tag string) (string, string, error) {
		t.Helper()
		archive, newTag, err := l.fetch(t.Context(), tag)
		return string(archive), newTag, err
	}
	if _, _, err := look(""); !errors.Is(err, errUnsettled) {
		t.Fatalf("first look: %v", err)
	}
	if _, _, err := look(""); err == nil || errors.Is(err, errUnsettled) || errors.Is(err, errUnchanged) {
		t.Fatalf("nothing there: %v", err)
	}
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := look(""); !errors.Is(err, errUnsettled) {
		t.Fatalf("just written: %v", err)
	}
	got, tag, err := look("")
	if err != nil || got != "one" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, _, err := look(tag); !errors.Is(err, errUnchanged) {
		t.Fatalf("nothing changed: %v", err)
	}
	if err := os.WriteFile(file, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := look(tag); !errors.Is(err, errUnsettled) {
		t.Fatalf("changed: %v", err)
	}
	if got, _, err := look(tag); err != nil || got != "another" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// A repository's own folder is no part of a bundle, and hides nothing that is one.
func TestLocalBundleBesideHiddenFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, n := range map[string]int{".git": mostStamped + 10, "rules/.cache": 1} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(dir, name, strconv.Itoa(i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := bundleStamp(dir)
	for _, name := range []string{".manifest", ".signatures.json", "data.yaml", "rules/own.rego"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if now := bundleStamp(dir); now == before || !strings.Contains(now, name) {
			t.Errorf("%s is not seen", name)
		} else {
			before = now
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rules/.cache/more"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if bundleStamp(dir) != before {
		t.Error("what is hidden counts")
	}
}

// What a killed gateway was writing does not stay for ever.
func TestBundleShelfTidies(t *testing.T) {
	t.Parallel()
	s := newBundleShelf(t.TempDir(), "")
	left := filepath.Join(s.dir, ".tmp-123")
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.keep([]byte("bundle"), &policy.SignedBundle{Revision: 1, Digest: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if m, err := s.mark(); err != nil || m.Revision != 1 {
		t.Errorf("got %+v, %v", m, err)
	}
}
