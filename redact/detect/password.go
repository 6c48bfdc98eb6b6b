package detect

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

// A password has no shape. It is found by the word that names it and by how it
// stands behind that word: "password: x", "my password is x", "pw=x". Most
// sentences with the word hold no password ("my password is not working"), so the
// weaker the join, the more the value itself has to look like one.

// findPasswords finds passwords behind the words that name them.
func (d *Detector) findPasswords(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	if h.ID {
		return dst
	}
	behind := func(at, end int, name nameKind) int {
		if f, ok := passwordBehind(t, at, end, name); ok && f.Start >= from && f.Start < to+wakeReach {
			dst = append(dst, f)
			end = max(end, f.End)
		}
		return end
	}
	try := func(at int) int {
		end, name := passwordWord(t, at)
		if end == 0 {
			return at + 1
		}
		return behind(at, end, name)
	}
	// The trigger is in the value, or is the copula before it.
	if from > 1 && from < to && t[from-1] <= ' ' && (has(t[from:to], setDigit) || to-from <= maxWideCopula && t[from] >= 0x80 && isCopula(t[from:to])) {
		if at, end, name := nameBefore(t, from); at >= 0 {
			behind(at, end, name)
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

// nameBefore returns where the name begins and ends that may stand before the value at i,
// with a colon, an equals sign, a copula or nothing between, or -1, and what kind it is of.
func nameBefore(t []byte, i int) (at, end int, name nameKind) {
	limit := lo(i, passwordWindow)
	for i > limit && (t[i-1] <= ' ' || t[i-1] == ':' || t[i-1] == '=' || t[i-1] == '"' || t[i-1] == '\'') {
		i--
	}
	for range 2 {
		named := mayEndName(t, i)
		if !named && !mayEndCopula(t, i) {
			return -1, 0, 0
		}
		begin := i
		for begin > limit && t[begin-1] > ' ' && t[begin-1] != '/' && t[begin-1] != '(' && t[begin-1] != '"' {
			if begin--; !named && i-begin > maxCopula {
				return -1, 0, 0
			}
		}
		if begin == i || begin == limit && limit > 0 {
			return -1, 0, 0
		}
		// userPassword, db_password: the name is the end of it.
		for at := begin; named && at < i; at++ {
			if b := t[at]; b < 0x80 && (at+1 == len(t) || passwordBegins[b&31]>>(t[at+1]&31)&1 == 0) {
				continue
			}
			if end, name := passwordWord(t, at); end == i {
				return at, end, name
			}
		}
		if !isCopula(t[begin:i]) {
			return -1, 0, 0
		}
		for i = begin; i > limit && t[i-1] == ' '; i-- {
		}
	}
	return -1, 0, 0
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
