package ropa

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kinds of a Change.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Change is one difference between two records.
type Change struct {
	// What is organisation, register, vendor, activity, row or finding; ID says which.
	What string `json:"what"`
	ID   string `json:"id,omitempty"`
	// Kind is Added, Removed or Changed.
	Kind string `json:"kind"`
	// Field, Before and After say what changed, as in the record's JSON; empty of what was
	// added or removed whole.
	Field  string          `json:"field,omitempty"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// place names a thing of a record.
type place struct{ what, id string }

// Diff tells in what a later record differs from an earlier one. Counts, times and what
// follows from them alone are left out: traffic differs each day.
func Diff(earlier, later *Record) ([]Change, error) {
	before, err := things(earlier)
	if err != nil {
		return nil, err
	}
	after, err := things(later)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	out := []Change{}
	for _, p := range slices.SortedFunc(maps.Keys(all), func(a, b place) int { return strings.Compare(a.what+"\x00"+a.id, b.what+"\x00"+b.id) }) {
		was, had := before[p]
		is, has := after[p]
		switch {
		case !had:
			out = append(out, Change{What: p.what, ID: p.id, Kind: Added})
			continue
		case !has:
			out = append(out, Change{What: p.what, ID: p.id, Kind: Removed})
			continue
		}
		fields := maps.Clone(was)
		maps.Copy(fields, is)
		for _, f := range slices.Sorted(maps.Keys(fields)) {
			if string(was[f]) != string(is[f]) {
				out = append(out, Change{What: p.what, ID: p.id, Kind: Changed, Field: f, Before: was[f], After: is[f]})
			}
		}
	}
	return out, nil
}

// things are all of a record, by field.
func things(r *Record) (map[place]map[string]json.RawMessage, error) {
	out := make(map[place]map[string]json.RawMessage)
	add := func(what, id string, v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("comparing records: %w", err)
		}
		fields := make(map[string]json.RawMessage)
		if err := json.Unmarshal(raw, &fields); err != nil {
			return fmt.Errorf("comparing records: %w", err)
		}
		out[place{what, id}] = fields
		return nil
	}
	top := *r.Register
	top.Vendors, top.Activities, top.Organisation = nil, nil, Party{}
	err := add("register", "", top)
	if err == nil {
		err = add("organisation", "", r.Register.Organisation)
	}
	for i := range r.Register.Vendors {
		if err == nil {
			err = add("vendor", r.Register.Vendors[i].ID, r.Register.Vendors[i])
		}
	}
	for i := range r.Register.Activities {
		if err == nil {
			err = add("activity", r.Register.Activities[i].ID, r.Register.Activities[i])
		}
	}
	for _, row := range r.Rows {
		row.Calls, row.Unread, row.First, row.Last, row.HostUnsure = 0, min(row.Unread, 1), time.Time{}, time.Time{}, false
		row.Data = slices.Clone(row.Data)
		for i := range row.Data {
			row.Data[i] = Datum{Class: row.Data[i].Class, State: row.Data[i].State}
		}
		if err == nil {
			err = add("row", row.ID, row)
		}
	}
	for _, f := range r.Findings {
		if err == nil {
			err = add("finding", f.ID, f)
		}
	}
	return out, err
}
