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

// victim is a person with everything that can hang on a key.
type victim struct {
	id     vault.PersonID
	name   [16]byte
	sealed []vault.Sealed
	token  string
	mask   string // the place of one that can be undone
}

const (
	annMail  = "ann@example.com"
	annPlace = "place"
)

// populate makes a person and what is sealed for it.
func populate(t *testing.T, v *vault.Vault, mail string) (a victim) {
	t.Helper()
	who := subject(t, v, "email", mail)
	a.name = who.Pseudonym("o")
	day, err := v.Period(t.Context(), "exchange/subject", time.Unix(1_800_000_000, 0))
	must(t, err)
	for _, seal := range []func() (vault.Sealed, error){
		func() (vault.Sealed, error) { return v.Seal(who, []byte(annPlace), []byte("detail")) },
		func() (vault.Sealed, error) { return v.SealIn(day, who, []byte(annPlace), []byte("detail")) },
	} {
		s, err := seal()
		must(t, err)
		a.sealed = append(a.sealed, s)
	}
	is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{{Kind: "payment_reference", Text: []byte("OF" + mail), Subject: who}})
	must(t, err)
	must(t, is.Keep(t.Context()))
	a.token = is.Tokens[0].Text
	is, err = v.Shelve(t.Context(), a.name, []vault.Original{{Value: vault.Value{Kind: "us_ssn", Text: []byte("MASKED" + mail + " 1"), Subject: who}, Life: time.Hour}})
	must(t, err)
	must(t, is.Keep(t.Context()))
	a.mask = vault.Place{Event: a.name, Number: 1}.String()
	found, err := v.FindErasable(t.Context(), []vault.Ident{{Kind: "email", Value: mail}})
	must(t, err)
	if found[0].Subject.IsZero() || found[0].Tokens != 2 {
		t.Fatalf("what would be erased: %+v", found)
	}
	a.id = found[0].ID
	return a
}

// gone checks that nothing of a person opens, and that the address is somebody new.
func (a victim) gone(t *testing.T, v *vault.Vault, mail string) {
	t.Helper()
	for i, s := range a.sealed {
		if _, err := v.Open(t.Context(), s, []byte(annPlace)); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("detail %d of an erased person: got %v, want ErrNoKey", i, err)
		}
	}
	for what, text := range map[string]string{"token": a.token, "mask": a.mask} {
		if _, err := v.Reveal(t.Context(), text); !errors.Is(err, vault.ErrToken) {
			t.Errorf("the %s of an erased person: got %v, want ErrToken", what, err)
		}
	}
	// Somebody may have written from the same address since, and is another person.
	if known, err := v.Known(t.Context(), vault.Ident{Kind: "email", Value: mail}); err != nil || !known.IsZero() && known.Pseudonym("o") == a.name {
		t.Errorf("an erased person is known: %v", err)
	}
	if subject(t, v, "email", mail).Pseudonym("o") == a.name {
		t.Error("the pseudonym of an erased person came back")
	}
}

// stands checks that all of a person is as it was.
func (a victim) stands(t *testing.T, v *vault.Vault, mail string) {
	t.Helper()
	for i, s := range a.sealed {
		if _, err := v.Open(t.Context(), s, []byte(annPlace)); err != nil {
			t.Errorf("detail %d of somebody else: %v", i, err)
		}
	}
	if revealed(t, v, a.token) != "OF"+mail || revealed(t, v, a.mask) != "MASKED"+mail+" 1" || subject(t, v, "email", mail).Pseudonym("o") != a.name {
		t.Error("somebody else lost a token or a name")
	}
}

