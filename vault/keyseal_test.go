package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/vault"
)

const words = "four words behind a door"

func passphraseOf(t testing.TB, words string) vault.KeySeal {
	t.Helper()
	s, err := vault.NewPassphrase(words)
	must(t, err)
	return s
}

func keyFileOf(t testing.TB, content string) vault.KeySeal {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seal.key")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	s, err := vault.NewKeyFileSeal(path)
	must(t, err)
	return s
}

// sealedVault makes a vault whose key files are sealed, and tells what is in it.
func sealedVault(t *testing.T, dir string, seal vault.KeySeal) kept {
	t.Helper()
	must(t, vault.Create(t.Context(), dir, vault.Config{Seal: seal}))
	return fill(t, opened(t, dir, vault.Config{Seal: seal}), 2)
}

func TestSealedKeyFiles(t *testing.T) {
	t.Parallel()
	for name, seals := range map[string]struct{ right, again, wrong vault.KeySeal }{
		"passphrase": {passphraseOf(t, words), passphraseOf(t, "  "+words+"\n"), passphraseOf(t, words+"!")},
		"key_file":   {keyFileOf(t, strings.Repeat("k", 32)), keyFileOf(t, strings.Repeat("k", 32)+"\n"), keyFileOf(t, strings.Repeat("K", 32))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			was := sealedVault(t, dir, seals.right)
			for _, f := range inspect(t, dir).Files {
				if f.Seal != name || len(f.Keys) != 1 {
					t.Errorf("%s: got %+v", f.Name, f)
				}
				raw, err := os.ReadFile(filepath.Join(dir, "keys", f.Name))
				must(t, err)
				if bytes.Contains(raw, []byte("keyData")) || bytes.Contains(raw, []byte(words)) {
					t.Errorf("%s holds something in clear", f.Name)
				}
			}
			v := opened(t, dir, vault.Config{Seal: seals.again})
			was.there(t, v)
			must(t, v.RotateMaster(t.Context()))
			was.there(t, opened(t, dir, vault.Config{Seal: seals.again}))
			other := passphraseOf(t, "somebody else's words")
			if name == "passphrase" {
				other = keyFileOf(t, strings.Repeat("x", 40))
			}
			for what, tc := range map[string]struct {
				seal vault.KeySeal
				says string
			}{
				"a wrong one":  {seals.wrong, "is not the one that master.json was sealed with"},
				"none":         {nil, "sealed with " + name + ", and the configuration names no seal"},
				"another kind": {other, "the configuration has the seal " + other.Kind()},
			} {
				w, err := vault.Open(t.Context(), dir, vault.Config{Seal: tc.seal})
				if err == nil {
					closeAfter(t, w)
				}
				if !errors.Is(err, vault.ErrKeySeal) || !strings.Contains(fmt.Sprint(err), tc.says) {
					t.Errorf("%s: got %v, want ErrKeySeal saying %q", what, err, tc.says)
				}
				if strings.Contains(fmt.Sprint(err), words) {
					t.Error("the error repeats the passphrase (V1)")
				}
				if err := v.UseSeal(t.Context(), tc.seal); !errors.Is(err, vault.ErrKeySeal) {
					t.Errorf("%s, for an open vault: %v", what, err)
				}
			}
			must(t, v.UseSeal(t.Context(), seals.right))
			must(t, v.RotateMaster(t.Context()))
			was.there(t, opened(t, dir, vault.Config{Seal: seals.right}))
		})
	}
}

func TestSealsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), mode))
		must(t, os.Chmod(path, mode))
		return path
	}
	long := strings.Repeat("k", 32)
	for _, tc := range []struct {
		name string
		make func() (vault.KeySeal, error)
		want error
	}{
		{"a short passphrase", func() (vault.KeySeal, error) { return vault.NewPassphrase(" eleven ch. ") }, vault.ErrWeakSeal},
		{"no passphrase", func() (vault.KeySeal, error) { return vault.NewPassphrase("") }, vault.ErrWeakSeal},
		{"a short file", func() (vault.KeySeal, error) { return vault.NewKeyFileSeal(file("short", long[1:]+"\n", 0o600)) }, vault.ErrWeakSeal},
		{"a large file", func() (vault.KeySeal, error) {
			return vault.NewKeyFileSeal(file("large", strings.Repeat(long, 200), 0o600))
		}, vault.ErrWeakSeal},
		{"a file that others read", func() (vault.KeySeal, error) { return vault.NewKeyFileSeal(file("loose", long, 0o640)) }, vault.ErrLooseMode},
		{"no file", func() (vault.KeySeal, error) { return vault.NewKeyFileSeal(filepath.Join(dir, "none")) }, vault.ErrKeyFile},
	} {
		if _, err := tc.make(); !errors.Is(err, tc.want) || strings.Contains(fmt.Sprint(err), "kkk") || strings.Contains(fmt.Sprint(err), "eleven") {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	var printed bytes.Buffer
	for _, s := range []vault.KeySeal{passphraseOf(t, words), keyFileOf(t, long)} {
		fmt.Fprintf(&printed, "%v %+v %#v %s", s, s, s, s)
		raw, err := json.Marshal(s)
		must(t, err)
		printed.Write(raw)
	}
	if strings.Contains(printed.String(), words) || strings.Contains(printed.String(), "107 107") {
		t.Error("a seal prints what it is (V1)")
	}
}

// The seal is changed from each kind to each other, and whoever has the old one only is
// refused afterwards.
func TestReseal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	was := fill(t, open(t, dir), 2)
	seals := []vault.KeySeal{nil, passphraseOf(t, words), passphraseOf(t, "other words for it"), keyFileOf(t, strings.Repeat("k", 32)), nil}
	for i, to := range seals[1:] {
		from := seals[i]
		if _, err := vault.Reseal(t.Context(), dir, vault.Config{Seal: to}, passphraseOf(t, "nobody knows them")); !errors.Is(err, vault.ErrKeySeal) {
			t.Errorf("change %d from a seal that is none: %v", i, err)
		}
		was.there(t, opened(t, dir, vault.Config{Seal: from}))
		n, err := vault.Reseal(t.Context(), dir, vault.Config{Seal: to}, from)
		if err != nil || n != 3 {
			t.Fatalf("change %d: %d files, %v", i, n, err)
		}
		was.there(t, opened(t, dir, vault.Config{Seal: to}))
		if w, err := vault.Open(t.Context(), dir, vault.Config{Seal: from}); !errors.Is(err, vault.ErrKeySeal) {
			if err == nil {
				closeAfter(t, w)
			}
			t.Errorf("change %d: with the old seal: %v", i, err)
		}
	}
}

