package audit

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvHeader are the columns of CSV.
var csvHeader = [...]string{
	"log", "index", "event", "exchange", "time", "type", "tenant", "route", "channel", "operation", "effect", "scope",
	"decision", "reason", "status", "forwarded", "outcome", "actor", "identity", "mfa", "roles", "purpose", "network",
	"released", "subjects", "records", "policy", "leaf_hash",
}

// CSV writes entries as a table (RFC 4180 with plain newlines), its header before
// the first of them. Cells that a spreadsheet would take for a formula begin with
// an apostrophe. It belongs to one goroutine.
type CSV struct {
	w      *csv.Writer
	headed bool
}

// NewCSV returns a CSV that writes to w.
func NewCSV(w io.Writer) *CSV { return &CSV{w: csv.NewWriter(w)} }

// Header writes the header, once; Add does so by itself.
func (c *CSV) Header() error {
	if c.headed {
		return nil
	}
	c.headed = true
	return c.w.Write(csvHeader[:])
}

// Add writes one entry.
func (c *CSV) Add(e *Entry) error {
	if err := c.Header(); err != nil {
		return err
	}
	l := &e.Leaf
	row := []string{
		e.Origin, strconv.FormatInt(e.Index, 10), l.ID.String(), optionalID(l.Exchange), csvTime(l.Wall), l.Type, l.Tenant, l.Route,
		l.Channel, l.Operation, l.Effect, l.Scope, l.Decision, l.Reason, strconv.Itoa(l.Status), strconv.FormatBool(l.Forwarded),
		l.Outcome, optionalID(ID(l.Actor)), l.Identity, strconv.FormatBool(l.MFA), strings.Join(l.Roles, " "), l.Purpose, l.Network,
		csvCounts(l.Released), strconv.Itoa(len(l.Subjects)), strconv.Itoa(len(l.Records)), l.Policy, hex.EncodeToString(e.Hash[:]),
	}
	for i := range row {
		row[i] = inertCell(row[i])
	}
	return c.w.Write(row)
}

// Flush writes what is still in memory.
func (c *CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// inertCell keeps a name from being read as a formula by a spreadsheet.
func inertCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func optionalID(id ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func csvTime(wall int64) string {
	return time.UnixMilli(wall).UTC().Format("2006-01-02T15:04:05.000Z")
}

// csvCounts is one cell for all classes: "credit_card masked=2; email clear=1".
func csvCounts(list []Count) string {
	var parts []string
	for _, c := range list {
		part := c.Class
		for _, n := range [...]struct {
			what  string
			count int
		}{{"clear", c.Clear}, {"masked", c.Masked}, {"tokenized", c.Tokenized}, {"dropped", c.Dropped}, {"not_inspected", c.NotInspected}} {
			if n.count > 0 {
				part += fmt.Sprintf(" %s=%d", n.what, n.count)
			}
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}