// V13: whoever reads a key at the moment of its erasure does not remember it.
func TestEraseWhileRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	ann := populate(t, v, annMail)
	reader := opened(t, dir, vault.Config{})
	var once sync.Once
	vault.OnStep(reader, func(step string) {
		if step == "remembering" { // it has the row, and the caches are emptied now
			once.Do(func() {
				if _, err := reader.Erase(context.Background(), []vault.PersonID{ann.id}, vault.ErasureMark{}); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if _, err := reader.Open(t.Context(), ann.sealed[0], []byte(annPlace)); err != nil {
		t.Fatalf("what was read before the erasure: %v", err)
	}
	ann.gone(t, reader, annMail)
}

// Somebody who came back after an erasure elsewhere can be erased again at once.
func TestEraseWhoCameBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v, other := open(t, dir), open(t, dir)
	ann := populate(t, v, annMail)
	ann.stands(t, other, annMail) // which remembers the key
	_, err := v.Erase(t.Context(), []vault.PersonID{ann.id}, vault.ErasureMark{})
	must(t, err)
	back := populate(t, v, annMail)
	found, err := other.FindErasable(t.Context(), []vault.Ident{{Kind: "email", Value: annMail}})
	must(t, err)
	if found[0].ID != back.id || found[0].Tokens != 2 {
		t.Errorf("found %+v, want the one who came back", found[0])
	}
}

// A value for somebody whom another process has erased is not kept. It fails alone, and
// once: not with whatever else is being written, and not until the cache's time is over.
func TestTokenizeForErased(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v, other := open(t, dir), open(t, dir)
	ann := populate(t, v, annMail)
	remembered := subject(t, other, "email", annMail)
	_, err := v.Erase(t.Context(), []vault.PersonID{ann.id}, vault.ErasureMark{})
	must(t, err)
	// The first holds the one writer up until the others stand behind it.
	begun, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	vault.OnStep(other, func(step string) {
		if step == "before the commit" {
			once.Do(func() { close(begun); <-proceed })
		}
	})
	bob, carl := subject(t, other, "email", "bob@example.com"), subject(t, other, "email", "carl@example.com")
	keep := func(text string, of vault.Subject) error {
		_, err := other.Tokenize(context.Background(), "", 0, []vault.Value{{Kind: "payment_reference", Text: []byte(text), Subject: of}})
		return err
	}
	var wg sync.WaitGroup
	kept := func(text string, of vault.Subject) {
		if err := keep(text, of); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	wg.Go(func() { kept("first", bob) })
	<-begun
	wg.Go(func() {
		if err := keep("hers", remembered); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("a value for nobody: got %v, want ErrNoKey", err)
		}
	})
	wg.Go(func() { kept("his", carl) })
	vault.WaitQueued(other, 2)
	close(proceed)
	wg.Wait()
	if s := subject(t, other, "email", annMail); keep("again", s) != nil {
		t.Error("the one who came back is not known")
	}
}

// V13: what was sealed for a person, kept for it or named after it ends with its key, in
// this process at once, in a new one, and in one that remembered the key when its
// memory ends. Nobody else loses anything.
func TestErase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	at := &clock{at: time.Now()}
	other := opened(t, dir, vault.Config{Now: at.now, CacheTime: time.Minute})
	ann, bob := populate(t, v, annMail), populate(t, v, "bob@example.com")
	actor, err := v.Actor(t.Context(), annMail) // a colleague can be a customer
	must(t, err)
	ann.stands(t, other, annMail)
	mark := vault.ErasureMark{Shard: "o", Index: 7}
	e, err := v.Erase(t.Context(), []vault.PersonID{ann.id}, mark)
	must(t, err)
	if e != (vault.Erased{People: 1, Tokens: 2}) {
		t.Errorf("erased: %+v", e)
	}
	if got, err := v.ErasedUpTo(t.Context()); err != nil || got != mark {
		t.Errorf("the mark: %+v, %v", got, err)
	}
	ann.gone(t, v, annMail)
	ann.gone(t, opened(t, dir, vault.Config{}), annMail)
	at.pass(time.Minute + time.Second)
	ann.gone(t, other, annMail)
	bob.stands(t, v, "bob@example.com")
	if again, err := v.Actor(t.Context(), annMail); err != nil || again.Pseudonym("o") != actor.Pseudonym("o") {
		t.Error("erasing a customer erased who looked")
	}
	// Again, with a mark that is older or none: harmless.
	if e, err := v.Erase(t.Context(), []vault.PersonID{ann.id, {1}}, vault.ErasureMark{}); err != nil || e != (vault.Erased{}) {
		t.Errorf("again: %+v, %v", e, err)
	}
	if got, err := v.ErasedUpTo(t.Context()); err != nil || got != mark {
		t.Errorf("the mark after an erasure without one: %+v, %v", got, err)
	}
	// Of another log that erasures come from, nothing is carried out yet.
	second := opened(t, dir, vault.Config{Log: "second"})
	if got, err := second.ErasedUpTo(t.Context()); err != nil || got != (vault.ErasureMark{}) {
		t.Errorf("the mark of another log: %+v, %v", got, err)
	}
	theirs := vault.ErasureMark{Shard: "p", Index: 2}
	_, err = second.Erase(t.Context(), []vault.PersonID{ann.id}, theirs)
	must(t, err)
	for w, want := range map[*vault.Vault]vault.ErasureMark{v: mark, second: theirs} {
		if got, err := w.ErasedUpTo(t.Context()); err != nil || got != want {
			t.Errorf("marks of two logs: got %+v, %v, want %+v", got, err, want)
		}
	}
}

// VT9, V13, A13, F15: yesterday's backup of the vault brings an erased person back, and the
// erasure, carried out again from the list outside, ends that for good. The backup's
// mark says that it has to be.
func TestEraseAfterABackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	ann, bob := populate(t, v, annMail), populate(t, v, "bob@example.com")
	must(t, v.Close()) // which makes the file whole
	backup, err := os.ReadFile(filepath.Join(dir, "vault.db"))
	must(t, err)

	v = opened(t, dir, vault.Config{})
	_, err = v.Erase(t.Context(), []vault.PersonID{ann.id}, vault.ErasureMark{Shard: "o", Index: 7})
	must(t, err)
	ann.gone(t, v, annMail)
	must(t, v.Close())
	must(t, os.WriteFile(filepath.Join(dir, "vault.db"), backup, 0o600))

	v = opened(t, dir, vault.Config{})
	ann.stands(t, v, annMail) // the test can see
	if mark, err := v.ErasedUpTo(t.Context()); err != nil || mark != (vault.ErasureMark{}) {
		t.Errorf("the mark of a backup from before: %+v, %v", mark, err)
	}
	_, err = v.Erase(t.Context(), []vault.PersonID{ann.id}, vault.ErasureMark{Shard: "o", Index: 7})
	must(t, err)
	ann.gone(t, v, annMail)
	bob.stands(t, v, "bob@example.com")
}

// VT5, V13: the wrapped key of an erased person stands in no file any more, neither in the
// database nor in its write-ahead log.
func TestErasedFromTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	ann := populate(t, v, annMail)
	var wrapped []byte
	must(t, openDB(t, dir).QueryRow(`SELECT wrapped FROM person WHERE id = $1`, ann.id[:]).Scan(&wrapped))
	found := func() (n int) {
		for _, f := range []string{"vault.db", "vault.db-wal"} {
			raw, err := os.ReadFile(filepath.Join(dir, f))
			must(t, err)
			n += bytes.Count(raw, wrapped)
		}
		return n
	}
	if found() == 0 {
		t.Fatal("the test does not see the key where it is")
	}
	_, err := v.Erase(t.Context(), []vault.PersonID{ann.id}, vault.ErasureMark{})
	must(t, err)
	if n := found(); n != 0 {
		t.Errorf("the wrapped key stands in %d places of the files", n)
	}
}

