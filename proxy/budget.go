package proxy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/internal/store"
)

// budgets say when the gateway may make a call of its own to a vendor: whoever works there
// needs the vendor's limit. They are kept in state.db, so that all gateways on a database
// have one budget together. It is a bucket for each account, and one for each call that the
// vendor limits by itself, which hold one token: calls lie evenly in time, and no stretch of
// it has more of them than its share. It is safe for concurrent use.
type budgets struct{ db *store.DB }

const (
	// ownShare is the part of a vendor's limit that our own calls take, and leftShare the part
	// of it that others always find: 20 and 30 of a hundred.
	ownShare, leftShare = 20, 30
	// blockedMax bounds how long a vendor's word has us wait.
	blockedMax = 2 * time.Hour
	// limitMax is above every vendor's limit.
	limitMax = 1_000_000_000
)

// pauseOf is the time between two of our calls.
func pauseOf(r channel.Rate) time.Duration {
	if r.IsZero() {
		return 0
	}
	return max(time.Millisecond, (r.Per*100/ownShare+time.Duration(r.Calls)-1)/time.Duration(r.Calls))
}

// bucket is one of them, with what is known of its limit before any answer.
type bucket struct {
	account string
	rate    channel.Rate
	// fixed says that no answer tells of it.
	fixed bool
}

// take takes a token out of each bucket, or out of none: wait is then how long there is
// none.
func (b *budgets) take(ctx context.Context, at time.Time, of ...bucket) (wait time.Duration, err error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("asking for a vendor's budget: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, bucket := range of {
		now := at.UnixMilli()
		pause := pauseOf(bucket.rate)
		told := pause
		if !bucket.fixed {
			told = 0
		}
		if err := learnBudget(ctx, tx, bucket.account, told, pause, 0); err != nil {
			return 0, err
		}
		var free, blocked int64
		// A clock that was set back does not have it wait longer than the pause.
		taken, err := tx.ExecContext(ctx, `UPDATE vendor_budget SET free = $2 + pause WHERE account = $1 AND (free <= $2 OR free > $2 + pause) AND blocked <= $2`, bucket.account, now)
		if err != nil {
			return 0, fmt.Errorf("asking for a vendor's budget: %w", err)
		}
		if n, err := taken.RowsAffected(); err != nil || n == 1 {
			if err != nil {
				return 0, fmt.Errorf("asking for a vendor's budget: %w", err)
			}
			continue
		}
		if err := tx.QueryRowContext(ctx, `SELECT free, blocked FROM vendor_budget WHERE account = $1`, bucket.account).Scan(&free, &blocked); err != nil {
			return 0, fmt.Errorf("asking for a vendor's budget: %w", err)
		}
		wait = max(wait, time.Duration(max(free, blocked)-now)*time.Millisecond, time.Millisecond)
	}
	if wait > 0 {
		return wait, nil
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("asking for a vendor's budget: %w", err)
	}
	return 0, nil
}

// learnBudget writes what is known of a bucket: the pause of one that is new, a pause that
// an answer told, and until when nothing may be asked. Zero changes nothing.
func learnBudget(ctx context.Context, tx *sql.Tx, account string, told, first time.Duration, blocked int64) error {
	if told > 0 {
		first = told
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO vendor_budget (account, pause, free, blocked) VALUES ($1, $2, 0, $3) ON CONFLICT (account) DO UPDATE SET
		pause = CASE WHEN CAST($4 AS BIGINT) > 0 THEN CAST($4 AS BIGINT) ELSE vendor_budget.pause END,
		blocked = CASE WHEN excluded.blocked > vendor_budget.blocked THEN excluded.blocked ELSE vendor_budget.blocked END`,
		account, first.Milliseconds(), blocked, told.Milliseconds())
	if err != nil {
		return fmt.Errorf("keeping a vendor's budget: %w", err)
	}
	return nil
}

// answered learns from an answer: what the account's limit is, what is left of it, and
// whether the vendor wants to be left alone. It returns how long that is.
func (b *budgets) answered(ctx context.Context, now time.Time, account string, by *channel.Budget, status int, h http.Header) (wait time.Duration, err error) {
	rate := by.Rate
	var told time.Duration
	if limit, ok := callsOf(h.Get(by.Limit)); ok && limit > 0 {
		rate.Calls = limit
		told = pauseOf(rate)
	}
	left, known := callsOf(h.Get(by.Remaining))
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		if wait = waitOf(h.Get("Retry-After"), now); wait <= 0 && by.Reset != "" {
			wait = waitOf(h.Get(by.Reset), now)
		}
		if wait <= 0 {
			wait = rate.Per
		}
	case known && left*100 < rate.Calls*leftShare:
		if by.Reset != "" {
			wait = waitOf(h.Get(by.Reset), now)
		}
		if wait <= 0 {
			wait = rate.Per
		}
	}
	wait = min(wait, blockedMax)
	var blocked int64
	if wait > 0 {
		blocked = now.Add(wait).UnixMilli()
	}
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("keeping a vendor's budget: %w", err)
	}
	defer func() { err = errors.Join(err, ended(tx.Rollback())) }()
	if err := learnBudget(ctx, tx, account, told, pauseOf(by.Rate), blocked); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("keeping a vendor's budget: %w", err)
	}
	return wait, nil
}

// ended leaves out that a transaction has ended.
func ended(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// callsOf reads a number of calls.
func callsOf(header string) (int, bool) {
	n, err := strconv.Atoi(header)
	return n, err == nil && n >= 0 && n <= limitMax
}
