package proxy

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/redact/lists"
	"github.com/caregate/caregate/redact/walk"
)

// observed counts the forms of what routes found while they observed, so that
// `caregate learn --observed` can propose allow rows. It keeps field names and counts,
// and of a value how many digits it has in which groups: no digit, nothing on disk,
// and nothing of text in which more than the number stands. It is gone when the
// process ends. It is safe for concurrent use.
type observed struct {
	mu     sync.Mutex // owns shapes
	shapes lists.Shapes
	since  time.Time
}

func newObserved() *observed {
	return &observed{shapes: lists.Shapes{Blind: true}, since: time.Now().UTC()}
}

// leastObserved is how many findings a form must have to be told to anybody: what
// stands in one record only may be the name of a person.
const leastObserved = 5

// add counts the findings of a body that an event has made durable.
func (o *observed) add(doc *walk.Doc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range doc.Findings {
		if f.Never && !f.Strong {
			continue
		}
		if field := lists.FieldOf(f.Path); fieldName(field) {
			if value, ok := doc.Alone(f); ok {
				o.shapes.Add(f, field, value)
			}
		}
	}
}

// fieldName reports whether a name is one that programmers give, and not a person's
// number or address that some programs file records under.
func fieldName(s string) bool {
	const longest, digits = 64, 4
	numbers := 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			numbers++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.ContainsRune("_-.[] ", c):
		default:
			return false
		}
	}
	return s != "" && len(s) <= longest && numbers <= digits
}

// proposals answers GET /api/v1/observed.
func (o *observed) proposals(context.Context) (console.Observed, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := console.Observed{Since: o.since}
	for _, p := range o.shapes.Proposals(leastObserved) {
		out.Proposals = append(out.Proposals, console.Proposal(p))
	}
	return out, nil
}
