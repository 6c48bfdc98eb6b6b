package vault

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/caregate/caregate/internal/store"
)

// A blind index is as good as random: written when its row is, each would change a page of
// its own, and pages are what a commit costs. So on SQLite the ways from blind indexes to rows
// (token_way) are written later, by a transaction that writes other tokens anyway, and together
// with those of similar blind indexes, which share pages. Until then the ways are in memory:
// newest has those of all rows behind a number that the database keeps (token_list.upto), in
// two generations. One gathers what comes, the other is carried over, part by part in the
// order of the blind indexes, as fast as new ones come. When it is through, upto goes up to
// its last row, and the other one takes its place once it is large enough to be worth it.
//
// Memory decides nothing. A transaction that makes tokens has the database's one writer, and
// first reads what other processes have added and deleted, so a value that has a row is found
// there (V3). Everybody else may miss what another process has just made, and then asks the
// writer. A crash loses nothing: the rows behind upto are read again, and a way is
// the same when it is written twice.

const (
	// headSize is how much of a blind index leads to its row, which has all of it.
	headSize = 16
	// partBits is how many leading bits blind indexes of one part share.
	partBits = 10
	// carryPart and carryPer are how many are carried over for how many new ones: more, so that
	// a generation is through before the next one is complete.
	carryPart, carryPer = 5, 4
)

// carryFrom is how many tokens are worth being carried over: the ways of a million fill about
// half as many pages. Twice as many ways are in memory, of about 100 bytes each. Only tests
// change it.
var carryFrom = 32 << 10

type head [headSize]byte

func headOf(mac *[macSize]byte) head { return head(mac[:headSize]) }

// part is where the head stands in the order.
func (h *head) part() int { return int(binary.BigEndian.Uint16(h[:]) >> (16 - partBits)) }

// listed is a row whose way is in memory.
type listed struct {
	seq  int64
	head head
}

// generation is a number of rows in a row. A nil one has none.
type generation struct {
	rows  []listed              // ordered by seq
	at    map[head]int64        // seq of each that is there
	parts [1 << partBits][]head // in no order; those that left at have gone
}

func newGeneration() *generation {
	return &generation{at: make(map[head]int64)}
}

func (g *generation) add(r listed) {
	g.rows = append(g.rows, r)
	if _, ok := g.at[r.head]; !ok {
		part := &g.parts[r.head.part()]
		*part = append(*part, r.head)
	}
	g.at[r.head] = r.seq
}

// remove forgets a row that was deleted, if it is here.
func (g *generation) remove(seq int64) {
	if g == nil {
		return
	}
	i, ok := slices.BinarySearchFunc(g.rows, seq, func(r listed, seq int64) int { return cmp.Compare(r.seq, seq) })
	if ok && g.at[g.rows[i].head] == seq {
		delete(g.at, g.rows[i].head)
	}
}

// removeUpTo forgets rows up to a number.
func (g *generation) removeUpTo(seq int64) {
	for h, s := range g.at {
		if s <= seq {
			delete(g.at, h)
		}
	}
}

// find is the row that a head leads to, 0 for none.
func (g *generation) find(h head) int64 {
	if g == nil {
		return 0
	}
	return g.at[h]
}

// newest are the ways that token_way need not have yet.
type newest struct {
	state, added, gone *sql.Stmt // on the connection that writes
	note               *sql.Stmt
	put                store.Bulk

	mu sync.RWMutex // owns what follows; only who has the database's writer changes it
	// Rows behind upTo and up to seen are in memory, but for those that goneSeen of the
	// deleted were.
	upTo, seen, goneSeen int64
	fresh, moving        *generation
	bound                int64 // the last row of moving
	part                 int   // the first of moving that is not carried over
	due                  int   // carryPart for each that was made since, less carryPer for each that was carried over
}

// carried is what a transaction has carried over, for when it has committed.
type carried struct {
	part, due int
	through   bool
}

func newNewest(ctx context.Context, db *store.DB) (n *newest, err error) {
	n = &newest{fresh: newGeneration()}
	for _, s := range []struct {
		of  **sql.Stmt
		sql string
	}{
		{&n.state, `SELECT upto, last, gone FROM token_list`},
		{&n.added, `SELECT seq, mac FROM token WHERE seq > $1 ORDER BY seq`},
		{&n.gone, `SELECT seq FROM token_gone WHERE n > $1`},
		{&n.note, `UPDATE token_list SET last = $1`},
	} {
		if *s.of, err = db.PrepareContext(ctx, s.sql); err != nil { //nolint:sqlclosecheck // closing the database closes it
			return nil, fmt.Errorf("opening the vault: %w", err)
		}
	}
	if n.put, err = store.PrepareBulk(ctx, db, `INSERT INTO token_way (head, seq) VALUES `, 2, ` ON CONFLICT (head) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq`); err != nil {
		return nil, err
	}
	tx, err := db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	defer tx.Rollback() // it has read only
	_, err = n.sync(ctx, tx)
	return n, err
}

