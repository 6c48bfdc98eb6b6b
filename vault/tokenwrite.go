package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// draft is a token that is to be made, with its value sealed: nobody waits for that while
// the database's one writer is busy.
type draft struct {
	wish
	row tokenRow
	tag [macSize]byte
	// event is the id of the event that will name the token; zero: not known.
	event [idSize]byte
}

// keeping is what a call has been given and may release now: all that came with its own
// mark, and tokens that others had made and not yet kept.
type keeping struct {
	mark     int64 // 0 when it made none
	own      [][idSize]byte
	others   [][idSize]byte
	released bool // it has released them (KeepRecorded): the log has the event
}

// change is what a call wants to have written about tokens: one of the two.
type change struct {
	draft *draft
	keep  *keeping
}

// outcome is what became of a change.
type outcome struct {
	id   [idSize]byte // of the row of the value's token
	said [idSize]byte // what the token says
	mark int64        // the one it stands under, 0 when it is kept
	kept bool         // all are there that were to be kept
}

// outcomeOf is the token of a row.
func (v *Vault) outcomeOf(r *tokenRow) outcome {
	return outcome{id: r.id, said: v.saidBy(r.id, r.created), mark: r.mark}
}

// drawMark draws what the tokens of one call are marked with until they are kept.
func drawMark() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: the runtime ends the process first
	return int64(binary.BigEndian.Uint64(b[:])>>1 | 1)
}

// placed tells that the token follows from where a mask stands, and not from its value:
// what stands there already is something else.
func (d *draft) placed() bool { return d.id != ([idSize]byte{}) }

// errTaken is what whoever comes second to a place gets.
var errTaken = fmt.Errorf("%w: their places are taken", ErrPlaces)

// drafted draws a token for a wish, unless the wish says which, and seals its value. now is one
// for all drafts of a call: rows that say the same are written together.
func (v *Vault) drafted(w wish, mark int64, event [idSize]byte, now time.Time) (*draft, error) {
	id, created := w.id, now.UnixMilli()
	if id == ([idSize]byte{}) {
		id = v.drawID(created)
	}
	d := &draft{wish: w, event: event, row: tokenRow{id: id, person: w.of.id, scope: w.scope, kind: w.kind, created: created, mark: mark}}
	if w.life > 0 {
		d.row.expires = d.row.created + w.life.Milliseconds()
	}
	d.tag = v.tokenTag(w.scope, w.kind, w.mac, v.saidBy(id, created))
	var err error
	d.row.sealed, err = w.of.sealToken(d.row.ad(v.tenant), w.kept)
	return d, err
}

// eventOf is an event's id as token_pending has it.
func eventOf(id [idSize]byte) []byte {
	if id == ([idSize]byte{}) {
		return []byte{}
	}
	return id[:]
}

// reached tells a test that a step of writing is done.
func (v *Vault) reached(step string) {
	if v.step != nil {
		v.step(step)
	}
}

// tokenWriting is one transaction about tokens.
type tokenWriting struct {
	v  *Vault
	tx *sql.Tx
	// within is the context that ends when the transaction has to: for what waits for anybody else.
	within context.Context
	// made are the tokens of values, by blind index.
	made map[[macSize]byte]outcome
	// marked are the rows of token_pending, by their marks.
	marked map[int64]*pendingRow

	// On SQLite: the number of the last row, and the rows that were added.
	last  int64
	added []listed
}

// pendingRow is what stands under a mark: ids, one behind the other, and the id of the
// event that will name them, empty where it is not known.
type pendingRow struct{ ids, event []byte }

