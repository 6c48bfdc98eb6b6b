package detect

import "github.com/caregate/caregate/redact"

// longestToken is the longest token that is looked at: what is longer is base64,
// a hash or the like.
const longestToken = maxIBAN

// token looks at the letters and digits around i, the first digit of its run. The
// token is judged at its first digit, and left alone at the others.
func (s *idScan) token(i int) (found bool, next int) {
	t := s.text
	start := i
	for start > 0 && (isLetter(t[start-1]) || isDigit(t[start-1])) {
		start--
		if i-start > longestToken || isDigit(t[start]) { // not the first digit, nor are those behind
			return false, wordSpan(t, i, min(len(t), i+tokenReach))
		}
	}
	end := wordSpan(t, i, len(t))
	if end-start > longestToken {
		return false, end // what begins behind is not the first digit either
	}
	s.first, s.last = start, end+maxIBAN
	digits := runEnd(t, i)
	if i > start {
		// Behind a letter only a date goes on that a month begins.
		s.runs.n = 0
		if s.iban(start, i) {
			return true, s.f.End
		}
		if s.code(start, i, end) || digits-i <= 2 && yearBehind(t, digits) && s.birth(i, digits) {
			return true, max(s.f.End, digits)
		}
		return false, end
	}
	s.read(i)
	if s.code(start, i, end) || s.lettered(i, digits) || s.birth(i, digits) {
		return true, max(s.f.End, digits)
	}
	return false, end
}

// code tries text[start:end], a token whose first digit is at i.
func (s *idScan) code(start, i, end int) bool {
	w := s.text[start:end]
	switch len(w) {
	case 4:
		if i == start && end+8 <= len(s.text) && s.text[end] == '-' && s.text[end+4] == '-' {
			var id [11]byte
			copy(id[:], w)
			copy(id[4:], s.text[end+1:end+4])
			to := end + 5
			n := 7
			for ; n < 11 && to < len(s.text) && isWordByte(s.text[to]); n, to = n+1, to+1 {
				id[n] = s.text[to]
			}
			if n == 11 && validMBI(id[:]) {
				return s.alone(redact.USMBI, nameMBI, start, to, redact.EvidenceGrouping, true, "Medicare id as printed")
			}
		}
	case 5:
		return s.fiscalGroups(start, end)
	case 9:
		switch {
		case i == start && isLetter(w[8]) && validDNI(w):
			return s.alone(redact.ESDNI, nameDNI, start, end, redact.EvidenceChecksum, false, "check letter and name")
		case i == start+1 && isLetter(w[8]) && indexByte("XYZ", w[0]&^0x20) && validDNI(w):
			return s.alone(redact.ESNIE, nameDNI, start, end, redact.EvidenceChecksum, upper(w[0]) && upper(w[8]), "check letter")
		case i == start+2 && validNINO(w):
			return s.alone(redact.UKNINO, nameNINO, start, end, redact.EvidenceShape, false, "national insurance shape and name")
		case (i == start+2 || i == start+1 && w[1] == '9') && validDEA(w):
			return s.alone(redact.USDEA, nameDEA, start, end, redact.EvidenceChecksum, false, "check digit and name")
		case i == start+1 && runEnd(s.text, i) == end:
			s.begin(start)
			return s.passport(start, end)
		}
	case 10:
		if i == start+5 && validIndianPAN(w) {
			return s.alone(redact.INPAN, nameIndianPAN, start, end, redact.EvidenceShape, false, "account number shape and name")
		}
	case 11:
		if i == start && validMBI(w) {
			return s.alone(redact.USMBI, nameMBI, start, end, redact.EvidenceShape, allUpper(w), "Medicare id")
		}
	case 14:
		if validCNPJ(w) {
			return s.alone(redact.BRCNPJ, nameCNPJ, start, end, redact.EvidenceChecksum, false, "check digits and name")
		}
	case 15:
		if i == start && validNIR(w) {
			return s.alone(redact.FRNIR, nameNIR, start, end, redact.EvidenceChecksum, true, "key")
		}
	case 16:
		if (i == start+6 || i == start+8 || i > start+5) && validFiscalCode(w) {
			return s.alone(redact.ITCodiceFiscale, nameFiscalCode, start, end, redact.EvidenceChecksum, true, "check letter")
		}
	case 18:
		if i == start+4 && validCURP(w) {
			return s.alone(redact.MXCURP, nameCURP, start, end, redact.EvidenceChecksum, true, "check digit")
		}
	}
	return false
}

