package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

// open creates a vault in a temporary directory and opens it.
func open(t testing.TB, dir string) *vault.Vault {
	t.Helper()
	place(t, dir)
	if err := vault.Create(t.Context(), dir, vault.Config{}); err != nil && !errors.Is(err, vault.ErrExists) {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), dir, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, v)
	return v
}

func closeAfter(t testing.TB, v *vault.Vault) {
	t.Helper()
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
}

func subject(t testing.TB, v *vault.Vault, kind, value string) vault.Subject {
	t.Helper()
	s, err := v.Subjects(t.Context(), []vault.Ident{{Kind: kind, Value: value}})
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

func TestCreateThenOpen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := vault.Open(t.Context(), t.TempDir(), vault.Config{}); !errors.Is(err, vault.ErrNoVault) {
		t.Fatalf("Open of an empty directory: got %v, want ErrNoVault", err)
	}
	v := open(t, dir)
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{"keys": 0o700, "keys/master.json": 0o600, "keys/index.json": 0o600, "keys/check.json": 0o600, "vault.db": 0o600} {
		fi, err := os.Stat(filepath.Join(dir, path))
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want mode %v", path, fi.Mode().Perm(), err, want)
		}
	}
	if err := vault.Create(t.Context(), dir, vault.Config{}); !errors.Is(err, vault.ErrExists) {
		t.Errorf("second Create: got %v, want ErrExists", err)
	}
	// Names must outlive the process.
	s := subject(t, v, "email", "ann@example.com")
	name, rec, dig := s.Pseudonym("o"), v.Record("zendesk:ticket", "7"), v.Digest("p", []byte("b"))
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	w := open(t, dir)
	if got := subject(t, w, "email", "ann@example.com").Pseudonym("o"); got != name {
		t.Error("the pseudonym changed when the vault was opened again")
	}
	if w.Record("zendesk:ticket", "7") != rec || !bytes.Equal(w.Digest("p", []byte("b")), dig) {
		t.Error("a keyed digest changed when the vault was opened again")
	}
	if _, err := v.Subjects(t.Context(), []vault.Ident{{Kind: "email", Value: "new@example.com"}}); err == nil {
		t.Error("Subjects of a closed vault: got nil, want an error")
	}
}

