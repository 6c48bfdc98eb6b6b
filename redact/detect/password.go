package detect

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

// A password has no shape. It is found by the word that names it and by how it
// stands behind that word: "password: x", "my password is x", "pw=x". Most
// sentences with the word hold no password ("my password is not working"), so the
// weaker the join, the more the value itself has to look like one.

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

// findPasswords finds passwords behind the words that name them.
func (d *Detector) findPasswords(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	if h.ID {
		return dst
	}
	try := func(at int) int {
		end, name := passwordWord(t, at)
		if end == 0 {
			return at + 1
		}
		if f, ok := passwordBehind(t, at, end, name); ok && f.Start >= from && f.Start < to+wakeReach {
			dst = append(dst, f)
			end = max(end, f.End)
		}
		return end
	}
	// The trigger is in the value, or is the copula before it.
	if from > 1 && t[from-1] <= ' ' && (isDigit(t[to-1]) || to-from <= 4 && t[from] >= 0x80 && isCopula(t[from:to])) {
		if at := nameBefore(t, from); at >= 0 {
			try(at)
		}
	}
	// The trigger is the name, or stands in it.
	for at := from; at < to; {
		switch b := t[at]; {
		case b < 0x80:
			if at+1 == len(t) || passwordBegins[b&31]>>(t[at+1]&31)&1 == 0 || !isLetter(b) {
				at++
				continue
			}
		case b&0xC0 == 0x80:
			at++
			continue
		case !passwordWides[b]:
			if back := wideInside(t, at); back > 0 {
				at = max(at+1, try(at-back))
				continue
			}
			at++
			continue
		}
		at = try(at)
	}
	return dst
}

