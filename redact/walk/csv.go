package walk

import (
	"bytes"
	"sort"
	"strconv"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// csvReader reads comma-separated values, strictly by RFC 4180: a quotation mark
// begins and ends a cell or is doubled in one that it encloses. The separator is
// the one of comma, semicolon and tab that the first record has most of; line
// feeds may stand for CRLF; records may differ in length. Limits.Values is for one
// record, because nothing of a record stays when it has been read.
type csvReader struct {
	collector
	separator byte
	names     []string      // of the columns, when the first record has names
	about     []bool        // for each name, whether it names a card
	parts     []detect.Part // for each name, what of a card it may be beside one
	unquoted  encoder       // of cells without quotation marks
	row       int
	column    int // of the text being read
	cells     []csvCell
	cell      joined
	run       joined
}

// csvCell is a cell of the record being read.
type csvCell struct {
	from, to int // without its quotes
	quoted   bool
	digits   int // when there is nothing but digits and their separators, else 0
}

func (p *csvReader) document() *Refusal {
	if at := invalidUTF8(p.raw); at >= 0 {
		return &Refusal{ReasonUTF8, int64(at)}
	}
	if at := bytes.IndexByte(p.raw, 0); at >= 0 {
		return &Refusal{ReasonCSV, int64(at)}
	}
	i := 0
	if bytes.HasPrefix(p.raw, []byte("\xef\xbb\xbf")) {
		i = 3 // what spreadsheets write
	}
	p.separator = separatorOf(p.raw[i:])
	p.path, p.unquoted = p.cellPath, p.writeUnquoted
	for ; i < len(p.raw); p.row++ {
		next, r := p.record(i)
		if r != nil {
			return r
		}
		if p.row == 0 {
			p.header()
		}
		p.look()
		i = next
	}
	return nil
}

// separatorOf counts the separators of the first record.
func separatorOf(raw []byte) byte {
	var counts [3]int
	quoted := false
	for _, b := range raw {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == ',':
			counts[0]++
		case b == ';':
			counts[1]++
		case b == '\t':
			counts[2]++
		case b == '\n':
			return mostOf(counts)
		}
	}
	return mostOf(counts)
}

func mostOf(counts [3]int) byte {
	switch {
	case counts[1] > counts[0] && counts[1] >= counts[2]:
		return ';'
	case counts[2] > counts[0]:
		return '\t'
	}
	return ','
}

// record reads the cells of the record at i and returns where the next begins.
func (p *csvReader) record(i int) (int, *Refusal) {
	p.cells = p.cells[:0]
	raw := p.raw
	for {
		if len(p.cells) == p.limits.Values {
			return 0, &Refusal{ReasonValues, int64(i)}
		}
		c := csvCell{from: i}
		if i < len(raw) && raw[i] == '"' {
			c.quoted = true
			c.from++
			for i++; ; i++ {
				n := bytes.IndexByte(raw[i:], '"')
				if n < 0 {
					return 0, &Refusal{ReasonCSV, int64(c.from - 1)}
				}
				if i += n; i+1 == len(raw) || raw[i+1] != '"' {
					break
				}
				i++
			}
			c.to = i
			i++
			if i < len(raw) && raw[i] != p.separator && raw[i] != '\n' && raw[i] != '\r' {
				return 0, &Refusal{ReasonCSV, int64(i)}
			}
		} else {
			for i < len(raw) && raw[i] != p.separator && raw[i] != '\n' && raw[i] != '\r' {
				if raw[i] == '"' {
					return 0, &Refusal{ReasonCSV, int64(i)}
				}
				i++
			}
			c.to = i
		}
		c.digits = onlyDigits(raw[c.from:c.to])
		p.cells = append(p.cells, c)
		switch {
		case i == len(raw):
			return i, nil
		case raw[i] == p.separator:
			i++
		case raw[i] == '\n':
			return i + 1, nil
		case i+1 < len(raw) && raw[i+1] == '\n':
			return i + 2, nil
		default: // a bare carriage return ends a record for some
			return 0, &Refusal{ReasonCSV, int64(i)}
		}
	}
}