// An interrupted Create leaves the key files without the row that needs them.
func TestCreateIsRepeatable(t *testing.T) {
	t.Parallel()
	complete := t.TempDir()
	open(t, complete)
	for _, tc := range []struct {
		name string
		keep []string // what was there when the power went
	}{
		{"only the directory of keys", nil},
		{"the master keyset", []string{"master.json"}},
		{"two of three keysets", []string{"master.json", "index.json"}},
		{"all keysets", []string{"master.json", "index.json", "check.json"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, f := range tc.keep {
				raw, err := os.ReadFile(filepath.Join(complete, "keys", f))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "keys", f), raw, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// A database without the row, as after a crash before the last step.
			db, err := store.Open(t.Context(), filepath.Join(dir, "vault.db"), store.Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := vault.Open(t.Context(), dir, vault.Config{}); !errors.Is(err, vault.ErrNoVault) {
				t.Fatalf("Open of a half-made vault: got %v, want ErrNoVault", err)
			}
			v := open(t, dir)
			subject(t, v, "email", "ann@example.com")
			for _, f := range tc.keep {
				was, _ := os.ReadFile(filepath.Join(complete, "keys", f))
				is, _ := os.ReadFile(filepath.Join(dir, "keys", f))
				if !bytes.Equal(was, is) {
					t.Errorf("%s was made anew", f)
				}
			}
		})
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	open(t, other)
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, keys string)
		want error
		says string // the way out, in the text
	}{
		{"file readable by the group", func(t *testing.T, keys string) {
			must(t, os.Chmod(filepath.Join(keys, "index.json"), 0o640))
		}, vault.ErrLooseMode, "chmod 0600"},
		{"directory open to others", func(t *testing.T, keys string) {
			must(t, os.Chmod(keys, 0o755))
		}, vault.ErrLooseMode, "chmod 0700"},
		{"file missing", func(t *testing.T, keys string) {
			must(t, os.Remove(filepath.Join(keys, "master.json")))
		}, vault.ErrKeyFile, "restore it"},
		{"file cut short", func(t *testing.T, keys string) {
			must(t, os.Truncate(filepath.Join(keys, "master.json"), 40))
		}, vault.ErrKeyFile, "damaged"},
		{"file empty", func(t *testing.T, keys string) {
			must(t, os.Truncate(filepath.Join(keys, "check.json"), 0))
		}, vault.ErrKeyFile, "damaged"},
		{"one character changed in the key", func(t *testing.T, keys string) {
			path := filepath.Join(keys, "master.json")
			raw, err := os.ReadFile(path)
			must(t, err)
			i := bytes.Index(raw, []byte(`"value":"`)) + 20
			if raw[i] == 'A' {
				raw[i] = 'B'
			} else {
				raw[i] = 'A' // still base64
			}
			must(t, os.WriteFile(path, raw, 0o600))
		}, vault.ErrKeyMismatch, "do not belong together"},
		{"two files exchanged", func(t *testing.T, keys string) {
			a, b := filepath.Join(keys, "master.json"), filepath.Join(keys, "index.json")
			must(t, os.Rename(a, a+".x"))
			must(t, os.Rename(b, a))
			must(t, os.Rename(a+".x", b))
		}, vault.ErrKeyFile, "exchanged"},
		{"index and check exchanged", func(t *testing.T, keys string) {
			a, b := filepath.Join(keys, "check.json"), filepath.Join(keys, "index.json")
			must(t, os.Rename(a, a+".x"))
			must(t, os.Rename(b, a))
			must(t, os.Rename(a+".x", b))
		}, vault.ErrKeyMismatch, "index.json"},
		{"another deployment's master", func(t *testing.T, keys string) {
			raw, err := os.ReadFile(filepath.Join(other, "keys", "master.json"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(keys, "master.json"), raw, 0o600))
		}, vault.ErrKeyMismatch, "master.json"},
		{"another deployment's index", func(t *testing.T, keys string) {
			raw, err := os.ReadFile(filepath.Join(other, "keys", "index.json"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(keys, "index.json"), raw, 0o600))
		}, vault.ErrKeyMismatch, "index.json"},
		{"symbolic link", func(t *testing.T, keys string) {
			path := filepath.Join(keys, "master.json")
			must(t, os.Rename(path, path+".x"))
			must(t, os.Symlink(path+".x", path))
		}, vault.ErrKeyFile, "not a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v := open(t, dir)
			keys := filepath.Join(dir, "keys")
			secrets := keyMaterial(t, keys)
			tc.do(t, keys)
			opened, err := vault.Open(t.Context(), dir, vault.Config{})
			if err == nil {
				closeAfter(t, opened)
			}
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Fatalf("Open: got %v, want %v saying %q", err, tc.want, tc.says)
			}
			for _, s := range secrets {
				if strings.Contains(err.Error(), s) {
					t.Error("the error quotes key material (V1)")
				}
			}
			// Create must not paper over it with new keys.
			if err := vault.Create(t.Context(), dir, vault.Config{}); err == nil || errors.Is(err, vault.ErrExists) {
				t.Errorf("Create over it: got %v, want the same refusal", err)
			}
			if errors.Is(tc.want, vault.ErrLooseMode) || tc.name == "file missing" || tc.name == "symbolic link" {
				if err := v.Ready(t.Context()); err == nil {
					t.Error("Ready: got nil, want an error before the next start fails")
				}
			}
		})
	}
}

// keyMaterial are the key values in the files of a directory.
func keyMaterial(t *testing.T, dir string) (values []string) {
	t.Helper()
	for _, f := range []string{"master.json", "index.json", "check.json"} {
		raw, err := os.ReadFile(filepath.Join(dir, f))
		must(t, err)
		var ks struct {
			Key []struct{ KeyData struct{ Value string } }
		}
		must(t, json.Unmarshal(raw, &ks))
		if len(ks.Key) != 1 || len(ks.Key[0].KeyData.Value) < 32 {
			t.Fatalf("%s: not the expected form", f)
		}
		values = append(values, ks.Key[0].KeyData.Value)
	}
	return values
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, dir)
	must(t, vault.Create(t.Context(), dir, vault.Config{Tenant: "second"}))
	b, err := vault.Open(t.Context(), dir, vault.Config{Tenant: "second"})
	must(t, err)
	closeAfter(t, b)
	if subject(t, a, "email", "ann@example.com").Pseudonym("o") == subject(t, b, "email", "ann@example.com").Pseudonym("o") {
		t.Error("one pseudonym in two tenants")
	}
	if bytes.Equal(a.Digest("p", nil), b.Digest("p", nil)) || a.Record("k", "1") == b.Record("k", "1") {
		t.Error("one digest in two tenants")
	}
}

