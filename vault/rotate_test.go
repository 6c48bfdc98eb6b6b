package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// kept is what a rotation must not lose: a person's name, a sealed detail, a token.
type kept struct {
	name   [16]byte
	sealed vault.Sealed
	token  string
}

// fill puts people, a day and a token into a vault.
func fill(t *testing.T, v *vault.Vault, people int) kept {
	t.Helper()
	idents := make([]vault.Ident, people)
	for i := range idents {
		idents[i] = vault.Ident{Kind: "zendesk:user", Value: fmt.Sprint(i)}
	}
	all, err := v.Subjects(t.Context(), idents)
	must(t, err)
	day, err := v.Period(t.Context(), "exchange/subject", time.Unix(1_800_000_000, 0))
	must(t, err)
	sealed, err := v.SealIn(day, all[0], []byte("place"), []byte("198.51.100.7"))
	must(t, err)
	return kept{all[0].Pseudonym("o"), sealed, tokenOf(t, v, "", val("iban", "KEPT"))}
}

// there checks that nothing of it is lost.
func (k kept) there(t *testing.T, v *vault.Vault) {
	t.Helper()
	if subject(t, v, "zendesk:user", "0").Pseudonym("o") != k.name {
		t.Error("a person has another name")
	}
	if plain, err := v.Open(t.Context(), k.sealed, []byte("place")); err != nil || string(plain) != "198.51.100.7" {
		t.Errorf("a detail does not open: %v", err)
	}
	if revealed(t, v, k.token) != "KEPT" {
		t.Error("a token leads to another value")
	}
}

// inspect describes the keys, which must be whole.
func inspect(t *testing.T, dir string) vault.KeyStatus {
	t.Helper()
	s, err := vault.Inspect(t.Context(), dir, vault.Config{})
	must(t, err)
	for _, f := range s.Files {
		if f.Problem != "" {
			t.Errorf("%s: %s", f.Name, f.Problem)
		}
	}
	return s
}

func TestRotate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	was := fill(t, v, 600) // more than two batches
	before := inspect(t, dir)
	must(t, v.Rotate(t.Context()))
	during := inspect(t, dir)
	if !during.Rotating() || len(during.Keys) != 2 || during.Keys[1].ID != before.Keys[0].ID || during.Keys[0].People != 0 || during.Keys[1].People != before.Keys[0].People {
		t.Errorf("after the rotation: got %+v, before it %+v", during.Keys, before.Keys)
	}
	subject(t, v, "email", "new@example.com")
	if s := inspect(t, dir); s.Keys[0].People != 1 {
		t.Errorf("a new person is not under the new key: %+v", s.Keys)
	}
	was.there(t, v)
	r, err := v.Rewrap(t.Context())
	must(t, err)
	// Some were wrapped again because they were used just now.
	if r.People < 500 || r.Retired != 1 || r.Unreadable != 0 {
		t.Errorf("re-wrapped: got %+v, with %+v before", r, before.Keys)
	}
	after := inspect(t, dir)
	if after.Rotating() || len(after.Keys) != 1 || after.Keys[0].ID != during.Keys[0].ID || after.Keys[0].People != before.Keys[0].People+1 || after.Keys[0].Days != 1 {
		t.Errorf("in the end: %+v", after.Keys)
	}
	was.there(t, v)
	was.there(t, opened(t, dir, vault.Config{}))
	if r, err := v.Rewrap(t.Context()); err != nil || r != (vault.Rewrapped{}) {
		t.Errorf("again: got %+v, %v, want nothing to do", r, err)
	}
}

// What is used is wrapped again without a sweep.
func TestRewrapWhenUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	was := fill(t, open(t, dir), 3)
	must(t, open(t, dir).Rotate(t.Context()))
	v, err := vault.Open(t.Context(), dir, vault.Config{})
	must(t, err)
	was.there(t, v)
	must(t, v.Close()) // waits for what is under way
	s := inspect(t, dir)
	// The person, the day, and nobody in particular, whose token was read.
	if s.Keys[0].People != 2 || s.Keys[0].Days != 1 || s.Keys[1].People != 2 || s.Keys[1].Days != 0 {
		t.Errorf("under the new key and the old: %+v", s.Keys)
	}
}

