package audit

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A9: an event of a running log can be proved as soon as a checkpoint covers it,
// while the log goes on and replaces its tiles.
func TestProveLive(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Millisecond})
	for i := range 20 {
		ids := recordMany(t, l, 40)
		covered(t, l)
		p, err := Prove(t.Context(), dir, ids[i])
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Verify([]string{l.PublicKey()})
		if err != nil || got.Leaf.ID != ids[i] || got.Origin != l.Origin() {
			t.Fatalf("got %+v, %v", got, err)
		}
		again, err := ParseProof([]byte(p.String()))
		if err != nil || again.String() != p.String() {
			t.Fatalf("read back: %v", err)
		}
	}
	if _, err := Prove(t.Context(), dir, NewID()); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown event: got %v, want ErrNotFound", err)
	}
}

// An event that is durable and under no checkpoint yet cannot be proved, and is
// not unknown.
func TestProveEarly(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: time.Hour})
	r := record(t, l, sample(1))
	if _, err := Prove(t.Context(), dir, r.ID); !errors.Is(err, ErrNotCovered) {
		t.Errorf("got %v, want ErrNotCovered", err)
	}
}

// A21, F17: a proof changed anywhere proves nothing.
func TestTamperedProof(t *testing.T) {
	t.Parallel()
	x := exportLog(t, 300)
	p, err := Prove(t.Context(), x.data, x.ids[0])
	if err != nil {
		t.Fatal(err)
	}
	text := p.String()
	verify := func(text string) error {
		p, err := ParseProof([]byte(text))
		if err == nil {
			_, err = p.Verify(x.trust.Keys)
		}
		return err
	}
	if err := verify(text); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := []byte(text)
		bad[i] ^= 1 << (i % 8)
		if verify(string(bad)) == nil {
			t.Errorf("bit %d of byte %d changed: got nil", i%8, i)
		}
	}
	_, other, err := newKey("acme/audit/2026h2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify([]string{other}); err == nil {
		t.Error("another key: got nil")
	}
	for name, change := range map[string]func(*Proof){
		"another place":   func(p *Proof) { p.Index++ },
		"beyond the end":  func(p *Proof) { p.Index = 1 << 40 },
		"a hash too many": func(p *Proof) { p.Hashes = append(p.Hashes, [32]byte{}) },
		"a hash too few":  func(p *Proof) { p.Hashes = p.Hashes[1:] },
		"no hash":         func(p *Proof) { p.Hashes = nil },
		"another entry":   func(p *Proof) { p.Entry = p.Entry[1:] },
		"no checkpoint":   func(p *Proof) { p.Checkpoint = "" },
		"hashes the other way": func(p *Proof) {
			p.Hashes = append([][32]byte{}, p.Hashes...)
			p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0]
		},
	} {
		q := p
		change(&q)
		if _, err := q.Verify(x.trust.Keys); err == nil {
			t.Errorf("%s: got nil", name)
		}
	}
}

// FuzzParseProof: what is accepted is printed as it came, and Verify ends.
func FuzzParseProof(f *testing.F) {
	f.Add("c2sp.org/tlog-proof@v1\nindex 0\n\na\n1\n\n")
	f.Add("c2sp.org/tlog-proof@v1\nextra e30=\nindex 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nacme/audit/2026h2\n8\nAAAA\n\n— x y\n")
	f.Add("c2sp.org/tlog-proof@v1\nindex 007\n\n")
	_, key, err := newKey("acme/audit/2026h2")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProof([]byte(text))
		if err != nil {
			return
		}
		if p.String() != text {
			t.Errorf("got %q from %q", p, text)
		}
		if _, err := p.Verify([]string{key}); err == nil {
			t.Error("a proof by nobody is accepted")
		}
	})
}

// FuzzParseTrust: what is accepted is written and read again as the same.
func FuzzParseTrust(f *testing.F) {
	_, key, err := newKey("acme/audit/2026h2")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("# ours\n" + key + "\n")
	f.Add(`{"version":1,"logs":[{"origin":"acme/audit/2026h2","keys":["` + key + `"],"checkpoints":["x"]}]}`)
	f.Add(`{"version":1,"logs":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		trust, err := ParseTrust([]byte(text))
		if err != nil {
			return
		}
		if len(trust.Keys) == 0 {
			t.Error("accepted without a key")
		}
		again, err := trust.MarshalText()
		if err != nil {
			return // a checkpoint of another origin than its object's
		}
		if _, err := ParseTrust(again); err != nil && !strings.Contains(string(again), `"keys": []`) {
			t.Errorf("what was written is refused: %v", err)
		}
	})
}
