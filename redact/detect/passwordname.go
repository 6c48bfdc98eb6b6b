package detect

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// passwordWakes are the words that wake the family. Shorter and rarer names are
// found from the value, when it holds a digit, or from their first wide character.
var passwordWakes = []string{
	"password", "passwort", "passphrase", "passcode", "kennwort", "wachtwoord", "contrasena", "mot de passe", "palavra-passe",
}

// nameKind says how much the name of a password says.
type nameKind uint8

const (
	nameSure  nameKind = iota + 1 // means nothing else
	nameShort                     // an abbreviation: the value has to stand right behind
	nameLoose                     // means other things, too: only with a colon or an equals sign
)

// passwordWords are what a password is called, in lower case.
var passwordWords = []struct {
	word string
	name nameKind
}{
	{"password", nameSure}, {"passwort", nameSure}, {"passphrase", nameSure}, {"passcode", nameSure}, {"passwd", nameSure}, {"kennwort", nameSure}, {"wachtwoord", nameSure},
	{"contraseña", nameSure}, {"contrasena", nameSure}, {"mot de passe", nameSure}, {"palavra-passe", nameSure}, {"palavra passe", nameSure}, {"senha", nameSure}, {"hasło", nameSure}, {"haslo", nameSure},
	{"heslo", nameSure}, {"lösenord", nameSure}, {"losenord", nameSure}, {"adgangskode", nameSure}, {"salasana", nameSure}, {"lozinka", nameSure}, {"şifre", nameSure}, {"şifrem", nameSure}, {"parola d'ordine", nameSure},
	{"пароль", nameSure}, {"密码", nameSure}, {"密碼", nameSure}, {"パスワード", nameSure}, {"비밀번호", nameSure}, {"كلمة المرور", nameSure}, {"كلمة السر", nameSure}, {"סיסמה", nameSure}, {"jelszó", nameSure},
	{"pw", nameShort}, {"pwd", nameShort}, {"pass", nameLoose}, {"mdp", nameShort}, {"clave", nameLoose}, {"parola", nameLoose}, {"kode", nameLoose}, {"kodeord", nameSure}, {"sifre", nameLoose}, {"sifrem", nameLoose},
}

// copulas join a name and its value.
var copulas = [...]string{
	"is", "was", "are", "ist", "war", "lautet", "es", "era", "est", "était", "è", "é", "e'", "jest", "to", "är", "er", "on", "это", "je", "zní", "van",
}

// passwordWindow is how far behind its name a password may begin, and maxPassword
// how long it may be, in bytes.
const (
	passwordWindow = 64
	maxPassword    = 64
)

// passwordBegins has a bit for the first two letters of each word that begins with
// ASCII letters, and passwordWides the first byte of the others.
var passwordBegins, passwordWides = func() (pairs [32]uint32, wides [256]bool) {
	for _, w := range passwordWords {
		if w.word[0] < 0x80 && w.word[1] < 0x80 {
			pairs[w.word[0]&31] |= 1 << (w.word[1] & 31)
		} else if w.word[0] < 0x80 { // lösenord
			pairs[w.word[0]&31] |= 1 << (0xC3 & 31)
		} else {
			wides[w.word[0]] = true
		}
	}
	return pairs, wides
}()

// passwordIndex gives the numbers of the words that begin with a letter outside ASCII, by the
// low bits of that.
var passwordIndex = func() (t [64][]uint8) {
	for k, w := range passwordWords {
		if r, size := utf8.DecodeRuneInString(w.word); size > 1 {
			t[r%64] = append(t[r%64], uint8(k))
		}
	}
	return t
}()

// longestRun is how many letters of ASCII the words of passwordWords have in a row at
// most.
const longestRun = 15

// passwordRuns gives the numbers of the words that begin with a letter of ASCII, by that
// letter and by how many such letters they begin with: names begin with the same ones.
var passwordRuns = func() (t [32][longestRun + 1][]uint8) {
	for k, w := range passwordWords {
		if n := wordSpan([]byte(w.word), 0, len(w.word)); n > 0 {
			row := &t[w.word[0]&31][n]
			*row = append(*row, uint8(k))
		}
	}
	return t
}()

// passwordEnds has a bit for the last two letters of each word of passwordWords, and
// copulaEnds one for those of each copula, where they are ASCII.
var passwordEnds, copulaEnds = func() (pairs, ends [32]uint32) {
	for _, w := range passwordWords {
		if n := len(w.word); w.word[n-1] < 0x80 && w.word[n-2] < 0x80 {
			pairs[w.word[n-2]&31] |= 1 << (w.word[n-1] & 31)
		}
	}
	for _, c := range copulas {
		if n := len(c); c[n-1] < 0x80 && c[n-2] < 0x80 {
			ends[c[n-2]&31] |= 1 << (c[n-1] & 31)
		}
	}
	return pairs, ends
}()