// V12: a process that runs on notices a rotation by another, whether it reads or
// writes first, and also when the old key is gone already and the master key is new.
func TestRotatedByAnother(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(t *testing.T, v *vault.Vault, was kept){
		"it reads first":  func(t *testing.T, v *vault.Vault, was kept) { was.there(t, v) },
		"it writes first": func(t *testing.T, v *vault.Vault, _ kept) { subject(t, v, "email", "new@example.com") },
		"a new day first": func(t *testing.T, v *vault.Vault, _ kept) {
			_, err := v.Period(t.Context(), "exchange/actor", time.Unix(0, 0))
			must(t, err)
		},
		"it rotates too": func(t *testing.T, v *vault.Vault, _ kept) { must(t, v.Rotate(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			was := fill(t, open(t, dir), 3)
			other := open(t, dir) // with nothing in its caches
			v := open(t, dir)
			must(t, v.Rotate(t.Context()))
			must(t, v.RotateMaster(t.Context()))
			_, err := v.Rewrap(t.Context())
			must(t, err)
			use(t, other, was)
			was.there(t, other)
			_, err = other.Rewrap(t.Context())
			must(t, err)
			for _, k := range inspect(t, dir).Keys {
				if !k.Primary {
					t.Errorf("something is still under the old key: %+v", k)
				}
			}
			subject(t, v, "email", "later@example.com")
			was.there(t, opened(t, dir, vault.Config{}))
		})
	}
}

// Whoever has read a row of which the key is rotated before it is opened reads it again
// with the new keyset: nothing was changed outside the vault.
func TestRotatedWhileRead(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"wrapped key read", "keyset taken"} {
		for _, known := range []bool{false, true} { // to the reader, when the key goes
			t.Run(fmt.Sprint(step, "/", known), func(t *testing.T) {
				dir := t.TempDir()
				reader, other := open(t, dir), open(t, dir)
				was := fill(t, other, 3)
				if !known {
					must(t, other.Rotate(t.Context()))
					_, err := other.Rewrap(t.Context())
					must(t, err)
				}
				var here bool // while the key goes the reader's own calls come here too
				turns := 0
				vault.OnStep(reader, func(at string) {
					if at != step || here {
						return
					}
					here = true
					defer func() { here = false }()
					if turns++; turns > 4 { // names, days, details, tokens: each once
						return
					}
					var err error
					if known {
						if err = other.Rotate(context.Background()); err == nil {
							_, err = other.Rewrap(context.Background())
						}
					}
					if err == nil {
						_, err = reader.Rewrap(context.Background()) // which takes over the newest
					}
					if err != nil {
						t.Error(err)
					}
				})
				was.there(t, reader)
				if turns < 3 {
					t.Errorf("only %d rows were read", turns)
				}
			})
		}
	}
}

// V12: rotations, sweeps and new people at once, from two processes' worth of vaults.
func TestRotateUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	was := fill(t, vaults[0], 50)
	const each = 60
	var mu sync.Mutex
	names := map[string][16]byte{}
	var wg sync.WaitGroup
	for i, v := range vaults {
		wg.Go(func() {
			for n := range each {
				value := fmt.Sprintf("%d-%d@example.com", i, n)
				s, err := v.Subjects(context.Background(), []vault.Ident{{Kind: "email", Value: value}})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				names[value] = s[0].Pseudonym("o")
				mu.Unlock()
			}
		})
	}
	for range 4 {
		for _, v := range vaults {
			must(t, v.Rotate(t.Context()))
			_, err := v.Rewrap(t.Context())
			must(t, err)
		}
	}
	wg.Wait()
	_, err := vaults[0].Rewrap(t.Context())
	must(t, err)
	if s := inspect(t, dir); s.Rotating() {
		t.Errorf("the rotation did not end: %+v", s.Keys)
	}
	v := opened(t, dir, vault.Config{})
	was.there(t, v)
	for value, name := range names {
		if subject(t, v, "email", value).Pseudonym("o") != name {
			t.Fatal("a person has another name")
		}
	}
}

