package detect

import "github.com/caregate/caregate/redact"

// How identifiers of digits are printed: the sizes of their groups, one
// hexadecimal digit each.
const (
	groups333    = 0x333     // SIN, TFN, BSN
	groups423    = 0x423     // BSN with dots
	groups441    = 0x441     // routing number on a cheque
	groups334    = 0x334     // NHS
	groups343    = 0x343     // NHS, other printing
	groups64     = 0x64      // personnummer
	groups84     = 0x84      // personnummer with the century
	groups2333   = 0x2333    // German tax id
	groups3332   = 0x3332    // CPF
	groups92     = 0x92      // CPF
	groups444    = 0x444     // Aadhaar
	groups23342  = 0x23342   // CNPJ
	groups842    = 0x842     // CNPJ, the first part without dots
	groupsNIR    = 0x1222332 // NIR and its key
	groupsNIRKey = 0xD2      // NIR without groups, and its key
)

// digits looks at the groups that begin at i, the first of which ends at end.
func (s *idScan) digits(i, end int, before byte) bool {
	r := &s.runs
	if s.phone(i, before) {
		return true
	}
	if before == '+' {
		return false
	}
	n, sizes := 0, 0
	for k := 0; k < r.n; k++ {
		size := r.end[k] - r.start[k]
		if n+size > 15 {
			break
		}
		n += copy(s.buf[n:], s.text[r.start[k]:r.end[k]])
		sizes = sizes<<4 | size
		if n < 8 || s.quiet() && !mayStandAlone(sizes) {
			continue
		}
		if s.printed(i, r.end[k], sizes, s.buf[:n]) {
			return true
		}
	}
	if s.lettered(i, end) {
		return true
	}
	if s.quiet() {
		return false
	}
	if s.birth(i, end) {
		return true
	}
	if n >= minAccount || end-i >= minAccount { // a run of more than fifteen digits is nothing else here
		if s.account(i, end) {
			return true
		}
	}
	return false
}

// mayStandAlone reports whether digits in groups of sizes may be an identifier that
// nothing names.
func mayStandAlone(sizes int) bool {
	switch sizes {
	case groups64, groups84, groups2333, groups3332, groups23342, groupsNIR, groupsNIRKey:
		return true
	}
	return false
}

// uniform returns the separator between the first k groups when it is the same
// everywhere, or 0.
func (r *digitRuns) uniform(k int) byte {
	for j := 2; j < k; j++ {
		if r.sep[j] != r.sep[1] {
			return 0
		}
	}
	if k < 2 {
		return 0
	}
	return r.sep[1]
}

// printed tries digits, which stand in text[i:end] in groups of sizes, as an
// identifier of a country.
func (s *idScan) printed(i, end, sizes int, digits []byte) bool {
	r := &s.runs
	k := 0
	for g := sizes; g > 0; g >>= 4 {
		k++
	}
	bare := k == 1
	sep := r.uniform(k)
	even := bare || sep != 0 && sep != '/'
	switch {
	case sizes == 9 || even && (sizes == groups333 || sizes == groups423 || sizes == groups441):
		if sizes != groups423 && sizes != groups333 {
			if s.national(i, end, redact.USBankRouting, nameRouting, digits, false) {
				return true
			}
		}
		if sizes == groups441 {
			break
		}
		if s.national(i, end, redact.CASIN, nameSIN, digits, false) {
			return true
		}
		if s.national(i, end, redact.AUTFN, nameTFN, digits, false) {
			return true
		}
		if s.national(i, end, redact.NLBSN, nameBSN, digits, false) {
			return true
		}
		if sizes == 9 {
			return s.passport(i, end)
		}
	case sizes == 8 || sizes == 0x233 && even:
		return s.national(i, end, redact.AUTFN, nameTFN, digits, false)
	case sizes == 10 || even && (sizes == groups334 || sizes == groups343):
		if s.national(i, end, redact.UKNHS, nameNHS, digits, false) {
			return true
		}
		if s.national(i, end, redact.USNPI, nameNPI, digits, false) {
			return true
		}
		if bare {
			return s.national(i, end, redact.SEPersonnummer, namePersonnummer, digits, false)
		}
	case sizes == groups64 && sep == '-':
		return s.national(i, end, redact.SEPersonnummer, namePersonnummer, digits, true)
	case sizes == 12 || sizes == groups84 && sep == '-' || sizes == groups444 && even:
		if s.national(i, end, redact.INAadhaar, nameAadhaar, digits, false) {
			return true
		}
		if c := two(digits); sizes != groups444 && (c >= 18 && c <= 20) {
			return s.national(i, end, redact.SEPersonnummer, namePersonnummer, digits, sizes == groups84)
		}
	case sizes == 11 || even && sizes == groups2333:
		if s.national(i, end, redact.DETaxID, nameSteuerID, digits, !bare && sep == ' ') {
			return true
		}
		if !bare {
			break
		}
		if s.national(i, end, redact.PLPESEL, namePESEL, digits, false) {
			return true
		}
		return s.national(i, end, redact.BRCPF, nameCPF, digits, false)
	case sizes == groups3332 || sizes == groups92:
		printed := sizes == groups3332 && r.sep[1] == '.' && r.sep[2] == '.' && r.sep[3] == '-'
		return s.national(i, end, redact.BRCPF, nameCPF, digits, printed)
	case sizes == 14, sizes == groups23342, sizes == groups842:
		printed := sizes == groups23342 && r.sep[1] == '.' && r.sep[2] == '.' && r.sep[3] == '/' && r.sep[4] == '-'
		return s.national(i, end, redact.BRCNPJ, nameCNPJ, digits, printed)
	case sizes == 15, sizes == groupsNIR, sizes == groupsNIRKey:
		// Of the identifiers of fifteen digits that systems give out one in three hundred
		// has the key of a French number: without groups it takes a name.
		return s.national(i, end, redact.FRNIR, nameNIR, digits, even && !bare)
	}
	return false
}

