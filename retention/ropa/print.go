package ropa

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Files are a record for programs, people and spreadsheets.
type Files struct{ JSON, HTML, CSV []byte }

//go:embed record.html
var pageSource string

var page = template.Must(template.New("ropa").Funcs(template.FuncMap{
	"join": func(list []string) string { return strings.Join(list, ", ") },
	"at":   at,
	"keep": func(list []Keep) string { return keepWords(list) },
}).Parse(pageSource))

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}

// Print writes a record out. The same record gives the same bytes.
func Print(r *Record) (Files, error) {
	var f Files
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return f, fmt.Errorf("writing the record: %w", err)
	}
	f.JSON = append(text, '\n')
	var html bytes.Buffer
	if err := page.Execute(&html, r); err != nil {
		return f, fmt.Errorf("writing the record: %w", err)
	}
	f.HTML = html.Bytes()
	f.CSV, err = table(r)
	return f, err
}

// columns are those of the CSV, a row for each Row.
var columns = []string{
	"row", "state", "activities", "as", "for", "purposes", "people", "data", "other_data", "vendor", "vendor_role", "channel", "host", "recipients", "places", "outside",
	"transfer", "dpa_signed", "dpa_expires", "subprocessors", "retention", "measures", "calls", "effects", "unread", "first", "last", "findings", "host_unsure",
}

// table is the record for spreadsheets (RFC 4180 with plain newlines). A cell that one would
// take for a formula begins with an apostrophe.
func table(r *Record) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	err := w.Write(columns)
	for i := range r.Rows {
		cells := r.cells(&r.Rows[i])
		for n := range cells {
			cells[n] = inert(cells[n])
		}
		err = errors.Join(err, w.Write(cells))
	}
	w.Flush()
	if err := errors.Join(err, w.Error()); err != nil {
		return nil, fmt.Errorf("writing the record: %w", err)
	}
	return b.Bytes(), nil
}

// inert keeps text from being read as a formula, which full-width signs begin as well.
func inert(s string) string {
	t := strings.TrimSpace(s)
	if c, _ := utf8.DecodeRuneInString(t); t != "" && strings.ContainsRune("=+-@＝＋－＠", c) {
		return "'" + s
	}
	return s
}

func (r *Record) cells(row *Row) []string {
	var as, whom, purposes, people, other, recipients, keep, measures, data, places, subs, found []string
	for i := range r.Register.Activities {
		a := &r.Register.Activities[i]
		if !slices.Contains(row.Activities, a.ID) {
			continue
		}
		as, purposes, people, other, recipients, measures = append(as, a.As), append(purposes, a.Purposes...), append(people, a.People...), append(other, a.Other...), append(recipients, a.Recipients...), append(measures, a.Measures...)
		for _, p := range a.For {
			whom = append(whom, p.Name)
		}
		for _, k := range a.Retention {
			keep = append(keep, k.words())
		}
	}
	for _, d := range row.Data {
		data = append(data, d.words())
	}
	var name, role, transfer, signed, expires string
	if i := slices.IndexFunc(r.Register.Vendors, func(v Vendor) bool { return v.ID == row.Vendor }); i >= 0 {
		v := &r.Register.Vendors[i]
		name, role, places = v.Name, v.Role, v.Places
		if v.Transfer != nil {
			transfer = strings.TrimSuffix(v.Transfer.Basis+": "+v.Transfer.Document, ": ")
		}
		if v.DPA != nil {
			signed = v.DPA.Signed.String()
			if v.DPA.Expires.Year != 0 {
				expires = v.DPA.Expires.String()
			}
		}
		for _, s := range v.Subprocessors {
			subs = append(subs, s.Name+" ("+strings.Join(s.Places, ", ")+")")
		}
	}
	for _, f := range r.Of(row) {
		found = append(found, f.Code)
	}
	unsure := ""
	if row.HostUnsure {
		unsure = "yes"
	}
	once := func(list []string) string {
		var out []string
		for _, s := range list {
			if s = inert(s); !slices.Contains(out, s) { // who splits the cell has each of them
				out = append(out, s)
			}
		}
		return strings.Join(out, "; ")
	}
	return []string{
		row.ID, row.State, once(row.Activities), once(as), once(whom), once(purposes), once(people), once(data), once(other), name, role, row.Channel, row.Host, once(recipients), once(places), once(row.Outside),
		transfer, signed, expires, once(subs), once(keep), once(slices.Concat(r.Register.Measures, measures)), strconv.FormatInt(row.Calls, 10), once(row.Effects), strconv.FormatInt(row.Unread, 10), at(row.First), at(row.Last), once(found), unsure,
	}
}

// words is a datum in one cell: "email both to 12 from 3".
func (d Datum) words() string {
	s := d.Class + " " + d.State
	for _, n := range []struct {
		what  string
		count int64
	}{{"to", d.To}, {"from", d.From}, {"withheld", d.Withheld}} {
		if n.count > 0 {
			s += " " + n.what + " " + strconv.FormatInt(n.count, 10)
		}
	}
	return s
}

func keepWords(list []Keep) string {
	words := make([]string, len(list))
	for i, k := range list {
		words[i] = k.words()
	}
	return strings.Join(words, "; ")
}

func (k Keep) words() string {
	if k.Rule != "" {
		return k.What + " " + k.Period + " (" + k.Rule + ")"
	}
	return k.What + " " + k.Period
}

// Of are the findings about a row, its vendor and its activities.
func (r *Record) Of(row *Row) (out []Finding) {
	for _, f := range r.Findings {
		what, id, _ := strings.Cut(f.Subject, ":")
		id, _, _ = strings.Cut(id, "/")
		if f.Subject == row.ID || strings.HasPrefix(f.Subject, row.ID+"/") || what == "vendor" && row.Vendor != "" && id == row.Vendor || what == "activity" && slices.Contains(row.Activities, id) {
			out = append(out, f)
		}
	}
	return out
}

// StatementKind is the kind of the statement that the log's key signs about a record.
const StatementKind = "ropa"

// Statement is what is signed: when the record was made, of which log at which size, and the
// digests of all files.
func Statement(r *Record, f Files) string {
	return fmt.Sprintf("made %s\nlog %s\nsize %d\nsha256 json %x\nsha256 html %x\nsha256 csv %x\n",
		r.Made.Format(time.RFC3339), r.Log.Origin, r.Log.Size, sha256.Sum256(f.JSON), sha256.Sum256(f.HTML), sha256.Sum256(f.CSV))
}

// ErrRecord is wrapped when files are not what was signed.
var ErrRecord = errors.New("the record is not what was signed")

// Read reads a record whose statement was signed by the log of an origin. Its error wraps
// ErrRecord.
func Read(f Files, signed, origin string) (*Record, error) {
	r := new(Record)
	if err := json.Unmarshal(f.JSON, r); err != nil || r.Version != Version || r.Register == nil {
		return nil, fmt.Errorf("%w: its JSON is none of version %d", ErrRecord, Version)
	}
	if r.Log.Origin != origin || signed != Statement(r, f) {
		return nil, fmt.Errorf("%w: the JSON, the page or the table was changed", ErrRecord)
	}
	return r, nil
}
