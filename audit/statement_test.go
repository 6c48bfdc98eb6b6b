package audit

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// What the log's key signs as a statement counts as that statement and as nothing else: no
// checkpoint is one, none is a checkpoint, and no changed byte passes.
func TestStatement(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, Config{})
	keys := []string{l.PublicKey()}
	const body = "first line\nsecond line\n"
	signed, err := l.Sign("access-review", body)
	if err != nil {
		t.Fatal(err)
	}
	text, origin, err := OpenStatement([]byte(signed), "access-review", keys)
	if err != nil || text != body || origin != l.Origin() {
		t.Fatalf("got %q by %s (%v), want what was signed", text, origin, err)
	}
	other, _ := newLog(t, Config{})
	for name, try := range map[string]func() error{
		"another kind": func() error { _, _, err := OpenStatement([]byte(signed), "access", keys); return err },
		"another log": func() error {
			_, _, err := OpenStatement([]byte(signed), "access-review", []string{other.PublicKey()})
			return err
		},
		"no key": func() error { _, _, err := OpenStatement([]byte(signed), "access-review", nil); return err },
		"a signature more": func() error {
			again := signed[strings.LastIndex(signed, "\n\n")+2:]
			_, _, err := OpenStatement([]byte(signed+again), "access-review", keys)
			return err
		},
	} {
		if err := try(); !errors.Is(err, ErrStatement) {
			t.Errorf("%s: got %v, want ErrStatement", name, err)
		}
	}
	known, err := verifiers(keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openCheckpoint([]byte(signed), known); err == nil {
		t.Error("a statement was taken for a checkpoint")
	}
	for i := range []byte(signed) {
		for _, bit := range []byte{1, 0x20} {
			b := bytes.Clone([]byte(signed))
			b[i] ^= bit
			if _, _, err := OpenStatement(b, "access-review", keys); err == nil {
				t.Errorf("byte %d can be changed", i)
			}
		}
	}
	for _, bad := range []struct{ kind, text string }{{"", body}, {"two words", body}, {"UPPER", body}, {"a\nb", body}, {"access", ""}, {"access", "no line feed"}, {"access", "a \x00 byte\n"}, {"access", strings.Repeat("x", maxStatement) + "\n"}} {
		if _, err := l.Sign(bad.kind, bad.text); err == nil {
			t.Errorf("kind %q with %d bytes was signed", bad.kind, len(bad.text))
		}
	}
	// A checkpoint is no statement, whatever is asked for.
	signer, _, err := loadKey(keyFile(l.core.cfg.KeyDir, shardOf(t, l.Origin())), l.Origin())
	if err != nil {
		t.Fatal(err)
	}
	cp, err := note.Sign(&note.Note{Text: l.Origin() + "\n1\n" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenStatement(cp, "access-review", keys); !errors.Is(err, ErrStatement) {
		t.Errorf("a checkpoint as a statement: got %v", err)
	}
}

func shardOf(t *testing.T, origin string) string {
	t.Helper()
	_, shard, err := splitOrigin(origin)
	if err != nil {
		t.Fatal(err)
	}
	return shard
}

// FuzzOpenStatement: only what was signed is opened.
func FuzzOpenStatement(f *testing.F) {
	l, _ := newLog(f, Config{})
	signed, err := l.Sign("access-review", "digest 00\n")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(signed))
	f.Add([]byte("caregate statement: access-review\ndigest 00\n\n\u2014 x AAAA\n"))
	f.Add([]byte(""))
	keys := []string{l.PublicKey()}
	f.Fuzz(func(t *testing.T, msg []byte) {
		if _, _, err := OpenStatement(msg, "access-review", keys); (err == nil) != (string(msg) == signed) {
			t.Errorf("got %v for %q", err, msg)
		}
	})
}
