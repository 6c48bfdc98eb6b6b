package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"text", "Grüße, 世界", "Grüße, 世界"},
		{"steers the terminal", "a\x1b[2Jb", "a\ufffd[2Jb"},
		{"turns the reading direction", "a\u202eb", "a\ufffdb"},
		{"two lines", "a\nb", "a\ufffdb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := plain(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 50)
	tests := []struct{ name, in, want string }{
		{"short", `{"a": 1}`, `{"a": 1}`},
		{"long without a number", long, strings.TrimSpace(long)[:excerptWidth] + "..."},
		{"around the number", "\u00e9" + long + demoCard, "..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := excerpt(tt.in)
			if !strings.HasPrefix(got, tt.want) || (strings.Contains(tt.in, demoCard) && !strings.Contains(got, demoCard)) {
				t.Errorf("got %q, want it to begin with %q", got, tt.want)
			}
		})
	}
}

// TestBOM: every component has a name, a version and a package URL, once.
func TestBOM(t *testing.T) {
	t.Parallel()
	caddyVersion := moduleVersion("github.com/caddyserver/caddy/v2")
	b, err := newBOM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(b); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, c := range b.Components {
		if seen[c.Ref] || c.Name == "" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Errorf("component %+v is incomplete or there twice", c)
		}
		seen[c.Ref] = true
	}
	if !seen["pkg:golang/github.com/caddyserver/caddy/v2@"+caddyVersion] {
		t.Errorf("Caddy %s is not in the bill of materials", caddyVersion)
	}
	if _, simple := caddy.Version(); simple == "" {
		t.Error("no version")
	}
}

func TestKeyID(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, id string
		ok       bool
	}{
		{"an id", "7f3a-B_c", true},
		{"a key", "cgk1abcdef", false},
		{"a path", "../status", false},
		{"nothing", "", false},
		{"too long", strings.Repeat("a", 65), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := keyID(tt.id)
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %t", err, tt.ok)
			}
			if err != nil && tt.id != "" && strings.Contains(err.Error(), tt.id) {
				t.Error("the error repeats what could be a key")
			}
		})
	}
}
