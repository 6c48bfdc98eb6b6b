package proxy

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/vault"
)

// peopleIndex is who and what one half of an exchange is about: what the channel
// file's locators captured, by the vault's pseudonyms, with the classes that
// were released of each.
type peopleIndex struct {
	subjects []vault.Subject
	// all are those of each ident, with nobody for what has no key; at says which one a
	// capture of the body is, params those of the path. indexed are their pseudonyms in the
	// index of records, filled when asked for.
	all     []vault.Subject
	at      []int32
	params  []int32
	indexed []index.Person
	persons []audit.Ref // parallel to subjects
	records []audit.Ref
	// names are the vendor's record ids, for the sealed details.
	names []string
	// named are the people by the unit that names them, where values are kept.
	named map[int][]vault.Subject
	done  bool
	// most bounds the idents; 0 is maxPeople.
	most int
}

// maxPeople bounds the idents of one half: a page of 1,000 tickets names about
// 3,000. What is over the bound is recorded as touched records only.
const maxPeople = 4096

// index turns captures into pseudonyms. Findings that left in the clear are
// charged to the people of their unit, and to everybody in the document when
// they stand outside of all units. It does so once for a half.
func (x *exchange) index(ctx context.Context, side *half) error {
	p := &side.people
	if p.done {
		return nil
	}
	p.done = true
	x.name(side)
	doc := side.body.doc
	clear := x.clearClasses(side)

	var idents []vault.Ident
	var classes [][]string       // parallel to idents
	units := make(map[int][]int) // idents by unit, where values are kept
	seen := make(map[vault.Ident]int)
	records := make(map[string]int)
	person := func(label, value string, unit int, shown bool) int32 {
		id, own, ok := identOf(x.h.ch.Name, label, value)
		if !ok || len(idents) >= cmp.Or(p.most, maxPeople) {
			return -1
		}
		i, known := seen[id]
		if !known {
			i = len(idents)
			seen[id] = i
			idents, classes = append(idents, id), append(classes, nil)
		}
		if side.keeping.some() && !slices.Contains(units[unit], i) {
			units[unit] = append(units[unit], i)
		}
		if own != "" && side == &x.response && shown {
			classes[i] = merge(classes[i], string(own))
		}
		classes[i] = merge(classes[i], clear[unit]...)
		classes[i] = merge(classes[i], clear[0]...)
		return int32(i)
	}
	record := func(kind, value string, unit int) {
		name := x.h.ch.Name + ":" + kind + ":" + value
		i, known := records[name]
		if !known {
			i = len(p.records)
			records[name] = i
			p.records = append(p.records, audit.Ref{ID: x.gen.data.Vault.Record(x.h.ch.Name+":"+kind, value)})
			p.names = append(p.names, kind+"/"+value)
		}
		p.records[i].Classes = merge(p.records[i].Classes, clear[unit]...)
	}
	place := func(label, value string, unit int, shown bool) int32 {
		if value == "" || value == "null" {
			return -1
		}
		if kind, ok := strings.CutPrefix(label, channel.LabelRecord); ok {
			record(kind, value, unit)
			return -1
		}
		return person(label, value, unit, shown)
	}
	if side == &x.request {
		for _, param := range x.pathParams() {
			if i := place(param.Label, param.Value, 0, true); i >= 0 {
				p.params = append(p.params, i)
			}
		}
	}
	if doc != nil {
		if len(doc.Captures) > 0 {
			p.at = make([]int32, len(doc.Captures))
		}
		for n, c := range doc.Captures {
			p.at[n] = -1
			if channel.Indexed(c.Label) && c.Flags&walk.URL == 0 {
				p.at[n] = place(c.Label, string(doc.Value(c)), c.Unit, side.viewed.cover(c.Start, c.End) == nil)
			}
		}
	}
	// Without a log nobody needs a pseudonym, but a value that is kept has an owner.
	if unlogged := x.down != nil; len(idents) == 0 || x.vaultDown != nil || unlogged && !side.keeping.some() {
		return nil //nolint:nilerr // that the vault is down was decided on before
	}
	subjects, err := x.gen.data.Vault.Subjects(ctx, idents)
	if err != nil && !side.keeping.some() && x.noRoom(err) {
		return nil
	}
	if err != nil {
		return err
	}
	p.all = subjects
	if len(units) > 0 {
		p.named = make(map[int][]vault.Subject, len(units))
		for unit, list := range units {
			for _, i := range list {
				if !subjects[i].IsZero() {
					p.named[unit] = append(p.named[unit], subjects[i])
				}
			}
		}
	}
	origin := x.gen.data.Log.Origin()
	for i, s := range subjects {
		if s.IsZero() {
			continue
		}
		slices.Sort(classes[i])
		p.subjects = append(p.subjects, s)
		p.persons = append(p.persons, audit.Ref{ID: s.Pseudonym(origin), Classes: classes[i]})
	}
	return nil
}

// maxRecordName bounds what a refusal repeats of a vendor's answer.
const maxRecordName = 64

// name remembers the first vendor record that one half is about, so that a
// caller whose answer is withheld can find what the call did. It is a name only
// where the vendor's id is nothing else: an id in which a finding is confirmed
// is never repeated.
func (x *exchange) name(side *half) {
	if x.record != "" {
		return
	}
	note := func(label, value string) bool {
		kind, ok := strings.CutPrefix(label, channel.LabelRecord)
		if !ok || value == "" || value == "null" || len(value) > maxRecordName {
			return false
		}
		x.record = kind + "/" + value
		return true
	}
	if side == &x.request {
		for _, p := range x.pathParams() {
			if note(p.Label, p.Value) {
				return
			}
		}
	}
	doc := side.body.doc
	if doc == nil {
		return
	}
	for _, c := range doc.Captures {
		confirmed := slices.ContainsFunc(doc.Findings, func(f redact.Finding) bool {
			return f.Start < c.End && c.Start < f.End && (f.Strong || !f.Never)
		})
		if !confirmed && c.Flags&walk.URL == 0 && note(c.Label, string(doc.Value(c))) {
			return
		}
	}
}

// identOf names a person of a channel for the vault, and the class that the value
// itself is.
func identOf(name, label, value string) (id vault.Ident, own redact.Class, ok bool) {
	switch label {
	case channel.LabelSubjectEmail:
		return vault.Ident{Kind: "email", Value: value}, redact.Email, true
	case channel.LabelSubjectPhone:
		return vault.Ident{Kind: "phone", Value: value}, redact.Phone, true
	case channel.LabelSubjectContact: // whichever the channel was reached by
		if strings.Contains(value, "@") {
			return vault.Ident{Kind: "email", Value: value}, redact.Email, true
		}
		return vault.Ident{Kind: "phone", Value: value}, redact.Phone, true
	case channel.LabelSubjectID:
		return vault.Ident{Kind: name + ":user", Value: value}, "", true
	case channel.LabelSubjectExternalID:
		return vault.Ident{Kind: name + ":external", Value: value}, "", true
	}
	return id, "", false
}

// clearClasses lists, by unit, the classes of findings that were not changed.
func (x *exchange) clearClasses(side *half) map[int][]string {
	doc := side.body.doc
	if doc == nil || len(doc.Findings) == 0 {
		return nil
	}
	out := make(map[int][]string)
	for i := range doc.Findings {
		f := &doc.Findings[i]
		if a := side.actionOf(f); !a.Rewrites() {
			out[f.Unit] = merge(out[f.Unit], string(f.Class))
		}
	}
	return out
}

// merge adds what is not there yet. The lists have a handful of entries.
func merge(list []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
