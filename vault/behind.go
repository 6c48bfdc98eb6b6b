package vault

import (
	"context"
	"errors"
	"fmt"
)

const actorsSQL = `SELECT p.id, p.wrapped, p.created FROM person p
WHERE p.tenant = $1 AND p.sort = 'actor' AND p.id > $2 AND EXISTS (SELECT 1 FROM blind b WHERE b.person = p.id AND b.scope = 'actor') ORDER BY p.id LIMIT $3`

// actorsAtOnce bounds what ActorBehind reads before it looks at it.
const actorsAtOnce = 1024

// ActorBehind finds the actor who has a pseudonym in one of the logs called origins,
// and returns the zero Subject when there is none, or no longer one: a pseudonym leads
// back to nobody by itself, so every actor's is computed and compared. It takes as long
// as there are actors and is for questions of people about the log, not for calls.
func (v *Vault) ActorBehind(ctx context.Context, pseudonym [16]byte, origins []string) (Subject, error) {
	for after := []byte{}; ; {
		list, err := v.someActors(ctx, after)
		if err != nil {
			return Subject{}, fmt.Errorf("looking for an actor: %w", err)
		}
		if len(list) == 0 {
			return Subject{}, nil
		}
		for _, a := range list {
			listed := true
			p, err := v.unwrap(ctx, func() (personRow, error) {
				if listed {
					listed = false
					return a, nil
				}
				return v.readPerson(ctx, a.id)
			})
			if errors.Is(err, ErrNoKey) {
				continue // erased since it was listed
			}
			if err != nil {
				return Subject{}, err
			}
			s := Subject{p}
			for _, origin := range origins {
				if s.Pseudonym(origin) == pseudonym {
					return s, nil
				}
			}
		}
		after = list[len(list)-1].id[:]
	}
}

// someActors reads the actors whose ids follow on after. Their keys are unwrapped later:
// that may ask the database too.
func (v *Vault) someActors(ctx context.Context, after []byte) (list []personRow, err error) {
	rows, err := v.db.QueryContext(ctx, actorsSQL, v.tenant, after, actorsAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		a := personRow{sort: sortActor}
		var id []byte
		if err := rows.Scan(&id, &a.wrapped, &a.created); err != nil {
			return nil, err
		}
		if len(id) != idSize {
			return nil, v.changed("person", id)
		}
		a.id = [idSize]byte(id)
		list = append(list, a)
	}
	return list, rows.Err()
}
