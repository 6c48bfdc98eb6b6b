package audit

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func testSigner(t testing.TB, origin string) (note.Signer, note.Verifiers) {
	t.Helper()
	private, public, err := newKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	s, derived, err := parseKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if derived != public {
		t.Fatalf("verifier key: got %s, want %s", derived, public)
	}
	v, err := verifiers([]string{public})
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

// A21: no bit of a signed checkpoint can change unnoticed.
func TestCheckpointEveryBit(t *testing.T) {
	t.Parallel()
	signer, known := testSigner(t, "acme/audit/2026h2")
	want := checkpoint{origin: "acme/audit/2026h2", size: 70_000, root: tlog.Hash{1, 2, 3}}
	msg, err := want.sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openCheckpoint(msg, known)
	if err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
	for i := range msg {
		for bit := range 8 {
			bad := append([]byte(nil), msg...)
			bad[i] ^= 1 << bit
			if _, err := openCheckpoint(bad, known); err == nil {
				t.Errorf("byte %d, bit %d: accepted", i, bit)
			}
		}
	}
	for _, more := range []string{"\n", "x", "— other/audit/2026h2 AAAA\n"} {
		if _, err := openCheckpoint(append(append([]byte(nil), msg...), more...), known); err == nil {
			t.Errorf("with %q appended: accepted", more)
		}
	}
	other, _ := testSigner(t, "acme/audit/2026h2")
	forged, err := want.sign(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openCheckpoint(forged, known); err == nil {
		t.Error("signed by another key of the same name: accepted")
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(checkpoint{origin: "a/audit/2026h2", size: 1}.String())
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseCheckpoint(text); err == nil && c.String() != text {
			t.Errorf("accepted another spelling of %q", c.String())
		}
	})
}

func TestShards(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"2026-06-30T23:59:59Z":      "2026h1",
		"2026-07-01T00:00:00Z":      "2026h2",
		"2026-07-01T00:30:00+01:00": "2026h1", // still June in UTC
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := shardName(when); got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
	for _, bad := range []string{"", "a", "a/audit/2026", "a/audit/2026h3", "a b/audit/2026h1", "/audit/2026h1", "a/audit/2026h1/x", strings.Repeat("a", 101) + "/audit/2026h1"} {
		if _, _, err := splitOrigin(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
