package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is the unsigned body of c2sp.org/tlog-checkpoint: origin, size and
// root hash. We write no extension lines and refuse them.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

// String prints the three lines which are signed.
func (c checkpoint) String() string {
	return c.origin + "\n" + strconv.FormatInt(c.size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.root[:]) + "\n"
}

// parseCheckpoint accepts exactly what String prints.
func parseCheckpoint(text string) (checkpoint, error) {
	bad := errors.New("not a checkpoint")
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return checkpoint{}, bad
	}
	c := checkpoint{origin: lines[0]}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 1 {
		return checkpoint{}, bad
	}
	c.size = size
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.root) {
		return checkpoint{}, bad
	}
	copy(c.root[:], root)
	if c.String() != text {
		return checkpoint{}, bad
	}
	return c, nil
}

// sign makes the signed note of a checkpoint.
func (c checkpoint) sign(s note.Signer) ([]byte, error) {
	msg, err := note.Sign(&note.Note{Text: c.String()}, s)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return msg, nil
}

// openCheckpoint verifies a signed note and parses its checkpoint. Every
// signature in it must be by a known key and the bytes must be the ones the note
// package prints, so that no changed bit anywhere in the file passes (invariant
// A21). Cosignatures of witnesses, when they come, come as known keys.
func openCheckpoint(msg []byte, known note.Verifiers) (checkpoint, error) {
	n, err := note.Open(msg, known)
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint signature: %w", err)
	}
	if len(n.UnverifiedSigs) > 0 {
		return checkpoint{}, errors.New("checkpoint has a signature by an unknown key")
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return checkpoint{}, err
	}
	var again strings.Builder
	again.WriteString(n.Text)
	again.WriteString("\n")
	for _, s := range n.Sigs {
		again.WriteString("— " + s.Name + " " + s.Base64 + "\n")
		if s.Name != c.origin {
			return checkpoint{}, errors.New("checkpoint is signed by the key of another origin")
		}
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != s.Base64 {
			return checkpoint{}, errors.New("checkpoint signature is not in canonical base64")
		}
	}
	if again.String() != string(msg) {
		return checkpoint{}, errors.New("checkpoint is not in canonical form")
	}
	return c, nil
}

// shardName is the half-year of an instant, for example 2026h2 (UTC).
func shardName(t time.Time) string {
	half := "h1"
	if t.UTC().Month() > time.June {
		half = "h2"
	}
	return strconv.Itoa(t.UTC().Year()) + half
}

// nextShard is the half-year after one.
func nextShard(shard string) string {
	year, half, _ := strings.Cut(shard, "h")
	if half == "1" {
		return year + "h2"
	}
	n, _ := strconv.Atoi(year) // four digits, see validShard
	return fmt.Sprintf("%04dh1", n+1)
}

// originOf is the origin line of a shard.
func originOf(deployment, shard string) string { return deployment + "/audit/" + shard }

// splitOrigin is the inverse of originOf.
func splitOrigin(origin string) (deployment, shard string, err error) {
	deployment, shard, ok := strings.Cut(origin, "/audit/")
	if !ok || validDeployment(deployment) != nil || !validShard(shard) {
		return "", "", fmt.Errorf("origin has not the form deployment/audit/YEARh1")
	}
	return deployment, shard, nil
}

func validShard(s string) bool {
	year, half, ok := strings.Cut(s, "h")
	if !ok || len(year) != 4 || half != "1" && half != "2" {
		return false
	}
	for _, c := range year {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// validDeployment keeps the name fit for an origin line, a note key name and a
// file name.
func validDeployment(name string) error {
	if name == "" || len(name) > 100 {
		return errors.New("deployment name must have 1 to 100 characters")
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return errors.New("deployment name may hold letters, digits, dot, dash and underscore only")
		}
	}
	return nil
}
