package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// statementHead begins every text that the log's key signs and that is no checkpoint. An
// origin has no space in it, so no checkpoint begins so, and no statement is one.
const statementHead = "caregate statement: "

// maxStatement bounds a statement, in bytes.
const maxStatement = 64 << 10

// ErrStatement is wrapped when a text is no statement of the kind, or not signed by a key
// that counts.
var ErrStatement = errors.New("not a signed statement")

// Sign signs a statement under the log's key (c2sp.org/signed-note): kind says what it is, a
// word of lower-case letters and dashes, and text is lines that end with a line feed. What
// it says is the caller's; that it stands in the log as well is for an event to say.
func (l *Log) Sign(kind, text string) (string, error) {
	c := l.core
	// The integrator has the key in use, and alone: this is its file.
	return SignStatement(c.cfg.KeyDir, c.current.Load().origin, kind, text)
}

// SignStatement is [Log.Sign] without an open log: with the key of an origin ([ExtentOf]) in
// the folder keyDir. A gateway may have the log open.
func SignStatement(keyDir, origin, kind, text string) (string, error) {
	if !isKind(kind) || text == "" || !strings.HasSuffix(text, "\n") || len(text) > maxStatement || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }) {
		return "", fmt.Errorf("signing a statement: %w: kind or text has not the form", ErrStatement)
	}
	_, shard, err := splitOrigin(origin)
	if err != nil {
		return "", fmt.Errorf("signing a statement: %w", err)
	}
	signer, _, err := loadKey(keyFile(keyDir, shard), origin)
	if err != nil {
		return "", fmt.Errorf("signing a statement: %w", err)
	}
	msg, err := note.Sign(&note.Note{Text: statementHead + kind + "\n" + text}, signer)
	if err != nil {
		return "", fmt.Errorf("signing a statement: %w", err)
	}
	return string(msg), nil
}

func isKind(s string) bool {
	for i := range len(s) {
		if (s[i] < 'a' || s[i] > 'z') && s[i] != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// OpenStatement checks a statement's signature under one of the verifier keys and returns
// its text without the head, and the origin of the log whose key signed. Exactly what Sign
// returned counts. Any error wraps ErrStatement.
func OpenStatement(msg []byte, kind string, keys []string) (text, origin string, err error) {
	if len(msg) > 2*maxStatement {
		return "", "", fmt.Errorf("%w: too long", ErrStatement)
	}
	known, err := verifiers(keys)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrStatement, err)
	}
	n, err := note.Open(msg, known)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrStatement, err)
	}
	text, ok := strings.CutPrefix(n.Text, statementHead+kind+"\n")
	if !ok || !isKind(kind) {
		return "", "", fmt.Errorf("%w: it says something else", ErrStatement)
	}
	if len(n.UnverifiedSigs) > 0 || len(n.Sigs) != 1 {
		return "", "", fmt.Errorf("%w: it has another signature", ErrStatement)
	}
	s := n.Sigs[0]
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || n.Text+"\n— "+s.Name+" "+base64.StdEncoding.EncodeToString(raw)+"\n" != string(msg) {
		return "", "", fmt.Errorf("%w: not in canonical form", ErrStatement)
	}
	return text, s.Name, nil
}
