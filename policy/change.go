package policy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caregate/caregate/internal/store"
)

// Authorship says of a document, or of a configuration, who changed it last, who else agreed,
// and under which ticket. It decides nothing: the event of what counts has it.
type Authorship struct {
	// Ticket is a number in another system: 1 to 64 letters, digits, dashes and underscores.
	// Empty for a document that says nothing.
	Ticket string `json:"ticket"`
	// Author and Approver are e-mail addresses or the IDs of actors, empty where nobody is
	// named. They are never the same.
	Author   string `json:"author,omitempty"`
	Approver string `json:"approver,omitempty"`
}

// What an Authorship is refused for.
var (
	errTicket = fmt.Errorf("ticket wants 1 to %d letters, digits, dashes and underscores", maxTicket)
	errPerson = errors.New("author and approver want an e-mail address, or an actor as the log prints it, key:7f3a for instance")
	errAlone  = errors.New("the approver is somebody else than the author")
)

// Check says what is wrong with an Authorship that was not read from a document. It repeats
// nobody's name.
func (c Authorship) Check() error {
	switch {
	case !isTicket(c.Ticket):
		return errTicket
	case c.Author != "" && !isPerson(c.Author), c.Approver != "" && !isPerson(c.Approver):
		return errPerson
	case c.alone():
		return errAlone
	}
	return nil
}

// alone reports whether somebody approved what is their own.
func (c Authorship) alone() bool { return c.Approver != "" && strings.EqualFold(c.Author, c.Approver) }

// Limits of an Authorship.
const (
	maxTicket = 64
	maxPerson = 320 // longer than any e-mail address (RFC 5321, section 4.5.3.1)
)

// Statement is what a document or a configuration says of its last change.
type Statement struct {
	Authorship
	// Of names the document or the configuration, Line is that of the statement in it.
	Of   string
	Line int
	// Content is the SHA-256 of it, as it is with the statement. The operator's rules (.rego)
	// belong to the first document.
	Content []byte
}

// Changes are the statements of the documents that say something, in their order.
func (e *Engine) Changes() []Statement { return slices.Clone(e.changes) }

// statements are what documents say of their last changes, with rules that stand beside them.
func statements(overlays []*Overlay, rules []source) []Statement {
	var out []Statement
	for i, o := range overlays {
		if o.change == (Authorship{}) {
			continue
		}
		sum := sha256.New()
		sum.Write(appendString(nil, string(o.source)))
		if i == 0 {
			for _, f := range rules {
				sum.Write(appendString(appendString(nil, filepath.Base(f.name)), string(f.src)))
			}
		}
		out = append(out, Statement{Authorship: o.change, Of: o.name, Line: o.changeLine, Content: sum.Sum(nil)})
	}
	return out
}

// Statements remember what each statement was first made of, in state.db: across restarts and
// across gateways on one database. One that stays behind when something else is changed says
// nothing of that. Safe for concurrent use.
type Statements struct {
	db     *store.DB
	digest func(purpose string, msg []byte) []byte
}

// OpenStatements prepares the table. The database stays the caller's. digest is the vault's:
// what is stored names nobody.
func OpenStatements(ctx context.Context, db *store.DB, digest func(purpose string, msg []byte) []byte) (*Statements, error) {
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Statements{db: db, digest: digest}, nil
}

// Counts reports whether a statement is about what it stands beside: it does for the content
// with which it was seen first, whenever that comes again, and for no other. It is durable when
// Counts returns; a crash behind it loses nothing, since the same content comes again.
func (l *Statements) Counts(ctx context.Context, s Statement) (bool, error) {
	who := l.digest("change", joined(s.Of, s.Ticket, s.Author, s.Approver))
	if _, err := l.db.ExecContext(ctx, `INSERT INTO change_statement (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`, who, s.Content); err != nil {
		return false, fmt.Errorf("noting who changed %s: %w", s.Of, err)
	}
	var content []byte
	if err := l.db.QueryRowContext(ctx, `SELECT content FROM change_statement WHERE digest = $1`, who).Scan(&content); err != nil {
		return false, fmt.Errorf("reading who changed %s: %w", s.Of, err)
	}
	return bytes.Equal(content, s.Content), nil
}

