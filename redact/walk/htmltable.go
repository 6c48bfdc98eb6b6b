package walk

import (
	"bytes"
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// htmlTable is the innermost table that is being read: of each column the head, so that a bare
// number below "Tracking" is no card, as it is none behind that word.
type htmlTable struct {
	open bool
	row  int
	ids  []bool // of each column, whether its head names an identifier
	cell int    // where the open cell begins in the text that is shown, -1 for none
	col  int
}

// maxColumns is how many columns of a table have heads.
const maxColumns = 64

// table takes note of a tag of a table. What is shown in front of it is in the body.
func (p *htmlReader) table(name []byte, end bool) {
	t := &p.tab
	switch string(name) {
	case "table":
		p.endCell()
		*t = htmlTable{open: !end, row: -1, ids: t.ids[:0], cell: -1}
	case "tr":
		if p.endCell(); t.open && !end {
			t.row, t.col = t.row+1, -1
		}
	case "td", "th":
		if p.endCell(); !t.open || end || t.row < 0 {
			return
		}
		if slices.ContainsFunc(p.all, func(a htmlAttribute) bool { return p.isName(a.name, "colspan") || p.isName(a.name, "rowspan") }) {
			t.open = false // its columns are not counted
			return
		}
		t.col++
		t.cell = len(p.body.text)
	}
}

// endCell reads the cell that ends here.
func (p *htmlReader) endCell() {
	t := &p.tab
	if t.cell < 0 || !t.open {
		return
	}
	from, to := t.cell, len(p.body.text)
	t.cell = -1
	text := bytes.TrimLeft(p.body.text[from:to], " \t\n")
	from = to - len(text)
	text = bytes.TrimRight(text, " \t\n")
	switch {
	case t.row == 0 && t.col < maxColumns:
		t.ids = append(t.ids, len(text) <= longestForeseen && detect.NamesID(string(text)))
	case t.row > 0 && t.col < len(t.ids) && t.ids[t.col] && len(text) >= minSpread && digitsEnd(text, 0) == len(text):
		p.ids = append(p.ids, span{from, from + len(text)})
	}
}

// shown looks for findings in what is shown.
func (p *htmlReader) shown() {
	st := style{write: writeHTML}
	if p.masks != nil || len(p.ids) == 0 {
		p.scan(&p.body, detect.Hint{}, st)
		return
	}
	p.found = slices.DeleteFunc(p.det.Text(p.found[:0], p.body.text, detect.Hint{}), func(f redact.Finding) bool {
		if f.Class != redact.CreditCard || f.Strong {
			return false
		}
		i, ok := slices.BinarySearchFunc(p.ids, f.Start, func(s span, at int) int { return s.from - at })
		return ok && p.ids[i].to == f.End
	})
	p.keep(&p.body, st, p.found)
}