// nameBefore returns where the name begins that may stand before the value at i,
// with a colon, an equals sign, a copula or nothing between, or -1.
func nameBefore(t []byte, i int) int {
	limit := lo(i, passwordWindow)
	for i > limit && (t[i-1] <= ' ' || t[i-1] == ':' || t[i-1] == '=' || t[i-1] == '"' || t[i-1] == '\'') {
		i--
	}
	for range 2 {
		begin := i
		for begin > limit && t[begin-1] > ' ' && t[begin-1] != '/' && t[begin-1] != '(' && t[begin-1] != '"' {
			begin--
		}
		if begin == i || begin == limit && limit > 0 {
			return -1
		}
		// userPassword, db_password: the name is the end of it.
		for at := begin; at < i; at++ {
			if end, _ := passwordWord(t, at); end == i {
				return at
			}
		}
		if !isCopula(t[begin:i]) {
			return -1
		}
		for i = begin; i > limit && t[i-1] == ' '; i-- {
		}
	}
	return -1
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
	if b := t[i]; b < 0x80 && (i+1 == len(t) || passwordBegins[b&31]>>(t[i+1]&31)&1 == 0) || b >= 0x80 && !passwordWides[b] {
		return 0, 0
	}
	for k := range passwordWords {
		w := &passwordWords[k]
		if w.word[0] != lower(t[i]) && w.word[0] < 0x80 || len(t)-i < len(w.word) || !equalFoldWide(t[i:i+len(w.word)], w.word) {
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
	for i := 0; i < len(word); i++ {
		if lower(t[i]) == word[i] {
			continue
		}
		if word[i] < 0x80 || t[i] < 0xC3 || t[i] >= 0xE1 { // scripts of three bytes a letter have no case, or next to none
			return false
		}
		var buf [64]byte
		return string(fold(buf[:0], t[i:])) == word[i:]
	}
	return true
}

// joint is how a value stands behind the name of a password.
type joint uint8

const (
	jointColon  joint = iota // a colon, an equals sign, an arrow
	jointCopula              // is, ist, es ...
	jointNone                // only a blank
)

// passwordBehind reads what stands behind the name of a password in
// t[start:end].
func passwordBehind(t []byte, start, end int, name nameKind) (redact.Finding, bool) {
	no := redact.Finding{}
	limit := min(len(t), end+passwordWindow)
	at, words := end, 0
	join := jointNone
	if at < limit && (t[at] == '"' || t[at] == '\'' || t[at] == '*' || t[at] == '\\') { // "password": "x", **password**
		for at < limit && (t[at] == '"' || t[at] == '\'' || t[at] == '*' || t[at] == '\\') {
			at++
		}
		if at == limit || t[at] != ':' && t[at] != '=' && t[at] != ' ' {
			return no, false
		}
	}
	if end < limit && wideLead(t, end) || start < len(t) && t[start] >= 0xE2 { // no blanks: 密码是x, パスワードはx
		next, ok := wideJoint(t, at, limit)
		if !ok {
			return no, false
		}
		return passwordValue(t, start, next, jointColon, 0)
	}
read:
	for at < limit {
		switch b := t[at]; {
		case b == ' ' || b == '\t' || b == '(' || b == ')' || b == '*':
			at++
		case b == ':' || b == '=':
			at++
			for at < limit && (t[at] == '=' || t[at] == '>') {
				at++
			}
			join = jointColon
			break read
		case b == '-' && at+1 < limit && (t[at+1] == '>' || t[at+1] == ' '):
			at += 2
			join = jointColon
			break read
		case b == 0xE2 && at+2 < limit && t[at+1] == 0x86 && t[at+2] == 0x92: // an arrow
			at += 3
			join = jointColon
			break read
		case isWordByte(b) || b == '@' || b == '_':
			a := at
			for at < limit && t[at] > ' ' && t[at] != ':' && t[at] != '=' && t[at] != ',' && t[at] != '"' {
				at++
			}
			w := t[a:at]
			if isCopula(w) {
				join = jointCopula
				break read
			}
			if words == 0 && name != nameLoose && strengthOf(w) >= looksStrong && (at == len(t) || t[at] <= ' ') {
				at = a
				break read // "passwd Xy7!kkp0"
			}
			if end, _ := passwordWord(t, a); end == at {
				return no, false // which wakes us again
			}
			if words++; words > 5 || name != nameSure || otherThing(w) || at+1 < len(t) && t[at] == ':' && t[at+1] == '/' {
				return no, false
			}
		default:
			return no, false
		}
	}
	if at >= limit || name == nameLoose && join != jointColon {
		return no, false
	}
	return passwordValue(t, start, at, join, words)
}

// dashes reports whether the name is an option of a command: --password x.
func dashes(t []byte, i int) bool { return i >= 2 && t[i-1] == '-' && t[i-2] == '-' }

// wideJoint reads what joins a name and a value in scripts without blanks.
func wideJoint(t []byte, i, limit int) (int, bool) {
	for _, j := range [...]string{"是", "为", "為", "：", "は", "が", "는", "은", "：", ":", "=", " "} {
		if bytes.HasPrefix(t[i:limit], []byte(j)) {
			i += len(j)
			if next, ok := wideJoint(t, i, limit); ok {
				return next, true
			}
			return i, i < limit && t[i] > ' ' && t[i] < 0x80
		}
	}
	return i, false
}

func isCopula(w []byte) bool {
	for _, c := range copulas {
		if len(w) == len(c) && equalFoldWide(w, c) {
			return true
		}
	}
	return false
}

// otherThings make of a password something that is none: a reset link, a manager,
// a policy, a hint.
var otherThings = [...]string{
	"reset", "manager", "hint", "policy", "protected", "field", "recovery", "link", "email", "e-mail", "page", "prompt", "length", "strength", "expiry", "expired", "change",
	"changed", "rules", "requirements", "box", "generator", "hash", "form", "screen", "error", "works", "must", "should", "not", "doesn't", "can", "cannot", "can't",
	"zurücksetzen", "vergessen", "ändern", "funktioniert", "oublié", "incorrect", "olvidada", "non", "no", "and", "und", "et", "y", "or", "oder", "ou",
}

func otherThing(w []byte) bool {
	for _, o := range otherThings {
		if len(w) == len(o) && equalFoldWide(w, o) {
			return true
		}
	}
	return false
}

// The strength of a candidate.
const (
	looksEmpty  = iota // a placeholder, a mask, an address, a word of a sentence
	looksPlain         // a word
	looksNumber        // digits only
	looksStrong        // letters with digits or signs, capitals inside
)

// strengthOf says how much text looks like a password.
func strengthOf(w []byte) int {
	if len(w) < 4 || placeholder(w) || bytes.Contains(w, []byte("://")) || hasPrefixFold(w, "www.") {
		return looksEmpty
	}
	digits, letters, signs, inner := 0, 0, 0, false
	for i, b := range w {
		switch {
		case isDigit(b):
			digits++
		case isLetter(b) || b >= 0x80:
			letters++
			inner = inner || i > 0 && b-'A' < 26 && w[i-1]-'a' < 26
		case b == '\'' || b == '-' || b == '/' || b == '.' || b == ',' || b == '(' || b == ')' || b == '"' || b == '\\':
		default:
			signs++
		}
	}
	switch {
	case digits > 0 && (letters > 0 || signs > 0), letters > 0 && signs > 0 && len(w) >= 6, inner && len(w) >= 8:
		return looksStrong
	case digits == len(w):
		return looksNumber
	case letters >= 4 && signs == 0:
		return looksPlain
	}
	return looksEmpty
}

// placeholder reports whether text stands for a value that is not there: stars, a
// template, a mask of ours, a name in brackets.
func placeholder(w []byte) bool {
	if len(w) == 0 {
		return true
	}
	switch w[0] {
	case '<', '[', '{', '%', '*':
		return true
	case '$':
		return len(w) > 1 && (w[1] == '{' || w[1] == '(' || w[1]-'A' < 26)
	}
	return masked(w) || !varied(w, 2) && !wide8(w) || bytes.HasPrefix(w, []byte("\xE2\x80\xA2")) || bytes.HasPrefix(w, []byte("\xE2\x97\x8F"))
}

// notPasswords are the words that stand where a password could in sentences about
// one.
var notPasswords = [...]string{
	"null", "none", "true", "false", "required", "optional", "string", "undefined", "empty", "nil", "hidden", "wrong", "incorrect", "invalid", "correct", "right", "weak", "strong",
	"long", "short", "missing", "unknown", "expired", "fine", "good", "okay", "same", "different", "case", "here", "there", "below", "above", "attached", "lost",
	"broken", "useless", "gone", "secret", "safe", "secure", "available", "bad", "simple", "easy", "private", "mine", "yours", "temporary", "default", "enough", "still", "again",
	"now", "then", "back", "this", "that", "what", "your", "please", "help", "also", "only", "just", "very", "really", "sent", "being", "never", "always", "okay", "unchanged",
	"falsch", "richtig", "ungültig", "abgelaufen", "weg", "nicht", "korrekt", "bekannt", "incorrecto", "incorrecta", "correcta", "olvidada", "válida", "inválida", "incorrect",
	"oublié", "perdu", "errata", "sbagliata", "corretta", "scaduta", "incorreta", "errada", "onjuist", "verkeerd", "vergeten", "kwijt", "invalide", "faux", "bonne", "mauvais",
}

// passwordValue decides about the value that begins at i.
func passwordValue(t []byte, start, i int, join joint, words int) (redact.Finding, bool) {
	no := redact.Finding{}
	quoted := false
	for i < len(t) && (t[i] == ' ' || t[i] == '\t' || t[i] == '\\' || t[i] == ':' || t[i] == '=') {
		i++
	}
	var quote byte
	if i < len(t) && (t[i] == '"' || t[i] == '\'' || t[i] == '`') {
		quote = t[i]
		quoted = true
		i++
	} else if i+3 < len(t) && t[i] == 0xE2 && t[i+1] == 0x80 && (t[i+2] == 0x9C || t[i+2] == 0x9E || t[i+2] == 0x98) {
		quote = 0xE2
		quoted = true
		i += 3
	}
	end := i
	for end < len(t) && end-i < maxPassword {
		b := t[end]
		if quoted && (b == quote || b == '\\' && end+1 < len(t) && t[end+1] == quote) {
			break
		}
		if b == '\n' || b == '\r' || b == '<' && !quoted || b == '"' || !quoted && (b <= ' ' || join == jointColon && nextField(t, end)) {
			break
		}
		if b >= 0xE2 && !quoted && (b == 0xE3 || b == 0xEF) { // full-width punctuation, kana
			break
		}
		end++
	}
	if quoted && (end == len(t) || end-i == maxPassword || t[end] == '\n' || t[end] == '\r') {
		quoted = false // an apostrophe
		for end = i; end < len(t) && end-i < maxPassword && t[end] > ' ' && t[end] != '"'; end++ {
		}
	}
	if !quoted {
		for end > i && indexByte(".,;:)]}>'?`*", t[end-1]) {
			end--
		}
	}
	value := t[i:end]
	f := redact.Finding{Class: redact.Password, Start: i, End: end, Rule: "password, named", Evidence: redact.EvidenceWord}
	looks := strengthOf(value)
	if quoted && looks == looksEmpty && len(value) >= 4 && !placeholder(value) && bytes.IndexByte(value, ' ') < 0 {
		looks = looksPlain
	}
	if quoted && bytes.IndexByte(value, ' ') >= 0 {
		if join != jointColon || len(value) < 12 || placeholder(value) {
			return no, false
		}
		looks = looksStrong // a passphrase
	}
	last := lastOnLine(t, end)
	switch looks {
	case looksStrong:
		f.Confidence = 0.9
		if join == jointNone {
			f.Confidence = 0.7
			if words > 0 || !last && !signIn(t, start) && !dashes(t, start) {
				return no, false
			}
		}
		return f, true
	case looksNumber:
		f.Confidence = 0.7
		return f, join != jointNone && words <= 3 && !unitBehind(t, end)
	case looksPlain:
		for _, n := range notPasswords {
			if len(value) == len(n) && equalFoldWide(value, n) {
				return no, false
			}
		}
		f.Confidence = 0.6
		switch {
		case join == jointColon && words == 0 && last:
			return f, true
		case join == jointCopula && words == 0 && (quoted || last && mine(t, start) && !verbal(value)):
			return f, true
		}
	}
	return no, false
}

// nextField reports whether another field of a query or of a connection string
// begins at i: an ampersand or a semicolon, a name, an equals sign.
func nextField(t []byte, i int) bool {
	if t[i] != '&' && t[i] != ';' {
		return false
	}
	end := spanOf(t, i+1, setAlnum|setUnderscore|setDash|setDot, 32)
	return end < len(t) && end > i+1 && (t[end] == '=' || t[end] == ' ' && t[i] == ';') || end == len(t) && end == i+1
}

// lastOnLine reports whether the sentence or the line ends at i, or another field
// begins there.
func lastOnLine(t []byte, i int) bool {
	for i < len(t) && (t[i] == '.' || t[i] == '!' || t[i] == '"' || t[i] == '\'' || t[i] == ')' || t[i] == '*' || t[i] == '\\' || t[i] == '}') {
		i++
	}
	if i == len(t) {
		return true
	}
	switch t[i] {
	case '\n', '\r', ',', ';', '|', '&', '<', '/', 'n':
		return true
	case ' ':
		for i < len(t) && t[i] == ' ' {
			i++
		}
		return i == len(t) || t[i] == '|' || t[i] == '/' || t[i] == '\n' || t[i-2] == '.'
	}
	return t[i] >= 0xE2
}

// signIn reports whether the words before i speak of signing in: "login dana /
// passwd x".
func signIn(t []byte, i int) bool {
	near := t[lo(i, secretNameReach):i]
	for _, w := range [...]string{"login", "user", "benutzer", "account", "e-mail", "email", "usuario", "utilisateur", "identifiant"} {
		if containsFold(near, w) {
			return true
		}
	}
	return false
}

// mine reports whether the word in front says whose password it is.
func mine(t []byte, i int) bool {
	a, b, ok := wordBefore(t, i, lo(i, directReach))
	if !ok {
		return false
	}
	for _, w := range [...]string{"my", "the", "mein", "das", "mi", "la", "mon", "mia", "minha", "mijn", "moje", "mitt", "mit", "our", "old", "new", "current", "temporary"} {
		if foldEqual(t[a:b], w) {
			return true
		}
	}
	return false
}

// verbal reports whether an English word is likely to go on about a password
// rather than to be one.
func verbal(w []byte) bool {
	for _, s := range [...]string{"ed", "ing", "ible", "able", "ful", "ent", "less", "ly", "ous"} {
		if hasSuffixFold(w, s) {
			return true
		}
	}
	return false
}

// unitBehind reports whether the number that ends at i counts something: "8
// characters".
func unitBehind(t []byte, i int) bool {
	a, b, ok := wordAfter(t, i, min(len(t), i+24))
	if !ok || a > i+1 {
		return false
	}
	for _, w := range [...]string{"characters", "chars", "digits", "letters", "days", "times", "attempts", "zeichen", "caracteres", "minutes", "hours", "months"} {
		if foldEqual(t[a:b], w) {
			return true
		}
	}
	return false
}