// V1: whatever is printed, there is no value and no key in it.
func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	const value = "ann.secret@example.com"
	v := open(t, t.TempDir())
	id := vault.Ident{Kind: "email", Value: value}
	s := subject(t, v, id.Kind, id.Value)
	var buf bytes.Buffer
	log := slog.New(slog.NewTextHandler(&buf, nil))
	log.Info("x", "ident", id, "subject", s, "idents", []vault.Ident{id})
	for _, x := range []any{id, &id, []vault.Ident{id}, s, &s} {
		fmt.Fprintf(&buf, "%v %+v %#v %s\n", x, x, x, x)
		raw, err := json.Marshal(x)
		must(t, err)
		buf.Write(raw)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Subjects(ctx, []vault.Ident{id, {Kind: "email", Value: value + "x"}})
	fmt.Fprintln(&buf, err)
	_, err = v.Subjects(t.Context(), []vault.Ident{{Value: value}})
	fmt.Fprintln(&buf, err)
	_, err = v.Open(t.Context(), vault.Sealed{Key: value, Ciphertext: make([]byte, 99), Commitment: make([]byte, 32)}, nil)
	fmt.Fprintln(&buf, err)
	if strings.Contains(buf.String(), "secret@") {
		t.Errorf("a value was printed:\n%s", buf.String())
	}
}

// VT5, V6, V7: the database holds nothing that was given to look up.
func TestDatabaseHoldsNoValue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	subject(t, v, "email", "ann.needle@example.com")
	subject(t, v, "zendesk:user", "needle-4711-needle")
	_, err := v.Actor(t.Context(), "key:needle")
	must(t, err)
	secrets := keyMaterial(t, filepath.Join(dir, "keys"))
	for _, f := range []string{"vault.db", "vault.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(dir, f))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		if bytes.Contains(raw, []byte("needle")) {
			t.Errorf("%s holds a value", f)
		}
		for _, s := range secrets {
			if bytes.Contains(raw, []byte(s)) {
				t.Errorf("%s holds a key of keys/", f)
			}
		}
	}
}

func TestExpiredCacheReadsAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place(t, dir)
	must(t, vault.Create(t.Context(), dir, vault.Config{}))
	at := &clock{at: time.Unix(1_800_000_000, 0)}
	v := opened(t, dir, vault.Config{Now: at.now, CacheTime: time.Minute})
	s := subject(t, v, "email", "ann@example.com")
	sealed, err := v.Seal(s, nil, []byte("x"))
	must(t, err)
	// Another process destroys the key (V13): at the latest after the cache time
	// nothing opens any more, and the same address is a new person.
	db := openDB(t, dir)
	if _, err := db.ExecContext(t.Context(), "DELETE FROM person"); err != nil {
		t.Fatal(err)
	}
	at.pass(time.Minute + 1)
	if _, err := v.Open(t.Context(), sealed, nil); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("Open under a destroyed key: got %v, want ErrNoKey", err)
	}
	if subject(t, v, "email", "ann@example.com").Pseudonym("o") == s.Pseudonym("o") {
		t.Error("the pseudonym of a destroyed key came back")
	}
}

// Two that create at once: one makes the vault, the other is told so or asked to
// come again; nothing is made twice.
func TestCreateRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place(t, dir)
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() { errs <- vault.Create(context.Background(), dir, vault.Config{}) }()
	}
	made := 0
	for range cap(errs) {
		switch err := <-errs; {
		case err == nil:
			made++
		case !errors.Is(err, vault.ErrExists) && !errors.Is(err, store.ErrLocked):
			t.Errorf("got %v, want ErrExists or ErrLocked", err)
		}
	}
	if made != 1 {
		t.Errorf("made %d times, want once", made)
	}
	subject(t, open(t, dir), "email", "ann@example.com")
}

// A cache smaller than a call's people changes nothing but time.
func TestSmallCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place(t, dir)
	must(t, vault.Create(t.Context(), dir, vault.Config{}))
	v, err := vault.Open(t.Context(), dir, vault.Config{Cache: 2})
	must(t, err)
	closeAfter(t, v)
	var idents []vault.Ident
	for i := range 20 {
		idents = append(idents, vault.Ident{Kind: "zendesk:user", Value: fmt.Sprint(i)})
	}
	first, err := v.Subjects(t.Context(), idents)
	must(t, err)
	sealed, err := v.Seal(first[0], nil, []byte("x"))
	must(t, err)
	again, err := v.Subjects(t.Context(), idents)
	must(t, err)
	for i := range idents {
		if first[i].Pseudonym("o") != again[i].Pseudonym("o") {
			t.Fatalf("subject %d is somebody else the second time", i)
		}
	}
	if _, err := v.Open(t.Context(), sealed, nil); err != nil {
		t.Errorf("opening under a key that left the cache: %v", err)
	}
}
