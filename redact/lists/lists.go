package lists

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/redact/detect"
	"go.yaml.in/yaml/v4"
)

// Version is the version of the format, its member "version".
const Version = 1

// maxFile bounds a file: room for the longest list of terms that a detector takes.
const maxFile = 8 << 20

// Row says where a row of the file stands and who answers for it.
type Row struct {
	// Section is allow, blocklist or find.
	Section string
	// Line counts from 1.
	Line int
	// Author is who wrote the row, Reason why, when they say so.
	Author, Reason string
	// Until is the last day on which the row counts, zero when it has none.
	Until time.Time
}

// over reports whether the row no longer counts.
func (r Row) over(now time.Time) bool {
	return !r.Until.IsZero() && !now.Before(r.Until.AddDate(0, 0, 1))
}

// File is a checked file. It is immutable and safe for concurrent use.
type File struct {
	name   string
	digest string
	allow  []allowRow
	terms  []termRow
	find   []findRow
}

type allowRow struct {
	Row
	allow detect.Allow
}

type termRow struct {
	Row
	terms []string
}

type findRow struct {
	Row
	find detect.Find
}

// Parse reads src, a YAML or JSON document. name is for messages. All mistakes are
// reported, each as "name:line: what, and what is allowed".
func Parse(name string, src []byte) (*File, error) {
	if len(src) > maxFile {
		return nil, fmt.Errorf("%s: the file has %d bytes, the limit is %d", name, len(src), maxFile)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(src, &root); err != nil {
		return nil, fmt.Errorf("%s: not YAML: %w", name, err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s:1: the file is empty; it begins with version: %d", name, Version)
	}
	sum := sha256.Sum256(src)
	r := reader{out: &File{name: name, digest: hex.EncodeToString(sum[:])}}
	r.document(root.Content[0])
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return r.out, nil
}

// Digest is the SHA-256 of the file as it was read, in hexadecimal.
func (f *File) Digest() string { return f.digest }

// Config is what the rows that count at now say, for detect.New.
func (f *File) Config(now time.Time) detect.Config {
	var c detect.Config
	for _, r := range f.allow {
		if !r.over(now) {
			c.Allow = append(c.Allow, r.allow)
		}
	}
	for _, r := range f.terms {
		if !r.over(now) {
			c.Terms = append(c.Terms, r.terms...)
		}
	}
	for _, r := range f.find {
		if !r.over(now) {
			c.Find = append(c.Find, r.find)
		}
	}
	return c
}

// rows calls each with every row.
func (f *File) rows(each func(Row)) {
	for _, r := range f.allow {
		each(r.Row)
	}
	for _, r := range f.terms {
		each(r.Row)
	}
	for _, r := range f.find {
		each(r.Row)
	}
}

// Expired are the rows that no longer count at now.
func (f *File) Expired(now time.Time) []Row {
	var out []Row
	f.rows(func(r Row) {
		if r.over(now) {
			out = append(out, r)
		}
	})
	return out
}

// Next is when the next row stops to count, zero when none will.
func (f *File) Next(now time.Time) time.Time {
	var next time.Time
	f.rows(func(r Row) {
		if end := r.Until.AddDate(0, 0, 1); !r.Until.IsZero() && !r.over(now) && (next.IsZero() || end.Before(next)) {
			next = end
		}
	})
	return next
}

// Warn says in one line that a row no longer counts.
func (f *File) Warn(r Row) string {
	return fmt.Sprintf("%s:%d: the %s row of %s ended on %s and no longer counts", f.name, r.Line, r.Section, r.Author, r.Until.Format(time.DateOnly))
}