// changeAll carries out what calls want in one transaction. A crash before its commit
// leaves nothing; behind it, what was made is pending and nobody has seen it, and what was
// kept is so for good.
func (v *Vault) changeAll(ctx context.Context, batch []*job[change, outcome]) error {
	var drafts []*draft
	var keeps []*keeping
	for _, j := range batch {
		for _, c := range j.wanted {
			if c.draft != nil {
				drafts = append(drafts, c.draft)
			} else {
				keeps = append(keeps, c.keep)
			}
		}
	}
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing tokens: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	within := ctx
	ctx = v.begun(ctx)
	w := &tokenWriting{v: v, tx: tx, within: within, made: make(map[[macSize]byte]outcome, len(drafts)), marked: make(map[int64]*pendingRow)}
	var c carried
	if v.newest != nil && len(drafts) > 0 {
		if w.last, err = v.newest.sync(ctx, tx); err != nil {
			return err
		}
		if c, err = v.newest.carry(ctx, tx, len(drafts)); err != nil {
			return err
		}
		v.reached("ways")
	}
	if err := w.issue(ctx, drafts); err != nil {
		return err
	}
	kept, err := w.keep(ctx, keeps)
	if err != nil {
		return err
	}
	w.reached("before the", len(drafts), len(keeps))
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing tokens: %w", err)
	}
	if v.newest != nil && len(drafts) > 0 {
		v.newest.committed(c, w.added)
	}
	w.reached("after the", len(drafts), len(keeps))
	for _, j := range batch {
		j.made = make([]outcome, len(j.wanted))
		for i, c := range j.wanted {
			if c.draft != nil {
				j.made[i] = w.made[c.draft.mac]
			} else {
				j.made[i] = outcome{kept: kept[c.keep]}
			}
		}
	}
	return nil
}

// reached tells a test that a transaction is before or after its commit.
func (w *tokenWriting) reached(when string, drafts, keeps int) {
	if drafts > 0 {
		w.v.reached(when + " commit")
	}
	if keeps > 0 {
		w.v.reached(when + " keeping")
	}
}

// issue makes the tokens that are missing, and finds those of values that have one.
func (w *tokenWriting) issue(ctx context.Context, drafts []*draft) error {
	if len(drafts) == 0 {
		return nil
	}
	// In one order, so that two gateways on one PostgreSQL never wait for each other's
	// rows crosswise.
	todo := slices.Clone(drafts)
	slices.SortStableFunc(todo, func(a, b *draft) int { return bytes.Compare(a.mac[:], b.mac[:]) })
	for i := range todo {
		if i > 0 && todo[i].mac == todo[i-1].mac && todo[i].placed() {
			return errTaken
		}
	}
	todo = slices.CompactFunc(todo, func(a, b *draft) bool { return a.mac == b.mac })
	// What expired goes, and is looked for again: another process may do the same.
	for round := 0; len(todo) > 0; round++ {
		if round == 3 {
			return errors.New("making tokens: others keep taking them away")
		}
		var again []*draft
		for chunk := range store.InBulk(todo) {
			expired, err := w.issueChunk(ctx, chunk)
			if err != nil {
				return err
			}
			again = append(again, expired...)
		}
		todo = again
	}
	if len(w.added) > 0 {
		if _, err := w.tx.StmtContext(ctx, w.v.newest.note).ExecContext(ctx, w.last); err != nil { //nolint:sqlclosecheck // the end of the transaction closes it
			return fmt.Errorf("making tokens: %w", err)
		}
	}
	w.v.reached("token rows")
	created := w.v.now().UnixMilli()
	insert := w.tx.StmtContext(ctx, w.v.writers.mark)
	defer insert.Close()
	for mark, row := range w.marked {
		if _, err := insert.ExecContext(ctx, mark, created, row.ids, row.event); err != nil {
			return fmt.Errorf("making tokens: %w", err)
		}
	}
	w.v.reached("pending rows")
	return nil
}

