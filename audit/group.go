package audit

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// group is the events of one commit, and their encoding as the intake stores it.
// The integrator gets the rows afterwards, so each commit has its own memory.
type group struct {
	rows   []row
	events []byte // backs the leaves and details of rows
}

// Bounds of the encoding of events. A leaf's number and hash are filled in here, so
// that it grows by the digits of its number.
const (
	lengths    = 8 // of the leaf and of the details, four bytes each, big-endian
	eventSlack = lengths + 20
)

// add completes a leaf after at and puts it with its sealed details into the group.
func (g *group) add(e *encoded, parts []Sealed, epoch int64, at position) position {
	seq := int64(1)
	if at.epoch == epoch {
		seq = at.seq + 1
	}
	start := len(g.events)
	// Should events grow, earlier rows stay in the old array, which stays valid.
	g.events = append(g.events, make([]byte, lengths)...)
	g.events = patchLeaf(g.events, *e.buf, e.nseqAt, e.prevAt, seq, at.hash)
	end := len(g.events)
	if len(parts) > 0 {
		g.events = appendDetails(g.events, parts)
	}
	detail := g.events[end:len(g.events):len(g.events)]
	binary.BigEndian.PutUint32(g.events[start:], uint32(end-start-lengths))
	binary.BigEndian.PutUint32(g.events[start+4:], uint32(len(detail)))
	r := row{leaf: g.events[start+lengths : end : end], parts: parts, digests: e.digests, view: e.view}
	if len(detail) > 0 {
		r.detail = detail
	}
	r.position = position{epoch: epoch, seq: seq, hash: tlog.RecordHash(r.leaf)}
	g.rows = append(g.rows, r)
	return r.position
}

// commitRow is one row of the intake table.
type commitRow struct {
	epoch, first, last int64
	events             []byte
}

// rows takes the events apart. They have no hash yet, and nothing of them is checked
// but that they fill the row and are as many as its key says. The error wraps
// ErrCorrupt.
func (c *commitRow) rows() ([]row, error) {
	var out []row
	data := c.events
	for len(data) > 0 {
		if len(data) < lengths {
			return nil, c.corrupt("ends within a length")
		}
		leaf, detail := int64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint32(data[4:]))
		if data = data[lengths:]; leaf == 0 || leaf+detail > int64(len(data)) {
			return nil, c.corrupt("has an event longer than itself")
		}
		r := row{position: position{epoch: c.epoch, seq: c.first + int64(len(out))}, leaf: data[:leaf:leaf]}
		if detail > 0 {
			r.detail = data[leaf : leaf+detail : leaf+detail]
		}
		out, data = append(out, r), data[leaf+detail:]
	}
	if len(out) == 0 || c.last-c.first != int64(len(out))-1 {
		return nil, c.corrupt("does not hold the events that its key says")
	}
	return out, nil
}

func (c *commitRow) corrupt(what string) error {
	return fmt.Errorf("%w: intake row (%d, %d) %s", ErrCorrupt, c.epoch, c.first, what)
}
