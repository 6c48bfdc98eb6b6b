package detect

// Check digits of national and business identifiers. Each function takes the
// identifier without separators and reports whether the check holds; unless said
// otherwise text is digits only and as long as the identifier is. The rules are
// those the issuing offices publish; each has vectors in checksum_test.go.

// weighted is the sum of the digits times their weights.
func weighted(text []byte, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * int(text[i]-'0')
	}
	return sum
}

// repeated reports whether all bytes of text are the same: nobody is given such
// a number, and several checks let it pass.
func repeated(text []byte) bool {
	for _, b := range text[1:] {
		if b != text[0] {
			return false
		}
	}
	return true
}

// monthAndDay reports whether month has day in some year.
func monthAndDay(month, day int) bool {
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return false
	}
	return day <= 29 || month != 2 && (day <= 30 || month != 4 && month != 6 && month != 9 && month != 11)
}

func two(text []byte) int { return int(text[0]-'0')*10 + int(text[1]-'0') }

// validRouting checks nine digits as a US bank routing number: a Federal Reserve
// prefix, and weights 3 7 1 (ABA key to routing numbers).
func validRouting(text []byte) bool {
	switch p := two(text); {
	case p <= 12, p >= 21 && p <= 32, p >= 61 && p <= 72, p == 80:
	default:
		return false
	}
	return !repeated(text) && weighted(text, 3, 7, 1, 3, 7, 1, 3, 7, 1)%10 == 0
}