// alone makes a finding of text[start:end] when it is named, or when its shape may
// stand alone and nothing names it something else.
func (s *idScan) alone(c redact.Class, want sense, start, end int, proof redact.Evidence, alone bool, rule string) bool {
	s.begin(start)
	how, by := s.named(end, want, true)
	if how == unnamed && (!alone || s.elsewhere()) || !s.apart(start, end, '-') {
		return false
	}
	s.found(c, start, end, how, by, proof, rule)
	return true
}

// elsewhere reports whether what names the number is not one of the names of this
// family: a strong shape is taken also in an order, but not under the key of an id
// or behind the word for another number.
func (s *idScan) elsewhere() bool {
	w := s.before(false)
	return w.part || w.direct && w.set&nameElse != 0 && w.set&nameAny == 0
}

func allUpper(w []byte) bool {
	for _, b := range w {
		if isLetter(b) && !upper(b) {
			return false
		}
	}
	return true
}

// lettered tries identifiers whose digits are one or more groups of their own with
// letters beside: 12345678-Z, X-1234567-L, AB 12 34 56 C, 12.ABC.345/01DE-35, a
// NIR of Corsica. end is where the first group ends.
func (s *idScan) lettered(i, end int) bool {
	t, r := s.text, &s.runs
	switch n := end - i; {
	case n == 2 && i >= 3 && r.n >= 3 && r.end[1]-r.start[1] == 2 && r.end[2]-r.start[2] == 2:
		return s.groupedNINO(i)
	case n == 2 && end < len(t) && t[end] == '.':
		if s.groupedCNPJ(i) {
			return true
		}
		return s.groupedDNI(i, end)
	case n == 6 && end+5 <= len(t) && t[end] == '+' && runEnd(t, end+1) == end+5:
		return s.centenarian(i, end)
	case n == 1 && end < len(t) && t[end] == ' ' && (t[i] == '1' || t[i] == '2'):
		return s.corsican(i)
	case n == 8, n == 7, n == 2 && r.n >= 3, n == 1 && r.n >= 3:
		return s.groupedDNI(i, end)
	}
	return false
}

// groupedNINO reads AB 12 34 56 C, whose first digit is at i.
func (s *idScan) groupedNINO(i int) bool {
	t, r := s.text, &s.runs
	sep, last := t[i-1], r.end[2]
	if sep != ' ' && sep != '-' || r.sep[1] != sep || r.sep[2] != sep || last+1 >= len(t) {
		return false
	}
	end := last
	if t[end] == sep {
		end++
	}
	if end >= len(t) || i < 3 {
		return false
	}
	id := [9]byte{t[i-3], t[i-2]}
	for k := range 3 {
		id[2+2*k], id[3+2*k] = t[r.start[k]], t[r.start[k]+1]
	}
	id[8] = t[end]
	if !isLetter(id[8]) || !validNINO(id[:]) || !upper(id[0]) && upper(id[1]) {
		return false
	}
	return s.alone(redact.UKNINO, nameNINO, i-3, end+1, redact.EvidenceGrouping, allUpper(id[:]), "national insurance number as printed")
}

// centenarian reads a personnummer with a plus sign, which people have from their
// hundredth year on.
func (s *idScan) centenarian(i, end int) bool {
	n := copy(s.buf[:], s.text[i:end])
	n += copy(s.buf[n:], s.text[end+1:end+5])
	return s.national(i, end+5, redact.SEPersonnummer, namePersonnummer, s.buf[:n], false)
}