// A row that somebody changed is reported, and holds up the end of the rotation instead
// of being lost with the old key.
func TestRewrapMeetsAChangedRow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	was := fill(t, v, 3)
	db := openDB(t, dir)
	_, err := db.Exec(`UPDATE person SET created = created + 1 WHERE sort = 'subject' AND id = (SELECT id FROM person ORDER BY id DESC LIMIT 1)`)
	must(t, err)
	must(t, v.Rotate(t.Context()))
	r, err := v.Rewrap(t.Context())
	must(t, err)
	if r.Unreadable != 1 || r.Retired != 0 || len(inspect(t, dir).Keys) != 2 {
		t.Errorf("got %+v, want one unreadable row and the old key kept", r)
	}
	_, err = db.Exec(`UPDATE person SET created = created - 1 WHERE sort = 'subject' AND id = (SELECT id FROM person ORDER BY id DESC LIMIT 1)`)
	must(t, err)
	if r, err = v.Rewrap(t.Context()); err != nil || r.People != 1 || r.Retired != 1 {
		t.Errorf("mended: got %+v, %v", r, err)
	}
	was.there(t, opened(t, dir, vault.Config{}))
}

// Rotations that never end do not pile up for ever.
func TestTooManyRotations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	fill(t, v, 1)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = v.Rotate(t.Context())
	}
	if !errors.Is(err, vault.ErrTooManyKeys) || n != 16 {
		t.Fatalf("rotation %d: %v", n, err)
	}
	_, err = v.Rewrap(t.Context())
	must(t, err)
	must(t, v.Rotate(t.Context()))
}

// rotateAndDie does everything that rotates, and ends itself at a step. It returns only
// when the step was never reached.
func rotateAndDie(step, dir string) error {
	ctx := context.Background()
	v, err := openDying(ctx, step, dir)
	if err != nil {
		return err
	}
	if err := v.Rotate(ctx); err != nil {
		return err
	}
	if step == "touch: before the commit" {
		if _, err := v.Subjects(ctx, []vault.Ident{{Kind: "zendesk:user", Value: "0"}}); err != nil {
			return err
		}
		return errors.Join(v.Close(), errors.New("the step was not reached"))
	}
	if err := v.RotateMaster(ctx); err != nil {
		return err
	}
	if _, err := v.Rewrap(ctx); err != nil {
		return err
	}
	return errors.New("the step was not reached")
}

// VT3, V12: a process that is killed at any step of a rotation loses nothing; the next
// one opens, and the sweep ends what was begun.
func TestKilledWhileRotating(t *testing.T) {
	t.Parallel()
	for _, step := range []string{
		"rotating: before the commit", "rotating: after the commit", "touch: before the commit",
		"master: the file has both", "master: a tenant is wrapped", "master: the old key is gone",
		"rewrap: before the commit of person", "rewrap: after the commit of person",
		"rewrap: before the commit of period_key", "rewrap: after the commit of period_key",
		"retiring: before the commit", "retiring: after the commit",
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			was := fill(t, open(t, dir), 300)
			first := inspect(t, dir)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+step, dieIn+"="+dir, dieDoing+"=rotate")
			var says bytes.Buffer
			cmd.Stderr = &says
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says.String())
			}
			v := opened(t, dir, vault.Config{})
			was.there(t, v)
			_, err = v.Rewrap(t.Context())
			must(t, err)
			was.there(t, opened(t, dir, vault.Config{}))
			last := inspect(t, dir)
			if last.Rotating() {
				t.Errorf("the rotation did not end: %+v", last)
			}
			if rotated := last.Keys[0].ID != first.Keys[0].ID; rotated == (step == "rotating: before the commit") {
				t.Errorf("rotated: %v", rotated)
			}
			if last.Keys[0].People != first.Keys[0].People || last.Keys[0].Days != first.Keys[0].Days {
				t.Errorf("keys: got %+v, want as many as %+v", last.Keys, first.Keys)
			}
		})
	}
}

// A master file from before a rotation does not open the vault, and says why.
func TestOldMasterFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	path := filepath.Join(dir, "keys", "master.json")
	old, err := os.ReadFile(path)
	must(t, err)
	must(t, v.RotateMaster(t.Context()))
	if now, err := os.ReadFile(path); err != nil || bytes.Equal(now, old) {
		t.Fatalf("the file was not changed: %v", err)
	}
	must(t, os.WriteFile(path, old, 0o600))
	w, err := vault.Open(t.Context(), dir, vault.Config{})
	if err == nil {
		closeAfter(t, w)
	}
	if !errors.Is(err, vault.ErrKeyMismatch) {
		t.Errorf("opened with the old master file: %v", err)
	}
}