// issueChunk inserts some drafts, or finds the tokens that their values have. It returns
// those whose token has expired and was taken away.
func (w *tokenWriting) issueChunk(ctx context.Context, chunk []*draft) (expired []*draft, err error) {
	if w.v.newest != nil {
		return w.issueListed(ctx, chunk)
	}
	n, err := w.insert(ctx, chunk)
	if err != nil {
		return nil, err
	}
	if n == len(chunk) {
		for _, d := range chunk {
			w.inserted(d)
		}
		return nil, nil
	}
	there, err := w.find(ctx, chunk)
	if err != nil {
		return nil, err
	}
	return w.takeOver(ctx, chunk, there)
}

// issueListed is issueChunk on SQLite. Nobody else writes there until the end of the
// transaction, so a value that has no token now gets one.
func (w *tokenWriting) issueListed(ctx context.Context, chunk []*draft) (expired []*draft, err error) {
	var perhaps, have, missing []*draft
	for _, d := range chunk {
		if w.v.newest.lookUp(&d.mac) == 0 && w.v.newest.has(d.unknownTo) {
			missing = append(missing, d)
		} else {
			perhaps = append(perhaps, d)
		}
	}
	there, err := w.find(ctx, perhaps)
	if err != nil {
		return nil, err
	}
	for _, d := range perhaps {
		if there[d.mac] != nil {
			have = append(have, d)
		} else {
			missing = append(missing, d)
		}
	}
	slices.SortStableFunc(missing, inCalls)
	for len(missing) > 0 {
		n := 1
		for n < len(missing) && inCalls(missing[0], missing[n]) == 0 {
			n++
		}
		for some := range store.InBulk(missing[:n]) {
			if err := w.insertListed(ctx, some); err != nil {
				return nil, err
			}
		}
		missing = missing[n:]
	}
	return w.takeOver(ctx, have, there)
}

// inCalls brings those drafts together whose rows differ in nothing but what insertListed
// says of each: those of one call, nearly always.
func inCalls(a, b *draft) int {
	return cmp.Or(cmp.Compare(a.row.mark, b.row.mark), cmp.Compare(a.row.created, b.row.created), cmp.Compare(a.row.expires, b.row.expires))
}