// VT5, V13: with somebody who reads on, an erasure ends, and the others on the file go on
// writing meanwhile. The wrapped key goes from the write-ahead log when the reader has come to its end,
// though nothing new is written.
func TestEraseBesideAReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v, other := open(t, dir), open(t, dir)
	vault.StopMover(v)
	vault.StopMover(other)
	ann := populate(t, v, annMail)
	var wrapped []byte
	must(t, openDB(t, dir).QueryRow(`SELECT wrapped FROM person WHERE id = $1`, ann.id[:]).Scan(&wrapped))
	inLog := func() int {
		raw, err := os.ReadFile(filepath.Join(dir, "vault.db-wal"))
		must(t, err)
		return bytes.Count(raw, wrapped)
	}
	end := readOn(t, dir)
	turns := 0
	vault.OnStep(v, func(step string) {
		if step != "the log is not empty" {
			return
		}
		turns++
		is, err := other.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", fmt.Sprint("MEANWHILE", turns))})
		if err == nil {
			err = is.Keep(t.Context())
		}
		if err != nil {
			t.Errorf("another vault on the file: %v", err)
		}
	})
	// As long as it takes on a busy machine, and far less than fifty waits of SQLite's.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err := v.Erase(ctx, []vault.PersonID{ann.id}, vault.ErasureMark{})
	must(t, err)
	if ctx.Err() != nil || turns == 0 {
		t.Fatalf("the erasure waited for its reader, %d times: %v", turns, ctx.Err())
	}
	ann.gone(t, v, annMail)
	if inLog() == 0 {
		t.Fatal("the test does not see the key where it is")
	}
	end()
	vault.LookAtLog(t.Context(), v)
	if n := inLog(); n != 0 {
		t.Errorf("the wrapped key stands in %d places of the log", n)
	}
}

// VT5, V13: a process that dies between an erasure and the emptying of the log leaves the key
// in it. The next one empties it.
func TestNextOneEmptiesTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	vault.StopMover(v)
	tokenOf(t, v, "", val("iban", "ANY"))
	if logSize(t, dir) == 0 {
		t.Fatal("the log is empty, so the test sees nothing")
	}
	next := opened(t, dir, vault.Config{})
	vault.StopMover(next)
	vault.LookAtLog(t.Context(), next)
	if size := logSize(t, dir); size != 0 {
		t.Errorf("the log has %d bytes, want none", size)
	}
}

