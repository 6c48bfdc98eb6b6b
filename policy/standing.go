package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
)

const (
	// longestStanding bounds a standing approval: jobs outlive those who agreed to them.
	longestStanding = 366 * 24 * time.Hour
	maxFilter       = 1024
	// MostStandingRows bounds the rows of one window.
	MostStandingRows = 1_000_000_000
	clockForm        = "15:04"
)

// Terms are what a standing approval is bound to, beside its credential, route and
// operation.
type Terms struct {
	// Filter is what the call's query must be, in the form of a query: each parameter
	// with its value, or with * for any value. A parameter that is not named in it may not
	// be in the call. It is shown in lists and stays out of the log.
	Filter string `json:"filter"`
	// Rows is how many rows may pass in one window, in requests and answers together.
	Rows int `json:"rows"`
	// From and To are the window of each day, hours and minutes in UTC; the end may be
	// behind midnight. Both empty: the whole day.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Until is when the approval ends, within a year.
	Until time.Time `json:"until"`
}

// check refuses terms that nobody can have wanted.
func (t *Terms) check(ap *Approval, now time.Time) error {
	if ap.Channel == OwnChannel {
		return fmt.Errorf("%w: calls of the gateway's own API are approved one by one", ErrTerms)
	}
	if len(ap.Inner) > 0 {
		return fmt.Errorf("%w: calls that hold other calls are approved one by one", ErrTerms)
	}
	if len(t.Filter) > maxFilter {
		return fmt.Errorf("%w: the filter has more than %d bytes", ErrTerms, maxFilter)
	}
	if _, err := url.ParseQuery(t.Filter); err != nil {
		return fmt.Errorf("%w: the filter wants the form of a query, as status=closed&cursor=*", ErrTerms)
	}
	if t.Rows < 1 || t.Rows > MostStandingRows {
		return fmt.Errorf("%w: rows wants a number from 1 to %d", ErrTerms, MostStandingRows)
	}
	if _, _, err := t.window(); err != nil {
		return err
	}
	if !t.Until.After(now) || t.Until.After(now.Add(longestStanding)) {
		return fmt.Errorf("%w: until wants an instant within the next %d days", ErrTerms, int(longestStanding.Hours()/24))
	}
	return nil
}

// window is the begin of the window as time of the day, and its length.
func (t *Terms) window() (begin, length time.Duration, err error) {
	if t.From == "" && t.To == "" {
		return 0, 24 * time.Hour, nil
	}
	from, err := time.Parse(clockForm, t.From)
	to, err2 := time.Parse(clockForm, t.To)
	if errors.Join(err, err2) != nil || from.Equal(to) {
		return 0, 0, fmt.Errorf("%w: from and to want two times of the day, as 01:00 and 04:30", ErrTerms)
	}
	length = to.Sub(from)
	if length < 0 {
		length += 24 * time.Hour
	}
	return time.Duration(from.Hour())*time.Hour + time.Duration(from.Minute())*time.Minute, length, nil
}

// opened is when the window that now lies in has opened; false outside of windows.
func (t *Terms) opened(now time.Time) (time.Time, bool) {
	begin, length, err := t.window()
	if err != nil {
		return time.Time{}, false
	}
	day := now.UTC().Truncate(24 * time.Hour)
	for _, start := range [...]time.Time{day.Add(begin), day.Add(begin - 24*time.Hour)} {
		if since := now.Sub(start); since >= 0 && since < length {
			return start, true
		}
	}
	return time.Time{}, false
}

// fits tells whether a call's query is one that the filter names.
func (t *Terms) fits(query url.Values) bool {
	want, err := url.ParseQuery(t.Filter)
	if err != nil {
		return false
	}
	for name, values := range query {
		for _, v := range values {
			if !slices.Contains(want[name], v) && !slices.Contains(want[name], "*") {
				return false
			}
		}
	}
	for name, values := range want {
		for _, v := range values {
			if v != "*" && !slices.Contains(query[name], v) {
				return false
			}
		}
	}
	return true
}

// StandingCall is a call for which a standing approval is looked for.
type StandingCall struct {
	Requester, Route, Channel, Operation string
	// Query is the call's query, all of it.
	Query url.Values
	// Rows is how many records the request has.
	Rows int
}

// Stand finds a standing approval for a call and counts its rows. It returns the
// approval's ID and how many agreed. ErrApproval when there is none, or none with rows
// left.
func (a *Approvals) Stand(ctx context.Context, c StandingCall) (id string, agreed int, err error) {
	now, err := a.now(ctx)
	if err != nil {
		return "", 0, fmt.Errorf("looking for a standing approval: %w", err)
	}
	type standing struct {
		id    string
		terms Terms
	}
	all, err := store.List(ctx, a.db, func(row store.Row) (s standing, err error) {
		var text string
		if err := row.Scan(&s.id, &text); err != nil {
			return s, err
		}
		return s, json.Unmarshal([]byte(text), &s.terms)
	}, `SELECT id, terms FROM approval WHERE state = 'standing' AND requester = $1 AND operation = $2 AND channel = $3 AND route = $4 AND expires > $5 ORDER BY asked, id`,
		c.Requester, c.Operation, c.Channel, c.Route, now.UnixMilli())
	if err != nil {
		return "", 0, fmt.Errorf("looking for a standing approval: %w", err)
	}
	for _, s := range all {
		if !s.terms.fits(c.Query) {
			continue
		}
		switch err := a.Count(ctx, s.id, c.Rows); {
		case err == nil:
			agreed, err := a.agreed(ctx, s.id)
			return s.id, agreed, err
		case !errors.Is(err, ErrApproval):
			return "", 0, err
		}
	}
	return "", 0, ErrApproval
}

// Count takes rows from what a standing approval lets through in this window.
// ErrApproval when there are not as many left, or the approval or its window is over;
// then none is taken.
func (a *Approvals) Count(ctx context.Context, id string, rows int) error {
	now, err := a.now(ctx)
	if err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	var text string
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	var state string
	var used, opened, expires int64
	if err := tx.QueryRowContext(ctx, `SELECT terms, state, used, opened, expires FROM approval WHERE id = $1`+a.db.ForUpdate(), id).Scan(&text, &state, &used, &opened, &expires); err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	if state != ApprovalStanding || expires <= now.UnixMilli() {
		return ErrApproval
	}
	var t Terms
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	start, ok := t.opened(now)
	if !ok {
		return ErrApproval
	}
	if opened < start.UnixMilli() {
		used = 0 // a clock that was set back opens no window again
	}
	if rows < 0 || used > int64(t.Rows)-int64(rows) {
		return ErrApproval
	}
	if _, err := tx.ExecContext(ctx, `UPDATE approval SET used = $1, opened = $2 WHERE id = $3`, used+int64(rows), max(opened, start.UnixMilli()), id); err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	return nil
}
