package audit

import (
	"context"
	"fmt"
	"time"
)

// Used is what one actor did with one operation.
type Used struct {
	Origin   string
	Actor    Pseudonym
	Identity string

	Type, Channel, Operation, Effect, Scope string
	// Events is in how many events, Last the latest of them, Receipt the one that stands
	// last in the log.
	Events  int64
	Last    time.Time
	Receipt ID
	// People counts the persons that these events name, anew in each event.
	People int64
}

// Uses tells who did what how often: a row for each shard, actor, strength of identity, type
// of event and operation, of the events that q is about. q's subject, record and class do
// not matter here. Without an actor it goes through all events of q's time.
func (x *Index) Uses(ctx context.Context, q Query) (out []Used, err error) {
	err = x.eachShard(ctx, &q, func(tx queryer, p period, w *where) (bool, error) {
		found, err := x.uses(ctx, tx, p.shard, w)
		out = append(out, found...)
		return true, err
	})
	return out, err
}

func (x *Index) uses(ctx context.Context, tx queryer, shard string, w *where) (out []Used, err error) {
	// Kinds are split further than these rows: what is of one row is added up.
	type row struct {
		act                                       Pseudonym
		identity, typ, channel, op, effect, scope string
	}
	at := make(map[row]int)
	last := make(map[row]int64)
	scan := func(query string, add func(i int, r row, count, wall, idx int64)) error {
		rows, err := tx.QueryContext(ctx, query, w.args...)
		if err != nil {
			return fmt.Errorf("reading index: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			var act []byte
			var count, wall, idx int64
			if err := rows.Scan(&act, &r.identity, &r.typ, &r.channel, &r.op, &r.effect, &r.scope, &count, &wall, &idx); err != nil {
				return fmt.Errorf("reading index: %w", err)
			}
			copy(r.act[:], act)
			i, known := at[r]
			if !known {
				i = len(out)
				at[r] = i
				out = append(out, Used{Origin: originOf(x.deployment, shard), Actor: r.act, Identity: r.identity,
					Type: r.typ, Channel: r.channel, Operation: r.op, Effect: r.effect, Scope: r.scope})
			}
			add(i, r, count, wall, idx)
		}
		return rows.Err()
	}
	const columns = `g.act, k.idk, k.type, k.chan, k.op, k.effect, k.scope`
	err = scan(`SELECT `+columns+`, g.n, g.wall, g.idx FROM (
			SELECT e.act AS act, e.kind AS kind, count(*) AS n, max(e.wall) AS wall, max(e.idx) AS idx FROM audit_entry e JOIN audit_kind k ON k.kind = e.kind
			WHERE `+w.String()+` GROUP BY e.act, e.kind
		) g JOIN audit_kind k ON k.kind = g.kind ORDER BY `+columns+`, g.idx`, func(i int, r row, count, wall, idx int64) {
		out[i].Events += count
		if t := time.UnixMilli(wall); t.After(out[i].Last) {
			out[i].Last = t
		}
		last[r] = max(last[r], idx)
	})
	if err != nil {
		return nil, err
	}
	err = scan(`SELECT `+columns+`, g.n, 0, 0 FROM (
			SELECT d.act AS act, d.kind AS kind, count(*) AS n FROM (
				SELECT DISTINCT e.act AS act, e.kind AS kind, e.idx AS idx, s.pseudonym AS pseudonym
				FROM audit_entry e JOIN audit_kind k ON k.kind = e.kind JOIN audit_exposure s ON s.shard = e.shard AND s.idx = e.idx
				WHERE s.kind = 1 AND `+w.String()+`
			) d GROUP BY d.act, d.kind
		) g JOIN audit_kind k ON k.kind = g.kind ORDER BY `+columns, func(i int, _ row, count, _, _ int64) {
		out[i].People += count
	})
	if err != nil {
		return nil, err
	}
	for r, i := range at {
		var eid []byte
		if err := tx.QueryRowContext(ctx, `SELECT eid FROM audit_entry WHERE shard = $1 AND idx = $2`, shard, last[r]).Scan(&eid); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		copy(out[i].Receipt[:], eid)
	}
	return out, nil
}
