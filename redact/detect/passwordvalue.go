package detect

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

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
