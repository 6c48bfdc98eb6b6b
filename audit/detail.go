package audit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/caregate/caregate/internal/store"
)

// detailVersion opens the encoded details of an intake row.
const detailVersion = 1

// digestOf is what the leaf says of a sealed part. Com covers the key's name with
// the commitment, so that a row of the detail store cannot be pointed at another
// key unnoticed.
func digestOf(s Sealed) DetailDigest {
	var buf [128]byte
	b := append(appendPart(buf[:0], s.Key), s.Commitment...)
	return DetailDigest{Part: s.Part, Sum: sha256.Sum256(s.Ciphertext), Com: sha256.Sum256(b)}
}

func appendPart[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendDetails encodes the sealed parts of one event for the intake row. They
// are sorted by part.
func appendDetails(b []byte, parts []Sealed) []byte {
	b = append(b, detailVersion, byte(len(parts)))
	for _, p := range parts {
		b = appendPart(b, p.Part)
		b = appendPart(b, p.Key)
		b = appendPart(b, p.Ciphertext)
		b = appendPart(b, p.Commitment)
	}
	return b
}

// detailsSize is at least how long appendDetails makes parts.
func detailsSize(parts []Sealed) (n int64) {
	for _, p := range parts {
		n += int64(4*binary.MaxVarintLen32 + len(p.Part) + len(p.Key) + len(p.Ciphertext) + len(p.Commitment))
	}
	if n > 0 {
		n += 2
	}
	return n
}

var errDetails = errors.New("not the sealed details of an event")

// parseDetails accepts exactly what appendDetails writes.
func parseDetails(data []byte) ([]Sealed, error) {
	if len(data) < 2 || data[0] != detailVersion || int(data[1]) > maxList {
		return nil, errDetails
	}
	parts, rest := make([]Sealed, data[1]), data[2:]
	for i := range parts {
		var f [4][]byte
		for j := range f {
			n, used := binary.Uvarint(rest)
			if used <= 0 || n > uint64(len(rest)-used) {
				return nil, errDetails
			}
			f[j], rest = rest[used:used+int(n)], rest[used+int(n):]
		}
		parts[i] = Sealed{Part: string(f[0]), Key: string(f[1]), Ciphertext: f[2], Commitment: f[3]}
	}
	if !bytes.Equal(appendDetails(nil, parts), data) {
		return nil, errDetails
	}
	return parts, nil
}

// normalDetails sorts the parts and refuses what the leaf cannot stand for.
func normalDetails(parts []Sealed) ([]Sealed, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	if len(parts) > maxList {
		return nil, eventError("det", "has too many parts")
	}
	size := 0
	for _, p := range parts {
		size += len(p.Ciphertext) + len(p.Commitment)
		if p.Part == "" || len(p.Key) > maxIdent {
			return nil, eventError("det", "lacks a part name or has a long key name")
		}
	}
	if size > MaxDetail {
		return nil, eventError("det", "is too large")
	}
	out := slices.Clone(parts)
	slices.SortFunc(out, func(a, b Sealed) int { return cmp.Compare(a.Part, b.Part) })
	return out, nil
}

// detailRow is one sealed part in the detail store, with the place of its leaf.
type detailRow struct {
	idx int64
	Sealed
}

// storeDetails inserts the parts in one transaction. A row that is there already
// with the same bytes is fine, because integration may run twice; with other
// bytes it is corruption (invariant A11).
func storeDetails(ctx context.Context, db *store.DB, shard string, rows []detailRow) (err error) {
	if len(rows) == 0 {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("storing details: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
			err = fmt.Errorf("storing details: %w", err)
		}
	}()
	in := inserter{
		tx: tx, dialect: db.Dialect, cols: 6, tail: " ON CONFLICT DO NOTHING",
		into: "audit_detail (shard, idx, part, key, ciphertext, commitment)",
	}
	for _, r := range rows {
		if err := in.add(ctx, shard, r.idx, r.Part, r.Key, nonNil(r.Ciphertext), nonNil(r.Commitment)); err != nil {
			return err
		}
	}
	if err := in.flush(ctx); err != nil {
		return err
	}
	if in.inserted != int64(len(rows)) {
		if err := compareDetails(ctx, tx, shard, rows); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// compareDetails demands that all rows stand in the store as they are.
func compareDetails(ctx context.Context, q queryer, shard string, rows []detailRow) error {
	stored, err := loadDetails(ctx, q, shard, rows[0].idx, rows[len(rows)-1].idx+1)
	if err != nil {
		return err
	}
	if len(stored) != len(rows) {
		return fmt.Errorf("%w: details of other events from entry %d on", ErrCorrupt, rows[0].idx)
	}
	for i, r := range rows {
		if stored[i].idx != r.idx || digestOf(stored[i].Sealed) != digestOf(r.Sealed) {
			return fmt.Errorf("%w: two different details of entry %d", ErrCorrupt, r.idx)
		}
	}
	return nil
}

// nonNil keeps an empty byte string from becoming NULL.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// queryer is what *sql.DB, *sql.Conn and *sql.Tx have in common for reading.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// loadDetails reads the sealed parts of entries from (included) to (excluded), in
// the order of entries and parts.
func loadDetails(ctx context.Context, q queryer, shard string, from, to int64) ([]detailRow, error) {
	return readDetails(ctx, q, `SELECT idx, part, key, ciphertext, commitment FROM audit_detail
		WHERE shard = $1 AND idx >= $2 AND idx < $3 ORDER BY idx, part`, shard, from, to)
}

// readDetails reads the rows of a query. Beside an error it returns those before it.
func readDetails(ctx context.Context, q queryer, query string, args ...any) (out []detailRow, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r detailRow
		if err := rows.Scan(&r.idx, &r.Part, &r.Key, &r.Ciphertext, &r.Commitment); err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