// national makes a finding of text[i:end], whose digits are given, when the check
// of class c holds and one of want names it. alone says that its grouping needs no
// name, as long as nothing names it something else.
func (s *idScan) national(i, end int, c redact.Class, want sense, digits []byte, alone bool) bool {
	if !validDigits(c, digits) {
		return false
	}
	how, by := s.named(end, want, true)
	inner := byte(0)
	if len(digits) < end-i {
		inner = s.runs.sep[1]
	}
	if how == unnamed && (!alone || s.other()) || !s.apart(i, end, inner) {
		return false
	}
	proof, rule := redact.EvidenceChecksum, "check digit and name"
	switch {
	case how == unnamed:
		proof |= redact.EvidenceGrouping
		rule = "check digit and grouping"
	case inner != 0:
		proof |= redact.EvidenceGrouping
		rule = "check digit, grouping and name"
	}
	s.found(c, i, end, how, by, proof, rule)
	return true
}

// validDigits is the check of class c.
func validDigits(c redact.Class, digits []byte) bool {
	switch c {
	case redact.USBankRouting:
		return validRouting(digits)
	case redact.CASIN:
		return validSIN(digits)
	case redact.AUTFN:
		return validTFN(digits)
	case redact.NLBSN:
		return validBSN(digits)
	case redact.UKNHS:
		return validNHS(digits)
	case redact.USNPI:
		return validNPI(digits)
	case redact.SEPersonnummer:
		return validPersonnummer(digits[len(digits)-10:])
	case redact.INAadhaar:
		return validAadhaar(digits)
	case redact.DETaxID:
		return validSteuerID(digits)
	case redact.PLPESEL:
		return validPESEL(digits)
	case redact.BRCPF:
		return validCPF(digits)
	case redact.BRCNPJ:
		return validCNPJ(digits)
	case redact.FRNIR:
		return validNIR(digits)
	}
	return false
}

// passport takes nine digits, or a letter and eight, that a word right in front
// or a key calls a passport. There is no check.
func (s *idScan) passport(start, end int) bool {
	how, by := s.named(end, namePassport, false)
	if how != directly || !s.apart(start, end, 0) {
		return false
	}
	s.found(redact.USPassport, start, end, how, by, redact.EvidenceShape, "passport shape and name")
	return true
}

// The shortest and longest bank account number that is looked for.
const (
	minAccount = 6
	maxAccount = 17
)

// account takes digits that a word right in front or a key calls a bank account.
// "Account number" alone says nothing in a helpdesk: it counts beside a word for a
// bank or a routing number.
func (s *idScan) account(start, end int) bool {
	r := &s.runs
	digits, last := end-start, end
	for k := 1; k < r.n && (r.sep[k] == ' ' || r.sep[k] == '-') && r.sep[k] == r.sep[1] && r.end[k]-r.start[k] >= 3; k++ {
		digits += r.end[k] - r.start[k]
		last = r.end[k]
	}
	if digits < minAccount || digits > maxAccount {
		return false
	}
	how, by := s.named(last, nameAccount|nameAnyAccount, false)
	certain := (s.said.set|s.behind(last))&nameAccount != 0
	if by&redact.EvidenceKey != 0 {
		certain = s.key.set&nameAccount != 0
	}
	if how != directly || !certain && (by&redact.EvidenceKey != 0 || !s.besideBank()) {
		return false
	}
	if !s.apart(start, last, r.sep[1]) {
		return false
	}
	s.found(redact.USBankAccount, start, last, how, by, redact.EvidenceShape, "account digits and name")
	return true
}

// besideBank reports whether the words in front of the spot speak of a bank or a
// routing number.
func (s *idScan) besideBank() bool {
	from := lo(s.at, LookBehind/2)
	for at := s.at; ; {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok {
			return false
		}
		if s.sense(start, end, from)&(nameRouting|nameAccount) != 0 || foldEqual(s.text[start:end], "bank") {
			return true
		}
		at = start
	}
}
