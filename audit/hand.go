package audit

import "sync"

// Bounds of the rows handed over in memory, until the hand is empty again: about a
// second of full load.
const (
	handRows  = 1 << 15
	handBytes = 64 << 20
)

// hand passes committed rows from the writer to the integrator without a detour
// through the database, which holds the same bytes. It always is a gapless run of
// the stream, in the groups that were committed together. What does not fit is
// read from the database later, so it may lose rows but never order.
type hand struct {
	mu     sync.Mutex
	groups [][]row  // guarded by mu, like all below
	after  position // which the first group follows
	last   position // of the last group
	rows   int
	bytes  int64 // of leaves and details
}

// give adds the rows of one commit, which the hand keeps; after is where the stream
// ended before. Rows that do not follow on what it has are not taken: they come back
// from the database.
func (h *hand) give(after position, rows []row, bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.groups) == 0 {
		h.rows, h.bytes, h.after = 0, 0, after
	} else if h.rows >= handRows || h.bytes >= handBytes || h.last != after {
		return
	}
	h.groups = append(h.groups, rows)
	h.rows += len(rows)
	h.bytes += bytes
	h.last = rows[len(rows)-1].position
}

// take returns the next group when it goes on from at. Rows up to at are dropped;
// rows after a gap stay until the gap was read from the database. That the numbers
// could follow is not enough to know that there is no gap: what a former process left
// behind at has its epoch, and the first row of this process has the next.
func (h *hand) take(at position) []row {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.groups) > 0 {
		if at.before(h.after) {
			return nil
		}
		rows := h.groups[0]
		h.after = rows[len(rows)-1].position
		for len(rows) > 0 && !at.before(rows[0].position) {
			rows = rows[1:]
		}
		h.groups = h.groups[1:]
		if len(h.groups) == 0 {
			h.groups = nil
		}
		if len(rows) > 0 {
			return rows
		}
	}
	return nil
}