// validNHS checks ten digits as an NHS number: weights 10 to 2, modulo 11.
func validNHS(text []byte) bool {
	check := 11 - weighted(text, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if check == 11 {
		check = 0
	}
	return check == int(text[9]-'0') && !repeated(text)
}

// validSIN checks nine digits as a Canadian social insurance number: Luhn. No
// number begins with 8, and those that begin with 0 are given to nobody but stand
// in the government's own examples.
func validSIN(text []byte) bool {
	return text[0] != '8' && luhn(text) && !repeated(text)
}

// validTFN checks eight or nine digits as an Australian tax file number.
func validTFN(text []byte) bool {
	if len(text) == 8 {
		return weighted(text, 10, 7, 8, 4, 6, 3, 5, 1)%11 == 0 && !repeated(text)
	}
	return weighted(text, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 && !repeated(text)
}

// validSteuerID checks eleven digits as a German tax id: no leading zero, exactly
// one digit twice or three times among the first ten, and the check digit of
// ISO 7064 mod 11,10.
func validSteuerID(text []byte) bool {
	if text[0] == '0' {
		return false
	}
	var count [10]int
	product := 10
	for _, b := range text[:10] {
		d := int(b - '0')
		count[d]++
		sum := (d + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	several := 0
	for _, n := range count {
		switch {
		case n > 3:
			return false
		case n > 1:
			several++
		}
	}
	return several == 1 && (11-product)%10 == int(text[10]-'0')
}

// validNIR checks a French social security number of thirteen characters, with
// A or B for the departments of Corsica, and its key of two digits: sex, a month
// that exists or stands for an unknown one, and 97 less the remainder.
func validNIR(text []byte) bool {
	if s := text[0]; s != '1' && s != '2' && s != '7' && s != '8' {
		return false
	}
	m := two(text[3:])
	if (m < 1 || m > 12) && (m < 20 || m > 42) && m < 50 {
		return false
	}
	n := 0
	for i, b := range text[:13] {
		switch {
		case isDigit(b):
			n = n*10 + int(b-'0')
		case i == 6 && text[5] == '2' && b|0x20 == 'a':
			n = n*10 - 1 // 2A counts as 19
		case i == 6 && text[5] == '2' && b|0x20 == 'b':
			n = n*10 - 2 // 2B counts as 18
		default:
			return false
		}
	}
	return isDigit(text[13]) && isDigit(text[14]) && 97-n%97 == two(text[13:])
}

// validDNI checks eight digits and a letter as a Spanish DNI, or a NIE whose
// first letter X, Y or Z stands for 0, 1 or 2: modulo 23.
func validDNI(text []byte) bool {
	n := 0
	for i, b := range text[:8] {
		if x := b | 0x20; i == 0 && x >= 'x' && x <= 'z' {
			b = '0' + x - 'x'
		}
		if !isDigit(b) {
			return false
		}
		n = n*10 + int(b-'0')
	}
	return text[8]&^0x20 == "TRWAGMYFPDXBNJZSQVHLCKE"[n%23] && n > 0
}

// Values of characters at odd places of an Italian fiscal code; letters count as
// their place in the alphabet does as a digit, up to J.
var fiscalOdd = [26]uint8{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}

// omocodia are the letters that stand for digits in fiscal codes that two people
// would share.
const omocodia = "LMNPQRSTUV"

// fiscalDigit is the digit at a place of a fiscal code where one is due, or -1.
func fiscalDigit(b byte) int {
	if isDigit(b) {
		return int(b - '0')
	}
	for i := range len(omocodia) {
		if b&^0x20 == omocodia[i] {
			return i
		}
	}
	return -1
}

// validFiscalCode checks sixteen characters as an Italian codice fiscale: six
// letters, year, letter of the month, day (plus 40 for women), place, check.
func validFiscalCode(text []byte) bool {
	sum := 0
	for i, b := range text[:15] {
		switch i {
		case 6, 7, 9, 10, 12, 13, 14:
			if fiscalDigit(b) < 0 {
				return false
			}
		default:
			if !isLetter(b) {
				return false
			}
		}
		v := int(b - '0')
		if isLetter(b) {
			v = int(b&^0x20 - 'A')
		}
		if i%2 == 0 {
			v = int(fiscalOdd[v])
		}
		sum += v
	}
	if !indexByte("ABCDEHLMPRST", text[8]&^0x20) {
		return false
	}
	day := fiscalDigit(text[9])*10 + fiscalDigit(text[10])
	return day%40 >= 1 && day%40 <= 31 && day <= 71 && isLetter(text[15]) && int(text[15]&^0x20-'A') == sum%26
}

// validBSN checks nine digits as a Dutch citizen service number: weights 9 to 2
// and -1, modulo 11.
func validBSN(text []byte) bool {
	return weighted(text, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0 && !repeated(text)
}

// validPESEL checks eleven digits as a Polish PESEL: a date whose month says the
// century, and the check digit.
func validPESEL(text []byte) bool {
	return monthAndDay(two(text[2:])%20, two(text[4:])) && weighted(text, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)%10 == 0
}

// validPersonnummer checks the last ten digits of a Swedish personal number:
// date, in coordination numbers with 60 added to the day, and Luhn.
func validPersonnummer(text []byte) bool {
	day := two(text[4:])
	if day > 60 {
		day -= 60
	}
	return monthAndDay(two(text[2:]), day) && luhn(text)
}

// validCPF checks eleven digits as a Brazilian CPF: two digits modulo 11.
func validCPF(text []byte) bool {
	check := func(n int) bool {
		sum := 0
		for i := range n {
			sum += (n + 1 - i) * int(text[i]-'0')
		}
		return sum*10%11%10 == int(text[n]-'0')
	}
	return !repeated(text) && check(9) && check(10)
}

// validCNPJ checks a Brazilian CNPJ of twelve letters or digits and two check
// digits; a letter counts as its ASCII code less 48 (IN RFB 2.229/2024).
func validCNPJ(text []byte) bool {
	check := func(n int) bool {
		sum, w := 0, 2
		for i := n - 1; i >= 0; i-- {
			b := text[i]
			if isLetter(b) {
				b &^= 0x20
			}
			sum += w * int(b-'0')
			if w++; w > 9 {
				w = 2
			}
		}
		d := 11 - sum%11
		if d > 9 {
			d = 0
		}
		return d == int(text[n]-'0')
	}
	return isDigit(text[12]) && isDigit(text[13]) && !repeated(text) && check(12) && check(13)
}

// Tables of the dihedral group of Verhoeff's check.
var (
	verhoeffProduct = [10][10]uint8{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
		{5, 9, 8, 7, 6, 0, 4, 3, 2, 1}, {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	verhoeffPlace = [8][10]uint8{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1}, {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8},
	}
)

// validAadhaar checks twelve digits as an Indian Aadhaar number: the first is 2
// to 9, the last Verhoeff's check digit.
func validAadhaar(text []byte) bool {
	c := uint8(0)
	for i := range text {
		c = verhoeffProduct[c][verhoeffPlace[i%8][text[len(text)-1-i]-'0']]
	}
	return c == 0 && text[0] >= '2' && !repeated(text)
}

// validCURP checks eighteen characters as a Mexican CURP: four letters, date,
// sex, state, three consonants, a letter or digit for the century, check digit.
func validCURP(text []byte) bool {
	sum := 0
	for i, b := range text[:17] {
		v := 0
		switch {
		case isDigit(b) && (i >= 4 && i < 10 || i == 16):
			v = int(b - '0')
		case isLetter(b) && (i < 4 || i >= 10):
			// N is followed by its twin with a tilde, which the code itself never has.
			if v = int(b&^0x20-'A') + 10; b&^0x20 > 'N' {
				v++
			}
		default:
			return false
		}
		sum += v * (18 - i)
	}
	if s := text[10] &^ 0x20; s != 'H' && s != 'M' && s != 'X' {
		return false
	}
	return monthAndDay(two(text[6:]), two(text[8:])) && isDigit(text[17]) && (10-sum%10)%10 == int(text[17]-'0')
}

// validNPI checks ten digits as a US national provider id: Luhn over 80840 and
// the number, which is 24 more than Luhn over the number.
func validNPI(text []byte) bool {
	if text[0] != '1' && text[0] != '2' {
		return false
	}
	sum := 24
	for i, b := range text {
		if i%2 == 0 {
			sum += int(doubled[b-'0'])
		} else {
			sum += int(b - '0')
		}
	}
	return sum%10 == 0
}

// validDEA checks two letters and seven digits as the number of a prescriber
// registered with the US Drug Enforcement Administration; the second letter may
// be a 9.
func validDEA(text []byte) bool {
	d := text[2:9]
	for _, b := range d {
		if !isDigit(b) {
			return false
		}
	}
	return indexByte("ABCDEFGHJKLMPRSTUX", text[0]&^0x20) && isLetter(text[0]) && (isLetter(text[1]) || text[1] == '9') &&
		weighted(d, 1, 2, 1, 2, 1, 2)%10 == int(d[6]-'0') && !repeated(d)
}

// validMBI checks eleven characters as a US Medicare beneficiary id (CMS: the
// format of the MBI). It has no check digit; letters that look like digits do not
// occur.
func validMBI(text []byte) bool {
	const form = "1AXNAXNAANN" // 1: 1-9, A: letter, N: digit, X: either
	for i, b := range text {
		letter := isLetter(b) && !indexByte("SLOIBZ", b&^0x20)
		switch form[i] {
		case '1':
			if !isDigit(b) || b == '0' {
				return false
			}
		case 'A':
			if !letter {
				return false
			}
		case 'N':
			if !isDigit(b) {
				return false
			}
		default:
			if !letter && !isDigit(b) {
				return false
			}
		}
	}
	return true
}

// validNINO checks nine characters as a UK national insurance number: a prefix
// that is given out, six digits, a suffix from A to D.
func validNINO(text []byte) bool {
	a, b, last := text[0]&^0x20, text[1]&^0x20, text[8]&^0x20
	if !isLetter(text[0]) || !isLetter(text[1]) || indexByte("DFIQUV", a) || indexByte("DFIOQUV", b) || last < 'A' || last > 'D' {
		return false
	}
	switch string([]byte{a, b}) {
	case "BG", "GB", "NK", "KN", "TN", "NT", "ZZ":
		return false
	}
	for _, b := range text[2:8] {
		if !isDigit(b) {
			return false
		}
	}
	return true
}

// validIndianPAN checks ten characters as an Indian permanent account number:
// five letters, of which the fourth names the kind of holder, four digits, a
// letter. Its check letter is secret.
func validIndianPAN(text []byte) bool {
	for i, b := range text {
		if isDigit(b) != (i >= 5 && i < 9) || !isLetter(b) && !isDigit(b) {
			return false
		}
	}
	return indexByte("CPHFATBLJG", text[3]&^0x20)
}
