package policy

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
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

// Changes are what the bundle's document says of its last change; none where it says nothing.
func (b *SignedBundle) Changes() []Authorship { return Changes(b.overlays()) }

// Changes are what documents say of their last changes, in their order.
func Changes(overlays []*Overlay) []Authorship {
	var out []Authorship
	for _, o := range overlays {
		if o.change != (Authorship{}) {
			out = append(out, o.change)
		}
	}
	return out
}

func (p *overlayParser) change(n *yaml.Node) {
	c := &p.out.change
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