// onlyDigits counts the digits of text that has nothing else but blanks and
// hyphens, and is 0 for others.
func onlyDigits(text []byte) int {
	n := 0
	for _, b := range text {
		switch {
		case b-'0' <= 9:
			n++
		case b != ' ' && b != '-':
			return 0
		}
	}
	return n
}

// header takes the first record for the names of the columns when every cell of
// it is empty or has a letter, and none has a number of any length in it.
func (p *csvReader) header() {
	letters := false
	for _, c := range p.cells {
		digits, letter := 0, c.from == c.to
		for _, b := range p.raw[c.from:c.to] {
			if b-'0' <= 9 {
				digits++
			}
			letter = letter || b >= 0x80 || (b|0x20)-'a' < 26
		}
		if !letter || digits > 4 {
			return
		}
		letters = letters || c.from < c.to
	}
	if !letters {
		return
	}
	for _, c := range p.cells {
		name := string(p.raw[c.from:min(c.to, c.from+2*keyTail)])
		p.names = append(p.names, name)
		p.about = append(p.about, p.det != nil && p.det.NamesCard([]byte(name)))
		beside := detect.NoPart
		if p.det != nil {
			if part, stem := p.det.PartOf(name, ""); part >= detect.MonthPart && stem != "" {
				beside = part
			}
		}
		p.parts = append(p.parts, beside)
	}
}

// name returns the name of column n, without the row of names itself.
func (p *csvReader) name(n int) string {
	if p.row == 0 || n >= len(p.names) {
		return ""
	}
	return p.names[n]
}

// look looks for findings in the cells of the record, and in numbers that are
// spread over cells.
func (p *csvReader) look() {
	first := len(p.Findings)
	runs := 0
	for n := range p.cells {
		c := &p.cells[n]
		if n > 0 && c.digits > 0 && p.cells[n-1].digits > 0 {
			runs++
		}
		if c.to-c.from < 3 && p.masks == nil {
			continue
		}
		p.cell.reset()
		p.add(&p.cell, c)
		p.column = n
		p.scan(&p.cell, detect.Hint{Key: p.name(n)}, p.style(n))
	}
	if p.masks != nil {
		return
	}
	if runs > 0 {
		p.spread(first)
	}
	if len(p.Findings) > first {
		p.besideCard(first)
	}
}

// besideCard looks for the expiry date and the code of a card in this record: by the
// names of their columns, or right behind the card where columns have no names. first
// is the number of the first finding of this record.
func (p *csvReader) besideCard(first int) {
	known := p.Findings[first:]
	if len(p.names) == 0 {
		for _, f := range known {
			if n := p.cellAt(f.Start); f.Class == redact.CreditCard && n+1 < len(p.cells) && detect.IsExpiry(p.text(n+1), detect.ExpiryPart) && p.cells[n+1].digits == 0 {
				p.beside(n+1, redact.CardExpiry, "date behind a card")
				if n+2 < len(p.cells) && p.cells[n+2].to-p.cells[n+2].from == p.cells[n+2].digits && (p.cells[n+2].digits == 3 || p.cells[n+2].digits == 4) {
					p.beside(n+2, redact.CardVerificationCode, "behind card and expiry")
				}
			}
		}
		return
	}
	for _, f := range known {
		if f.Class != redact.CreditCard || f.Never && !f.Strong {
			continue
		}
		dated := false
		for n := range min(len(p.cells), len(p.parts)) {
			dated = dated || p.parts[n] != detect.NoPart && detect.IsExpiry(p.text(n), p.parts[n])
		}
		for n := range min(len(p.cells), len(p.parts)) {
			part := p.parts[n]
			if part == detect.NoPart || p.overlaps(first, p.cells[n].from, p.cells[n].to) {
				continue
			}
			switch {
			case detect.IsExpiry(p.text(n), part):
				p.beside(n, redact.CardExpiry, "date beside a card, key")
			case (part == detect.CodePart || part == detect.MaybeCodePart && dated) && detect.IsCode(p.text(n)):
				p.beside(n, redact.CardVerificationCode, "code beside a card, key")
			}
		}
		return
	}
}

// text is the text of cell n as it is written.
func (p *csvReader) text(n int) []byte { return p.raw[p.cells[n].from:p.cells[n].to] }