// eraseAndDie erases and ends itself at a step. It returns only when the step was never
// reached.
func eraseAndDie(step, dir string) error {
	ctx := context.Background()
	v, err := openDying(ctx, step, dir)
	if err != nil {
		return err
	}
	found, err := v.FindErasable(ctx, []vault.Ident{{Kind: "email", Value: annMail}})
	if err != nil {
		return err
	}
	if _, err := v.Erase(ctx, []vault.PersonID{found[0].ID}, vault.ErasureMark{Shard: "o", Index: 1}); err != nil {
		return err
	}
	return errors.New("the step was not reached")
}

// VT3, V13: a process that is killed while it erases has erased all or nothing, with the
// mark; doing it again ends it.
func TestKilledWhileErasing(t *testing.T) {
	t.Parallel()
	for step, done := range map[string]bool{"erasing: before the commit": false, "erasing: after the commit": true} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ann := populate(t, open(t, dir), annMail)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+step, dieIn+"="+dir, dieDoing+"=erase")
			var says bytes.Buffer
			cmd.Stderr = &says
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says.String())
			}
			v := opened(t, dir, vault.Config{})
			mark, err := v.ErasedUpTo(t.Context())
			must(t, err)
			if (mark != vault.ErasureMark{}) != done {
				t.Errorf("the mark: %+v, want one: %v", mark, done)
			}
			if !done {
				ann.stands(t, v, annMail)
			}
			_, err = v.Erase(t.Context(), []vault.PersonID{ann.id}, vault.ErasureMark{Shard: "o", Index: 1})
			must(t, err)
			ann.gone(t, v, annMail)
		})
	}
}

func TestPersonIDs(t *testing.T) {
	t.Parallel()
	id := vault.PersonID{1, 0xab}
	if got, err := vault.ParsePersonID(id.String()); err != nil || got != id {
		t.Errorf("%s: got %v, %v", id, got, err)
	}
	for _, text := range []string{"", "01", fmt.Sprintf("%032x", 1) + "0", "zz" + id.String()[2:]} {
		if _, err := vault.ParsePersonID(text); err == nil {
			t.Errorf("%q is taken for an id", text)
		}
	}
}

// V13: a person is erased while a call has tokens for several and has not released them.
// The call is told, and what it made for the others is swept; nobody else's call is.
func TestEraseBeforeRelease(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	v := openAt(t, t.TempDir(), c)
	both := func(n string) *vault.Issue {
		t.Helper()
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{
			{Kind: "iban", Text: []byte("HERS" + n), Subject: subject(t, v, "email", annMail)}, val("iban", "ANYBODYS"+n)})
		must(t, err)
		return is
	}
	told, died := both("1"), both("2")
	// Its own token is whole, and one that it was given with it is not.
	given, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "HERS1"), val("iban", "WITH HERS")})
	must(t, err)
	others, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", "OTHER")})
	must(t, err)
	found, err := v.FindErasable(t.Context(), []vault.Ident{{Kind: "email", Value: annMail}})
	must(t, err)
	_, err = v.Erase(t.Context(), []vault.PersonID{found[0].ID}, vault.ErasureMark{})
	must(t, err)
	if err := told.Keep(t.Context()); !errors.Is(err, vault.ErrToken) {
		t.Errorf("keeping what was erased: got %v, want ErrToken", err)
	}
	if err := given.Keep(t.Context()); !errors.Is(err, vault.ErrToken) {
		t.Errorf("keeping beside what was erased: got %v, want ErrToken", err)
	}
	must(t, others.Keep(t.Context()))
	c.pass(vault.OrphanTime + time.Second)
	swept, err := v.Sweep(t.Context())
	// Of each of the three what nobody has released.
	if want := (vault.Swept{Orphans: 3}); err != nil || swept != want {
		t.Errorf("swept: got %+v, %v, want %+v", swept, err, want)
	}
	for name, is := range map[string]*vault.Issue{"told": told, "died": died, "given": given} {
		if _, err := v.Reveal(t.Context(), is.Tokens[1].Text); !errors.Is(err, vault.ErrToken) {
			t.Errorf("what nobody released, %s: got %v, want ErrToken", name, err)
		}
	}
	if revealed(t, v, others.Tokens[0].Text) != "OTHER" {
		t.Error("another call has lost its token")
	}
}