// mayEndName reports whether the name of a password may end at i. It is quick, and may
// be wrong on the side of yes.
func mayEndName(t []byte, i int) bool {
	return i >= 2 && (t[i-1] >= 0x80 || t[i-2] >= 0x80 || passwordEnds[t[i-2]&31]>>(t[i-1]&31)&1 != 0)
}

// mayEndCopula is mayEndName for copulas.
func mayEndCopula(t []byte, i int) bool {
	return i >= 2 && (t[i-1] >= 0x80 || t[i-2] >= 0x80 || copulaEnds[t[i-2]&31]>>(t[i-1]&31)&1 != 0)
}

// wideInside returns how many bytes before the wide character at i the name
// begins in which it stands, or 0.
func wideInside(t []byte, i int) int {
	switch {
	case hasSuffixFold(t[:i], "contrase"):
		return 8
	case hasSuffixFold(t[:i], "has"):
		return 3
	case hasSuffixFold(t[:i], "jelsz"):
		return 5
	case hasSuffixFold(t[:i], "l"):
		return 1
	}
	return 0
}

// passwordWord returns where the name of a password that begins at i ends, 0 when
// there is none. Identifiers such as db_password end in one.
func passwordWord(t []byte, i int) (end int, name nameKind) {
	var words []uint8
	if b := t[i]; b >= 0x80 {
		if passwordWides[b] {
			r, _ := utf8.DecodeRune(t[i:])
			words = passwordIndex[lowerWide(r)%64]
		}
	} else if i+1 < len(t) && passwordBegins[b&31]>>(t[i+1]&31)&1 != 0 {
		if run := wordSpan(t, i, min(len(t), i+longestRun+1)) - i; run <= longestRun {
			words = passwordRuns[b&31][run]
		}
	}
	for _, k := range words {
		w := &passwordWords[k]
		if len(t)-i < len(w.word) || !equalFoldWide(t[i:i+len(w.word)], w.word) {
			continue
		}
		end := i + len(w.word)
		wide := w.word[0] >= 0xE0 // no blanks between words
		if !wide && end < len(t) && (isWordByte(t[end]) && !wideLead(t, end) || t[end] == '_' || t[end] == '-' && end+1 < len(t) && isLetter(t[end+1])) {
			continue
		}
		if !wide && i > 0 && isWordByte(t[i-1]) && (w.name != nameSure || !(t[i]-'A' < 26 && t[i-1]-'a' < 26)) {
			continue // "bypass", but userPassword
		}
		return end, w.name
	}
	return 0, 0
}

// wideLead reports whether a character of a script without blanks begins at i.
func wideLead(t []byte, i int) bool { return t[i] >= 0xE2 }

// equalFoldWide compares with a lower-case word, ignoring case in ASCII and in the
// two-byte letters of Latin and Cyrillic.
func equalFoldWide(t []byte, word string) bool {
	for i := 0; i < len(word); {
		if word[i] < utf8.RuneSelf {
			if lower(t[i]) != word[i] {
				return false
			}
			i++
			continue
		}
		want, size := utf8.DecodeRuneInString(word[i:])
		if r, n := utf8.DecodeRune(t[i:]); n != size || r != want && lowerWide(r) != want { // scripts of three bytes a letter have no case, or next to none
			return false
		}
		i += size
	}
	return true
}

// lowerWide is unicode.ToLower for letters of two bytes; others it returns as they are.
func lowerWide(r rune) rune {
	if uint32(r) < uint32(len(wideLetters)) {
		return wideLetters[r]
	}
	return r
}

var wideLetters = func() (t [0x800]rune) {
	for r := range t {
		t[r] = unicode.ToLower(rune(r))
	}
	return t
}()

// copulaKeys are the copulas as copulaKey makes of them, with letters outside ASCII in either
// case, by how many bytes they have.
var copulaKeys = func() (t [maxCopula + 1][]uint64) {
	for _, c := range copulas {
		keys := []uint64{0}
		at := 0
		for _, r := range c {
			forms := []rune{r}
			if up := unicode.ToUpper(r); r >= utf8.RuneSelf && utf8.RuneLen(up) == utf8.RuneLen(r) {
				forms = append(forms, up)
			}
			var longer []uint64
			for _, form := range forms {
				for _, key := range keys {
					for k, b := range []byte(string(form)) {
						key |= uint64(b) << (8 * (at + k))
					}
					longer = append(longer, key)
				}
			}
			keys, at = longer, at+utf8.RuneLen(r)
		}
		t[len(c)] = append(t[len(c)], keys...)
	}
	return t
}()

// copulaKey is a word of maxCopula bytes at most as one number, ASCII letters in lower case.
func copulaKey(w []byte) (key uint64) {
	for i, b := range w {
		key |= uint64(lower(b)) << (8 * i)
	}
	return key
}

// maxCopula is the length of the longest copula, and maxWideCopula that of the longest with a
// letter outside ASCII that wakes the family, in bytes.
const (
	maxCopula     = 6
	maxWideCopula = 4
)

func isCopula(w []byte) bool {
	return len(w) <= maxCopula && slices.Contains(copulaKeys[len(w)], copulaKey(w))
}