// groupedDNI reads a DNI of eight digits and a letter behind a hyphen or blank, the
// digits in groups or not, or a NIE with hyphens.
func (s *idScan) groupedDNI(i, end int) bool {
	t, r := s.text, &s.runs
	var id [9]byte
	n, start := 0, i
	if i >= 2 && t[i-1] == '-' && indexByte("XYZ", t[i-2]&^0x20) {
		id[0], n, start = t[i-2], 1, i-2
	}
	for k := 0; k < r.n && n < 8; k++ {
		if k > 0 && (r.sep[k] != '.' && r.sep[k] != ' ' || r.end[k]-r.start[k] != 3) || n+r.end[k]-r.start[k] > 8 {
			return false
		}
		n += copy(id[n:], t[r.start[k]:r.end[k]])
		end = r.end[k]
	}
	if n != 8 || end >= len(t) {
		return false
	}
	joined := isLetter(t[end])
	if !joined && (t[end] == '-' || t[end] == ' ') {
		end++
	}
	if end >= len(t) || !isLetter(t[end]) {
		return false
	}
	id[8] = t[end]
	if !validDNI(id[:]) || joined && start == i && r.n == 1 {
		return false
	}
	class := redact.ESDNI
	if isLetter(id[0]) {
		class = redact.ESNIE
	}
	return s.alone(class, nameDNI, start, end+1, redact.EvidenceChecksum|redact.EvidenceGrouping, upper(id[8]) && t[end-1] != ' ', "check letter and grouping")
}

// groupedCNPJ reads 12.ABC.345/01DE-35.
func (s *idScan) groupedCNPJ(i int) bool {
	const form = "00.000.000/0000-00"
	t := s.text
	if i+len(form) > len(t) {
		return false
	}
	var id [14]byte
	n := 0
	for k := range len(form) {
		b := t[i+k]
		if form[k] != '0' {
			if b != form[k] {
				return false
			}
			continue
		}
		if !isDigit(b) && !isLetter(b) {
			return false
		}
		id[n] = b
		n++
	}
	if !validCNPJ(id[:]) {
		return false
	}
	return s.alone(redact.BRCNPJ, nameCNPJ, i, i+len(form), redact.EvidenceChecksum|redact.EvidenceGrouping, true, "check digits and grouping")
}

// corsican reads a NIR in groups whose department is 2A or 2B.
func (s *idScan) corsican(i int) bool {
	const form = "0 00 00 0A 000 000 00"
	t := s.text
	if i+len(form) > len(t) || !isLetter(t[i+9]) {
		return false
	}
	var id [15]byte
	n := 0
	for k := range len(form) {
		b := t[i+k]
		switch {
		case form[k] == ' ':
			if b != ' ' {
				return false
			}
			continue
		case form[k] == '0' && !isDigit(b):
			return false
		}
		id[n] = b
		n++
	}
	if !validNIR(id[:]) {
		return false
	}
	return s.alone(redact.FRNIR, nameNIR, i, i+len(form), redact.EvidenceChecksum|redact.EvidenceGrouping, true, "key and grouping")
}

// fiscalGroups reads RSS MRA 85T10 A562S, of which text[start:end] is the third
// group.
func (s *idScan) fiscalGroups(start, end int) bool {
	t := s.text
	if start < 8 || end+6 > len(t) || t[start-1] != ' ' || t[start-5] != ' ' || t[end] != ' ' {
		return false
	}
	var id [16]byte
	n := copy(id[:], t[start-8:start-5])
	n += copy(id[n:], t[start-4:start-1])
	n += copy(id[n:], t[start:end])
	copy(id[n:], t[end+1:end+6])
	for _, b := range id {
		if !isLetter(b) && !isDigit(b) {
			return false
		}
	}
	if !validFiscalCode(id[:]) {
		return false
	}
	return s.alone(redact.ITCodiceFiscale, nameFiscalCode, start-8, end+6, redact.EvidenceChecksum|redact.EvidenceGrouping, true, "check letter and grouping")
}