// A change of the seal that was interrupted between two files is refused at a start, and
// goes on when it is repeated.
func TestResealIsInterrupted(t *testing.T) {
	t.Parallel()
	files := []string{"master.json", "index.json", "check.json"}
	for n := 1; n < len(files); n++ {
		t.Run(fmt.Sprint(n, " files written"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			was := fill(t, open(t, dir), 2)
			clear := make(map[string][]byte)
			for _, f := range files[n:] {
				raw, err := os.ReadFile(filepath.Join(dir, "keys", f))
				must(t, err)
				clear[f] = raw
			}
			to := passphraseOf(t, words)
			_, err := vault.Reseal(t.Context(), dir, vault.Config{Seal: to}, nil)
			must(t, err)
			for f, raw := range clear {
				must(t, os.WriteFile(filepath.Join(dir, "keys", f), raw, 0o600))
			}
			w, err := vault.Open(t.Context(), dir, vault.Config{Seal: to})
			if err == nil {
				closeAfter(t, w)
			}
			if !errors.Is(err, vault.ErrKeySeal) || !strings.Contains(fmt.Sprint(err), "interrupted") {
				t.Errorf("half sealed: got %v", err)
			}
			if written, err := vault.Reseal(t.Context(), dir, vault.Config{Seal: to}, nil); err != nil || written != len(files)-n {
				t.Errorf("again: %d files, %v", written, err)
			}
			was.there(t, opened(t, dir, vault.Config{Seal: to}))
		})
	}
}

// A sealed file that was damaged or comes from a later version is refused, whatever is
// wrong with it, and takes neither memory nor time.
func TestDamagedSeal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seal := passphraseOf(t, words)
	sealedVault(t, dir, seal)
	path := filepath.Join(dir, "keys", "index.json")
	whole, err := os.ReadFile(path)
	must(t, err)
	for _, tc := range []struct{ name, old, new string }{
		{"a later version", `"caregate_key_file": 1`, `"caregate_key_file": 2`},
		{"another name for the kind", `"seal": "passphrase"`, `"seal": "none"`},
		{"terabytes of memory", `"memory": 65536`, `"memory": 1073741824`},
		{"no memory", `"memory": 65536`, `"memory": 0`},
		{"no threads", `"threads": 4`, `"threads": 0`},
		{"years of time", `"time": 3`, `"time": 4000000000`},
		{"another function", "argon2id", "md5"},
		{"no salt", `"salt": "`, `"salt": "", "x": "`},
		{"nothing wrapped", `"wrapped": {`, `"wrapped": {}, "x": {`},
		{"the keyset of another file", "", ""},
	} {
		raw := []byte(strings.Replace(string(whole), tc.old, tc.new, 1))
		if tc.old == "" {
			raw, err = os.ReadFile(filepath.Join(dir, "keys", "check.json"))
			must(t, err)
		} else if bytes.Equal(raw, whole) {
			t.Fatalf("%s: nothing was changed", tc.name)
		}
		must(t, os.WriteFile(path, raw, 0o600))
		w, err := vault.Open(t.Context(), dir, vault.Config{Seal: seal})
		if err == nil {
			closeAfter(t, w)
		}
		if !errors.Is(err, vault.ErrKeyFile) && !errors.Is(err, vault.ErrKeySeal) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

// Whatever stands in a key file, it is refused in one of two ways or it is one that was sealed.
func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	seal := keyFileOf(f, strings.Repeat("k", 32))
	must(f, vault.Create(f.Context(), dir, vault.Config{Seal: seal}))
	for _, name := range []string{"master.json", "index.json"} {
		raw, err := os.ReadFile(filepath.Join(dir, "keys", name))
		must(f, err)
		f.Add(raw)
	}
	f.Add([]byte(`{"primaryKeyId":1,"key":[{"keyId":1}]}`))
	f.Add([]byte(`{"caregate_key_file":1,"seal":"key_file","wrapped":{"key":"AA=="},"keyset":{}}`))
	path := filepath.Join(dir, "keys", "master.json")
	f.Fuzz(func(t *testing.T, raw []byte) {
		must(t, os.WriteFile(path, raw, 0o600))
		ids, err := vault.KeyFileIDs(t.Context(), path, seal)
		if err == nil && len(ids) != 1 {
			t.Errorf("a file opened that holds %d keys", len(ids))
		}
		if err != nil && !errors.Is(err, vault.ErrKeyFile) && !errors.Is(err, vault.ErrKeySeal) {
			t.Errorf("refused with %v", err)
		}
	})
}