// cellAt returns the number of the cell that holds the raw offset at.
func (p *csvReader) cellAt(at int) int {
	return sort.Search(len(p.cells), func(n int) bool { return p.cells[n].to >= at })
}

// beside makes all of cell n a finding.
func (p *csvReader) beside(n int, c redact.Class, rule string) {
	p.cell.reset()
	p.add(&p.cell, &p.cells[n])
	p.column = n
	p.keep(&p.cell, p.style(n), []redact.Finding{{Class: c, End: len(p.cell.text), Confidence: 0.9, Strong: true, Rule: rule, Evidence: redact.EvidenceBeside}})
}

func (p *csvReader) style(n int) style {
	if p.cells[n].quoted {
		return style{write: writeQuoted}
	}
	return style{write: p.unquoted}
}

// cellPath is the place of the cell being read: its record and its column.
func (p *csvReader) cellPath() string {
	column := strconv.Itoa(p.column)
	if name := p.name(p.column); name != "" {
		column = escapePointer(name)
	}
	return "/" + strconv.Itoa(p.row) + "/" + column
}

// add adds the text of a cell.
func (p *csvReader) add(j *joined, c *csvCell) {
	if !c.quoted {
		j.copy(p.raw, c.from, c.to)
		return
	}
	for i := c.from; i < c.to; {
		n := bytes.IndexByte(p.raw[i:c.to], '"')
		if n < 0 {
			j.copy(p.raw, i, c.to)
			return
		}
		j.copy(p.raw, i, i+n)
		j.code([]byte{'"'}, i+n, i+n+2)
		i += n + 2
	}
}

// A number over several cells has as many digits as a card has, and perhaps a
// code and a date beside it.
const (
	minSpread = 12
	maxSpread = 30
)

// spread looks for a card number whose groups are cells beside each other.
// Columns of numbers look like one at times, so that a word for a card must stand
// in a name of these columns or in the cell before. first is the number of the
// first finding of this record.
func (p *csvReader) spread(first int) {
	for n := 0; n < len(p.cells); {
		from, digits := n, 0
		for n < len(p.cells) && p.cells[n].digits > 0 {
			digits += p.cells[n].digits
			n++
		}
		if n-from >= 2 && digits >= minSpread && digits <= maxSpread && p.aboutCard(from, n) {
			p.join(from, n, first)
		}
		n = max(n, from+1)
	}
}

func (p *csvReader) aboutCard(from, to int) bool {
	for n := from; n < to; n++ {
		if n < len(p.about) && p.about[n] {
			return true
		}
	}
	if from == 0 {
		return false
	}
	c := p.cells[from-1]
	return p.det.NamesCard(p.raw[max(c.from, c.to-2*keyTail):c.to])
}

// join looks at the cells from to to as one number.
func (p *csvReader) join(from, to, first int) {
	p.run.reset()
	at := p.cells[from].from
	p.run.gap("card ", at, at)
	for n := from; n < to; n++ {
		if n > from {
			p.run.gap(" ", p.cells[n-1].to, p.cells[n].from)
		}
		p.add(&p.run, &p.cells[n])
	}
	p.found = p.det.Text(p.found[:0], p.run.text, detect.Hint{})
	for i, f := range p.found {
		start, end := p.run.raw(f.Start, f.End)
		if start < p.cells[from].to && end <= p.cells[from].to || p.overlaps(first, start, end) {
			continue
		}
		p.column = from
		p.keep(&p.run, p.style(from), p.found[i:i+1])
	}
}

// overlaps reports whether a finding from number first on lies in raw[start:end].
func (c *collector) overlaps(first, start, end int) bool {
	for _, f := range c.Findings[first:] {
		if f.Start < end && start < f.End {
			return true
		}
	}
	return false
}

// writeQuoted is the encoder of cells in quotation marks.
func writeQuoted(dst, text []byte) []byte {
	for _, b := range text {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return dst
}

// writeUnquoted is the encoder of cells without quotation marks. No mask has a
// character that would end the cell; one that came would become a blank.
func (p *csvReader) writeUnquoted(dst, text []byte) []byte {
	for _, b := range text {
		if b == p.separator || b == '"' || b == '\r' || b == '\n' {
			b = ' '
		}
		dst = append(dst, b)
	}
	return dst
}