func (p *overlayParser) change(n *yaml.Node) {
	c := &p.out.change
	p.out.changeLine = n.Line
	person := func(to *string, v *yaml.Node) {
		if !isPerson(v.Value) {
			p.fail(v, "%v", errPerson)
		}
		*to = v.Value
	}
	p.members(n, "change", func(key string, v *yaml.Node) bool {
		switch key {
		case "ticket":
			if !isTicket(v.Value) {
				p.fail(v, "%v", errTicket)
			}
			c.Ticket = v.Value
		case "author":
			person(&c.Author, v)
		case "approver":
			person(&c.Approver, v)
		default:
			return false
		}
		return true
	}, "ticket", "author", "approver")
	switch {
	case c.Ticket == "":
		p.fail(n, "change wants a ticket")
	case c.alone():
		p.fail(n, "%v", errAlone)
	}
}

// changeRule is what a document wants of every change of who may do what.
type changeRule struct {
	ticket    bool
	approvers int
}

func (p *overlayParser) changes(n *yaml.Node) {
	c := &p.out.changes
	p.members(n, "changes", func(key string, v *yaml.Node) bool {
		switch key {
		case "ticket":
			if v.Value != "required" {
				p.fail(v, "ticket wants required; leave it out where changes need none")
			}
			c.ticket = true
		case "approvers":
			if v.Value != "1" {
				p.fail(v, "approvers wants 1: somebody else than the author; rows of approvals can want more of single operations")
			}
			c.approvers = 1
		default:
			return false
		}
		return true
	}, "ticket", "approvers")
	if *c == (changeRule{}) {
		p.fail(n, "changes wants ticket, approvers, or both")
	}
}

// joinChanges is what all documents together want of changes: none makes another's milder.
func joinChanges(overlays []*Overlay) (all changeRule) {
	for _, o := range overlays {
		all = changeRule{all.ticket || o.changes.ticket, max(all.approvers, o.changes.approvers)}
	}
	return all
}

// index is the rule as the built-in rules read it: without members where there is none.
func (c changeRule) index() map[string]any {
	if c.approvers == 0 {
		return map[string]any{}
	}
	return map[string]any{"approvers": c.approvers}
}

// CheckChanges refuses a policy of which a document does not say as much of its change as its
// own documents demand, or those of the policy in force, nil for none. The error has file and
// line. asked tells that something is demanded.
func (e *Engine) CheckChanges(inForce *Engine) (asked bool, err error) {
	rule := e.changeRule
	if inForce != nil {
		rule = changeRule{rule.ticket || inForce.changeRule.ticket, max(rule.approvers, inForce.changeRule.approvers)}
	}
	if rule == (changeRule{}) {
		return false, nil
	}
	for _, o := range e.overlays {
		switch c := o.change; {
		case c.Ticket == "":
			err = errors.Join(err, fmt.Errorf("%s:%d: the policy wants each change to say who made it; write change, with its ticket", o.name, o.changeLine))
		case rule.approvers > 0 && (c.Author == "" || c.Approver == ""):
			err = errors.Join(err, fmt.Errorf("%s:%d: the policy wants somebody else to agree to each change; write author and approver into change", o.name, o.changeLine))
		}
	}
	return true, err
}

// WantsTicket tells whether a call of the gateway's own API is refused without the number of
// a change ticket. Safe for concurrent use.
func (e *Engine) WantsTicket(operation string) bool {
	return e.changeRule.ticket && e.ownAgreed[operation]
}

func isPerson(s string) bool {
	return len(s) <= maxPerson && !strings.ContainsAny(s, " ,\t\r\n") && strings.ContainsAny(s, "@:")
}

func isTicket(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxTicket
}