// lookUp is the number of the row that a blind index leads to; 0 when the database has to be
// asked.
func (n *newest) lookUp(mac *[macSize]byte) int64 {
	h := headOf(mac)
	n.mu.RLock()
	defer n.mu.RUnlock()
	if seq := n.fresh.find(h); seq > 0 {
		return seq
	}
	return n.moving.find(h)
}

// last is the last row that is known here.
func (n *newest) last() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.seen
}

// has tells that all rows behind one are in memory. Only for who has the writer.
func (n *newest) has(behind int64) bool { return behind >= n.upTo }

// sync reads what others have added, deleted and carried over, and returns the number of the
// last row. Nothing of the transaction's own is in that yet.
func (n *newest) sync(ctx context.Context, tx *sql.Tx) (last int64, err error) {
	var upTo, gone int64
	if err := tx.StmtContext(ctx, n.state).QueryRowContext(ctx).Scan(&upTo, &last, &gone); err != nil { //nolint:sqlclosecheck // the end of the transaction closes it
		return 0, fmt.Errorf("reading the list of tokens: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if upTo > n.upTo {
		n.passed(upTo)
	}
	if last > n.seen {
		if err := n.read(ctx, tx, max(n.seen, n.upTo)); err != nil {
			return 0, fmt.Errorf("reading the list of tokens: %w", err)
		}
		n.seen = last
	}
	if gone > n.goneSeen {
		if err := n.readGone(ctx, tx); err != nil {
			return 0, fmt.Errorf("reading the list of tokens: %w", err)
		}
		n.goneSeen = gone
	}
	return last, nil
}

// passed forgets what has its way.
func (n *newest) passed(upTo int64) {
	n.upTo = upTo
	if n.moving != nil && n.bound <= upTo {
		n.moving = nil
	}
	if n.moving != nil {
		n.moving.removeUpTo(upTo)
	}
	if len(n.fresh.rows) > 0 && n.fresh.rows[0].seq <= upTo {
		n.fresh.removeUpTo(upTo)
	}
}

func (n *newest) read(ctx context.Context, tx *sql.Tx, behind int64) error {
	rows, err := tx.StmtContext(ctx, n.added).QueryContext(ctx, behind) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var mac sql.RawBytes
		if err := rows.Scan(&seq, &mac); err != nil {
			return err
		}
		if len(mac) != macSize {
			continue // nobody looks for it
		}
		n.fresh.add(listed{seq, head(mac[:headSize])})
	}
	return rows.Err()
}

func (n *newest) readGone(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.StmtContext(ctx, n.gone).QueryContext(ctx, n.goneSeen) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return err
		}
		n.fresh.remove(seq)
		n.moving.remove(seq)
	}
	return rows.Err()
}

// carry writes the ways of some tokens, as many as a transaction that makes a number of new
// ones should. What it changes in memory waits for committed.
func (n *newest) carry(ctx context.Context, tx *sql.Tx, made int) (c carried, err error) {
	n.mu.Lock()
	if n.moving == nil && len(n.fresh.rows) >= carryFrom {
		n.moving, n.bound, n.fresh, n.part, n.due = n.fresh, n.seen, newGeneration(), 0, 0
	}
	g, bound := n.moving, n.bound
	c = carried{part: n.part, due: n.due + made*carryPart}
	n.mu.Unlock()
	if g == nil {
		return carried{}, nil
	}
	// Only who has the writer changes a generation, so it may be read here.
	var ways []listed
	for c.part < len(g.parts) && c.due >= len(g.parts[c.part])*carryPer {
		c.due -= len(g.parts[c.part]) * carryPer
		for _, h := range g.parts[c.part] {
			if seq, ok := g.at[h]; ok {
				ways = append(ways, listed{seq, h})
			}
		}
		c.part++
	}
	slices.SortFunc(ways, func(a, b listed) int { return bytes.Compare(a.head[:], b.head[:]) })
	for chunk := range store.InBulk(ways) {
		args := make([]any, 0, 2*len(chunk))
		for i := range chunk {
			args = append(args, chunk[i].head[:], chunk[i].seq)
		}
		if _, err := tx.StmtContext(ctx, n.put.Of(len(chunk))).ExecContext(ctx, args...); err != nil { //nolint:sqlclosecheck // the end of the transaction closes it
			return c, fmt.Errorf("writing the ways to tokens: %w", err)
		}
	}
	if c.through = c.part == len(g.parts); c.through {
		_, err := tx.ExecContext(ctx, `UPDATE token_list SET upto = $1`, bound)
		_, err2 := tx.ExecContext(ctx, `DELETE FROM token_gone WHERE seq <= $1`, bound)
		if err := errors.Join(err, err2); err != nil {
			return c, fmt.Errorf("writing the ways to tokens: %w", err)
		}
	}
	return c, nil
}

// committed notes what a transaction has carried over and made.
func (n *newest) committed(c carried, made []listed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.moving != nil {
		n.part, n.due = c.part, c.due
	}
	if c.through {
		n.upTo, n.moving = n.bound, nil
	}
	for _, r := range made {
		n.fresh.add(r)
		n.seen = r.seq
	}
}