// insertListed inserts drafts that inCalls brought together. What every argument costs on its
// way is more than what SQLite does with it, so a row is one of bytes, cut by insertListedSQL,
// and two words.
func (w *tokenWriting) insertListed(ctx context.Context, some []*draft) error {
	args := make([]any, 0, 3*len(some)+6)
	var scope, kind any
	for i, d := range some {
		r := &d.row
		row := make([]byte, 0, listedHead+len(r.sealed))
		row = append(append(append(append(append(row, r.id[:]...), d.mac[:]...), d.tag[:]...), r.person[:]...), r.sealed...)
		if i == 0 || r.scope != some[i-1].row.scope {
			scope = r.scope
		}
		if i == 0 || r.kind != some[i-1].row.kind {
			kind = r.kind
		}
		args = append(args, row, scope, kind)
		w.added = append(w.added, listed{w.last + 1 + int64(i), headOf(&d.mac)})
	}
	first := &some[0].row
	args = append(args, w.last+1, w.v.tenant, w.v.keys.index.version(), first.created, first.expires, first.mark)
	w.last += int64(len(some))
	res, err := w.tx.StmtContext(ctx, w.v.writers.token.Of(len(some))).ExecContext(ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return fmt.Errorf("making tokens: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("making tokens: %w", err)
	}
	if n != int64(len(some)) {
		return errors.New("making tokens: the id of one is taken")
	}
	for _, d := range some {
		w.inserted(d)
	}
	return nil
}

// insert inserts drafts and returns how many of them were not there. PostgreSQL only.
func (w *tokenWriting) insert(ctx context.Context, chunk []*draft) (int, error) {
	version := w.v.keys.index.version()
	args := make([]any, 0, 12*len(chunk))
	for _, d := range chunk {
		r := &d.row
		args = append(args, r.id[:], d.mac[:], w.v.tenant, r.scope, r.kind, version, d.tag[:], r.person[:], r.sealed, r.created, r.expires, r.mark)
	}
	res, err := w.tx.StmtContext(ctx, w.v.writers.token.Of(len(chunk))).ExecContext(ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return 0, fmt.Errorf("making tokens: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("making tokens: %w", err)
	}
	return int(n), nil
}

// find finds the tokens that values have.
func (w *tokenWriting) find(ctx context.Context, chunk []*draft) (there map[[macSize]byte]*tokenRow, err error) {
	by := make(map[[macSize]byte]*wish, len(chunk))
	macs := make([][macSize]byte, len(chunk))
	for i, d := range chunk {
		by[d.mac], macs[i] = &d.wish, d.mac
	}
	there = make(map[[macSize]byte]*tokenRow, len(chunk))
	return there, w.v.findByMAC(ctx, &w.v.writers.find, w.tx, macs, by, there)
}

// inserted notes that a draft has become a token.
func (w *tokenWriting) inserted(d *draft) {
	w.made[d.mac] = w.v.outcomeOf(&d.row)
	row := w.marked[d.row.mark]
	if row == nil {
		row = &pendingRow{event: eventOf(d.event)}
		w.marked[d.row.mark] = row
	}
	row.ids = append(row.ids, d.row.id[:]...)
}

// takeOver sorts out a chunk of which some values had a token before. One that expired is
// deleted, one that has little time left gets more.
func (w *tokenWriting) takeOver(ctx context.Context, chunk []*draft, there map[[macSize]byte]*tokenRow) (expired []*draft, err error) {
	now := w.v.now()
	for _, d := range chunk {
		row := there[d.mac]
		switch {
		case row == nil:
			expired = append(expired, d) // another process has just taken it away
			continue
		case row.id == d.row.id && row.born == d.row.mark:
			w.inserted(d)
			continue
		case d.placed():
			return nil, errTaken
		case row.expired(now):
			if _, err := w.tx.ExecContext(ctx, `DELETE FROM token WHERE id = $1`, row.id[:]); err != nil {
				return nil, fmt.Errorf("making tokens: %w", err)
			}
			expired = append(expired, d)
			continue
		case !row.serves(now, d.life):
			if err := w.extend(ctx, row, &d.wish); err != nil {
				return nil, err
			}
		}
		w.made[d.mac] = w.v.outcomeOf(row)
	}
	return expired, nil
}

// extend gives a token more time. Its expiry is sealed with the value, so the value is
// sealed anew, under the person that it had.
func (w *tokenWriting) extend(ctx context.Context, row *tokenRow, wanted *wish) error {
	p, err := w.v.byID(w.within, row.person)
	if err != nil {
		return err
	}
	was := row.expires
	if row.expires = 0; wanted.life > 0 {
		row.expires = w.v.now().UnixMilli() + wanted.life.Milliseconds()
	}
	sealed, err := p.sealToken(row.ad(w.v.tenant), wanted.kept)
	if err != nil {
		return err
	}
	if _, err := w.tx.ExecContext(ctx, `UPDATE token SET sealed = $1, expires = $2 WHERE id = $3 AND expires = $4`, sealed, row.expires, row.id[:], was); err != nil {
		return fmt.Errorf("giving a token more time: %w", err)
	}
	return nil
}

// keep takes marks away, each with all that came with it, and tells of each keeping
// whether all of its tokens are there. One whose mark is gone or torn is looked at token by token:
// a sweep has taken what was pending for too long, an erasure what was somebody's, and
// others may have kept some of it before. When a token is missing, nobody releases the others,
// and they stay under their marks for the sweep.
func (w *tokenWriting) keep(ctx context.Context, all []*keeping) (kept map[*keeping]bool, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	// In one order, as above: first the marks and then the tokens.
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *keeping) int { return cmp.Compare(a.mark, b.mark) })
	del := w.tx.StmtContext(ctx, w.v.writers.keep)
	defer del.Close()
	kept = make(map[*keeping]bool, len(all))
	each := make(map[*keeping][][idSize]byte)
	unmarked := make(map[*keeping]bool)
	for _, k := range all {
		kept[k], each[k] = true, slices.Clone(k.others)
		if k.mark == 0 {
			continue
		}
		res, err := del.ExecContext(ctx, k.mark)
		if err != nil {
			return nil, fmt.Errorf("keeping tokens: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return nil, fmt.Errorf("keeping tokens: %w", err)
		}
		if unmarked[k] = n > 0; n == 0 {
			each[k] = append(each[k], k.own...)
		}
	}
	w.v.reached("marks taken away")
	there, err := w.lock(ctx, all, each)
	if err != nil {
		return nil, err
	}
	var found [][idSize]byte
	for _, k := range all {
		kept[k] = !slices.ContainsFunc(each[k], func(id [idSize]byte) bool { return !there[id] })
		if kept[k] {
			found = append(found, each[k]...)
		} else if !k.released {
			if err := w.refuse(ctx, k, unmarked[k]); err != nil {
				return nil, err
			}
		}
	}
	for chunk := range store.InBulk(sortedIDs(found)) {
		if _, err := w.tx.StmtContext(ctx, w.v.writers.keepEach.Of(len(chunk))).ExecContext(ctx, idArgs(chunk)...); err != nil { //nolint:sqlclosecheck // the end of the transaction closes it
			return nil, fmt.Errorf("keeping tokens: %w", err)
		}
	}
	return kept, nil
}

// lock finds out which tokens are there that keepings want one by one, and keeps
// others from taking them away meanwhile.
func (w *tokenWriting) lock(ctx context.Context, all []*keeping, each map[*keeping][][idSize]byte) (there map[[idSize]byte]bool, err error) {
	var ids [][idSize]byte
	for _, k := range all {
		ids = append(ids, each[k]...)
	}
	there = make(map[[idSize]byte]bool, len(ids))
	for chunk := range store.InBulk(sortedIDs(ids)) {
		if err := w.lockChunk(ctx, chunk, there); err != nil {
			return nil, fmt.Errorf("keeping tokens: %w", err)
		}
	}
	return there, nil
}

func (w *tokenWriting) lockChunk(ctx context.Context, chunk [][idSize]byte, there map[[idSize]byte]bool) error {
	rows, err := w.tx.StmtContext(ctx, w.v.writers.lock.Of(len(chunk))).QueryContext(ctx, idArgs(chunk)...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if len(id) == idSize {
			there[[idSize]byte(id)] = true
		}
	}
	return rows.Err()
}

// refuse leaves the tokens of a call to the sweep, under its mark, which is put back when it
// has just been taken away. The event goes from it: the log has that, and nobody got them.
func (w *tokenWriting) refuse(ctx context.Context, k *keeping, unmarked bool) error {
	if !unmarked {
		if _, err := w.tx.ExecContext(ctx, `UPDATE token_pending SET event = $1 WHERE mark = $2 AND length(event) > 0`, []byte{}, k.mark); err != nil {
			return fmt.Errorf("keeping tokens: %w", err)
		}
		return nil
	}
	var ids []byte
	for _, id := range k.own {
		ids = append(ids, id[:]...)
	}
	insert := w.tx.StmtContext(ctx, w.v.writers.mark)
	defer insert.Close()
	if _, err := insert.ExecContext(ctx, k.mark, w.v.now().UnixMilli(), ids, []byte{}); err != nil {
		return fmt.Errorf("keeping tokens: %w", err)
	}
	return nil
}

// sortedIDs are ids in their order, each once.
func sortedIDs(ids [][idSize]byte) [][idSize]byte {
	slices.SortFunc(ids, func(a, b [idSize]byte) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// idArgs are ids as arguments of a statement.
func idArgs(ids [][idSize]byte) []any {
	args := make([]any, len(ids))
	for i := range ids {
		args[i] = ids[i][:]
	}
	return args
}
