package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
)

// Troubles are told by code, nothing moves on meanwhile, and nothing is lost by them.
func TestTrailTroubles(t *testing.T) {
	t.Parallel()
	body := func(status int, text string, header ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
			return true
		}
	}
	tests := []struct {
		name  string
		wrong func(http.ResponseWriter, *http.Request) bool
		want  string
		wait  time.Duration
	}{
		{"a token that ended", body(401, `{"error":"Couldn't authenticate you"}`), trailCredential, 0},
		{"no right to it", body(403, `{}`), trailCredential, 0},
		{"too many calls", body(429, `{}`, "Retry-After", "77"), trailLimited, 77 * time.Second},
		{"too many calls, until an instant", body(429, `{}`, "RateLimit-Reset", "2026-06-01T12:10:00Z"), trailLimited, 10 * time.Minute},
		{"too many calls, without a word", body(429, `{}`), trailLimited, 0},
		{"maintenance", body(503, ``, "Retry-After", "Mon, 01 Jun 2026 12:20:00 GMT"), trailLimited, 20 * time.Minute},
		{"a broken vendor", body(500, `<html>`), trailDown, 0},
		{"elsewhere", body(302, ``, "Location", "http://192.0.2.1/"), trailRefused, 0},
		{"no such log", body(404, `{}`), trailRefused, 0},
		{"no JSON", body(200, `<html>`), trailUnreadable, 0},
		{"a name twice", body(200, `{"audit_logs":[],"audit_logs":[],"meta":{"has_more":false}}`), trailUnreadable, 0},
		{"no list", body(200, `{"audit_logs":null,"meta":{"has_more":false}}`), trailUnreadable, 0},
		{"nested without end", body(200, strings.Repeat("[", 1<<16)), trailUnreadable, 0},
		{"an answer that is cut", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
			return true
		}, trailDown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newTrailBench(t, "zendesk", "audit")
			b.exports(3, b.now.Add(-time.Hour))
			b.wrong = tt.wrong
			err := b.try()
			var trouble *trailTrouble
			if !errors.As(err, &trouble) || trouble.code != tt.want || trouble.wait != tt.wait {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "created_at") || strings.Contains(err.Error(), b.server.URL) {
				t.Errorf("the error repeats the address: %v", err)
			}
			b.p.tell(err)
			if s := b.p.State(); s.Trouble != tt.want {
				t.Errorf("the state is %+v", s)
			}
			b.wrong = nil
			b.read()
			b.p.tell(nil)
			if n := len(b.found(audit.TypeVendorEvent)); n != 3 || b.gaps() != "" || b.p.State().Trouble != "" {
				t.Errorf("afterwards: %d events, gaps %q", n, b.gaps())
			}
		})
	}
}

// A vendor whose pages never end, lead back, or can never be read costs a bounded
// number of calls, and the stretch is stated as a gap.
func TestTrailHostileVendor(t *testing.T) {
	t.Parallel()
	n := 0
	tests := []struct {
		name, gap string
		wrong     func(w http.ResponseWriter, r *http.Request)
	}{
		{"the same page again", gapPaging, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"audit_logs":[],"links":{"next":"http://x/?%s"},"meta":{"has_more":true}}`, r.URL.RawQuery)
		}},
		{"more and no address", gapPaging, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"audit_logs":[],"meta":{"has_more":true}}`)
		}},
		{"pages without end", gapPaging, func(w http.ResponseWriter, _ *http.Request) {
			n++
			fmt.Fprintf(w, `{"audit_logs":[],"links":{"next":"http://x/?page=%d"},"meta":{"has_more":true}}`, n)
		}},
		{"an answer without end", gapPaging, func(w http.ResponseWriter, _ *http.Request) {
			for range (trailPage >> 20) + 2 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}},
		{"never JSON", gapUnreadable, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>`) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newTrailBench(t, "zendesk", "audit")
			b.p.history = 3 * time.Minute
			calls := 0
			b.wrong = func(w http.ResponseWriter, r *http.Request) bool {
				calls++
				tt.wrong(w, r)
				return true
			}
			for b.gaps() == "" {
				for range 500 {
					_, _ = b.p.runOnce(t.Context())
				}
				if calls > 20_000 {
					t.Fatal("it goes on for ever")
				}
			}
			if got := b.leaves(audit.TypeVendorGap)[0].Attrs["gap"]; got != tt.gap {
				t.Errorf("the gap is called %s", got)
			}
		})
	}
}

// Of two pollers of one trail one works at a time, and the end of the one lets the
// other in.
func TestTrailHold(t *testing.T) {
	t.Parallel()
	c := newTrailCursors(nil)
	release, err := c.hold(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.hold(gone, "a"); err == nil {
		t.Error("two hold one trail")
	}
	if other, err := c.hold(gone, "b"); err != nil {
		t.Errorf("another trail waits: %v", err)
	} else {
		other()
	}
	second := make(chan error)
	go func() {
		end, err := c.hold(t.Context(), "a")
		if err == nil {
			end()
		}
		second <- err
	}()
	release()
	if err := <-second; err != nil {
		t.Error(err)
	}
}
