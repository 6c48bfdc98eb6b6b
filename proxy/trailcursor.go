package proxy

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
)

// trailCursor is how far a trail has been read. It is saved only when what it leaves
// behind is durable in the log, so a crash makes the gateway read a page again, and
// the entries of it that the log knows are told apart by their ids.
type trailCursor struct {
	V int `json:"v"`
	// Until is the instant up to which every entry of the vendor is in the log, or
	// stands in a leaf as a gap.
	Until time.Time `json:"until"`
	// Window is what is being read; nil between two windows.
	Window *trailWindow `json:"window,omitempty"`
	// Newest is the newest entry that was read.
	Newest *trailMark `json:"newest,omitempty"`
	// Said is up to when the last leaf said that the trail was read, and when it said so.
	Said     time.Time `json:"said,omitzero"`
	Recorded time.Time `json:"recorded,omitzero"`
	// Begun is where the trail began, Look when to look back for late entries, and Late
	// how many were found since the last statement.
	Begun time.Time `json:"begun,omitzero"`
	Look  time.Time `json:"look,omitzero"`
	Late  int       `json:"late,omitempty"`
}

// trailMark names an entry by its event in our log.
type trailMark struct {
	Event audit.ID  `json:"event"`
	Time  time.Time `json:"time"`
}

// trailWindow is a stretch of time under way.
type trailWindow struct {
	// From and To are what the vendor is asked for; From lies before Until.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Back says that it looks back for late entries: all of it was read before.
	Back bool `json:"back,omitempty"`
	// Query is the call for the next page; empty for the first.
	Query string `json:"query,omitempty"`
	Pages int    `json:"pages"`
	// Counts for the leaf at the end.
	Entries    int `json:"entries"`
	Repeated   int `json:"repeated"`
	Skipped    int `json:"skipped"`
	Outside    int `json:"outside"`
	Unreadable int `json:"unreadable"`
	// Last is the newest time so far.
	Last time.Time `json:"last,omitzero"`
	// Mark is the newest entry of the window before. When its time lies in this one, it
	// has to show again; Seen says that it did.
	Mark *trailMark `json:"mark,omitempty"`
	Seen bool       `json:"seen"`
	// Clock is the vendor's when it answered the first page; zero without.
	Clock time.Time `json:"clock,omitzero"`
	// Refused and Disordered say that a leaf tells of it already.
	Refused bool `json:"refused"`
	// Failed counts answers that could not be read.
	Failed     int  `json:"failed"`
	Disordered bool `json:"disordered"`
}

const trailCursorVersion = 1

// trailCursors keeps the cursors in state.db, and lets one poller at a time work on
// each. It is safe for concurrent use.
type trailCursors struct {
	db *store.DB

	mu   sync.Mutex               // owns held
	held map[string]chan struct{} // closed when the poller gives the trail up
}

func newTrailCursors(db *store.DB) *trailCursors {
	return &trailCursors{db: db, held: make(map[string]chan struct{})}
}

// hold waits until nobody else in this process works on the trail: during a reload
// the poller of the configuration before may have a page under way. Other processes
// are kept out with the data directory.
func (c *trailCursors) hold(ctx context.Context, trail string) (release func(), err error) {
	for {
		c.mu.Lock()
		busy := c.held[trail]
		if busy == nil {
			mine := make(chan struct{})
			c.held[trail] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.held, trail)
				c.mu.Unlock()
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// load returns the cursor of a trail, nil for one that was never read.
func (c *trailCursors) load(ctx context.Context, trail string) (*trailCursor, error) {
	var text string
	err := c.db.QueryRowContext(ctx, `SELECT cursor FROM vendor_trail WHERE trail = $1`, trail).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cursor of a trail: %w", err)
	}
	cur := new(trailCursor)
	if err := json.Unmarshal([]byte(text), cur); err != nil || cur.V != trailCursorVersion {
		return nil, errors.New("the cursor of a trail is not one that this version wrote")
	}
	return cur, nil
}

func (c *trailCursors) save(ctx context.Context, trail string, cur *trailCursor) error {
	text, err := json.Marshal(cur)
	if err == nil {
		_, err = c.db.ExecContext(ctx, `INSERT INTO vendor_trail (trail, cursor) VALUES ($1, $2)
			ON CONFLICT (trail) DO UPDATE SET cursor = excluded.cursor`, trail, string(text))
	}
	if err != nil {
		return fmt.Errorf("saving the cursor of a trail: %w", err)
	}
	return nil
}
