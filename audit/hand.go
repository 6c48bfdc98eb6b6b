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
	last   position // of the last group
	rows   int
	bytes  int64 // of leaves and details
}

// give adds the rows of one commit, which the hand keeps. Rows that do not follow
// on what it has are not taken: they come back from the database.
func (h *hand) give(rows []row, bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.groups) == 0 {
		h.rows, h.bytes = 0, 0
	} else if h.rows >= handRows || h.bytes >= handBytes || !h.last.next(rows[0].position) {
		return
	}
	h.groups = append(h.groups, rows)
	h.rows += len(rows)
	h.bytes += bytes
	h.last = rows[len(rows)-1].position
}

// take returns the next group when it goes on from at. Rows up to at are dropped;
// rows after a gap stay until the gap was read from the database.
func (h *hand) take(at position) []row {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.groups) > 0 {
		rows := h.groups[0]
		for len(rows) > 0 && !at.before(rows[0].position) {
			rows = rows[1:]
		}
		if len(rows) > 0 && !at.next(rows[0].position) {
			return nil
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
