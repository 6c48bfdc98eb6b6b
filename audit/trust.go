package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Trust is what a verification believes: nothing else is taken on trust, and
// nothing of it from the log that is verified. It is written by
// `caregate audit trust` and kept where the gateway's administrator cannot change
// it.
type Trust struct {
	// Keys are verifier keys (c2sp.org/signed-note). A key's name is the origin of
	// the log that it signs.
	Keys []string
	// Checkpoints are signed checkpoints seen earlier. A log that lacks one was set
	// back or replaced.
	Checkpoints []string
}

// trustVersion is the version of the trust file.
const trustVersion = 1

// maxTrust bounds a trust file in bytes.
const maxTrust = 1 << 20

// trustFile is a trust file as JSON, one object per origin.
type trustFile struct {
	Version int        `json:"version"`
	Logs    []trustLog `json:"logs"`
}

type trustLog struct {
	Origin      string   `json:"origin"`
	Keys        []string `json:"keys"`
	Checkpoints []string `json:"checkpoints"`
}

// TrustOf makes a trust file's content for the log under the data directory dir:
// its keys, and the newest signed checkpoint of each shard, which must verify under
// them.
func TrustOf(ctx context.Context, dir string) (Trust, error) {
	if _, err := os.Stat(filepath.Join(dir, auditDir)); err != nil {
		return Trust{}, fmt.Errorf("reading the log's keys: %w: %w", ErrMissing, err)
	}
	o := VerifyOptions{Dir: dir}
	var t Trust
	r, err := o.verify(ctx, func(ctx context.Context, v *verifier) {
		v.dir = filepath.Join(dir, auditDir)
		defer v.close()
		if !v.openLock(ctx) {
			return
		}
		list, ok := v.readLocked(ctx)
		if !ok || !v.loadKeys() {
			return
		}
		for _, s := range list {
			v.begin(s.origin, nil, len(list) > 1)
			if _, ok := v.openLocked(s); !ok {
				return
			}
			t.Keys = append(t.Keys, v.keys...)
			t.Checkpoints = append(t.Checkpoints, s.body)
		}
	})
	if err != nil {
		return Trust{}, err
	}
	if r.Outcome != Valid || len(t.Keys) == 0 {
		reason := "the check did not end"
		if len(r.Problems) > 0 {
			reason = r.Problems[0].Place + " " + r.Problems[0].Text
		} else if len(r.Unchecked) > 0 {
			reason = r.Unchecked[0]
		}
		return Trust{}, fmt.Errorf("reading the log's keys: %s", reason)
	}
	return t, nil
}

// MarshalText writes the trust file.
func (t Trust) MarshalText() ([]byte, error) {
	f := trustFile{Version: trustVersion, Logs: []trustLog{}}
	logs := map[string]int{}
	at := func(origin string) *trustLog {
		if _, ok := logs[origin]; !ok {
			logs[origin] = len(f.Logs)
			f.Logs = append(f.Logs, trustLog{Origin: origin, Keys: []string{}, Checkpoints: []string{}})
		}
		return &f.Logs[logs[origin]]
	}
	for _, k := range t.Keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, errors.New("writing trust file: not a verifier key")
		}
		l := at(v.Name())
		l.Keys = append(l.Keys, k)
	}
	for _, c := range t.Checkpoints {
		origin, _, _ := strings.Cut(c, "\n")
		l := at(origin)
		l.Checkpoints = append(l.Checkpoints, c)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a key may hold a plus sign and stays as it was printed
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("writing trust file: %w", err)
	}
	return b.Bytes(), nil
}

// ParseTrust reads a trust file, or a plain list of verifier keys, one a line,
// where lines that begin with # are comments. A file with an unknown member, or
// with a key of another origin than it says, is refused.
func ParseTrust(data []byte) (Trust, error) {
	if len(data) > maxTrust {
		return Trust{}, errors.New("a trust file has at most 1 MiB")
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return parseKeyList(string(data))
	}
	var f trustFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return Trust{}, fmt.Errorf("not a trust file: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Trust{}, errors.New("not a trust file: something follows its end")
	}
	if f.Version != trustVersion {
		return Trust{}, fmt.Errorf("trust file of version %d; this program knows %d", f.Version, trustVersion)
	}
	var t Trust
	for _, l := range f.Logs {
		for _, k := range l.Keys {
			v, err := note.NewVerifier(k)
			if err != nil {
				return Trust{}, errors.New("a trusted key is not a verifier key")
			}
			if v.Name() != l.Origin {
				return Trust{}, errors.New("a trusted key belongs to another origin than the trust file says")
			}
		}
		t.Keys = append(t.Keys, l.Keys...)
		t.Checkpoints = append(t.Checkpoints, l.Checkpoints...)
	}
	if len(t.Keys) == 0 {
		return Trust{}, ErrNoKey
	}
	return t, nil
}

// ErrNoKey is returned for a trust file or list without any key.
var ErrNoKey = errors.New("holds no key")

func parseKeyList(text string) (Trust, error) {
	var t Trust
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := note.NewVerifier(line); err != nil {
			return Trust{}, errors.New("a trusted key is not a verifier key")
		}
		t.Keys = append(t.Keys, line)
	}
	if len(t.Keys) == 0 {
		return Trust{}, ErrNoKey
	}
	return t, nil
}
