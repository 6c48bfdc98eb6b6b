package detect

import (
	"bytes"
	"encoding/base64"
)

// maxLong bounds the two secrets that have no length of their own, private keys
// and JSON Web Tokens. An RSA key of 16,384 bits takes 13 KiB; headers of web
// servers end at 8 or 16 KiB.
const maxLong = 16 << 10

// jwtBegin is how the base64 of a JSON object begins.
const jwtBegin = "eyJ"

// jwtEnd returns where the JSON Web Token that begins at i ends, or 0: three
// parts in base64url, of which the first is a JSON object with a member alg or
// typ and the second a JSON object (RFC 7519; an unsigned token has an empty
// third part). An encrypted one has five parts, the second may be empty
// (RFC 7516).
func jwtEnd(t []byte, i int) int {
	if len(t)-i < 16 || string(t[i:i+len(jwtBegin)]) != jwtBegin || i > 0 && t[i-1] == '-' {
		return 0
	}
	const head = 1 << 10 // of a header; certificates in it are rare and longer
	p1 := spanOfWords(t, i, setBase64URL, head)
	if p1 == len(t) || t[p1] != '.' || !jwtHeader(t[i:p1]) {
		return 0
	}
	p2 := spanOfWords(t, p1+1, setBase64URL, maxLong)
	if p2 == len(t) || t[p2] != '.' || p2-i > maxLong {
		return 0
	}
	end := spanOfWords(t, p2+1, setBase64URL, maxLong-(p2-i))
	if p2-p1 > 3 && string(t[p1+1:p1+4]) == jwtBegin {
		return end
	}
	// Encrypted: two more parts.
	for range 2 {
		if end == len(t) || t[end] != '.' {
			return 0
		}
		next := spanOfWords(t, end+1, setBase64URL, max(0, maxLong-(end-i)))
		if next == end+1 {
			return 0
		}
		end = next
	}
	return end
}

// jwtHeader reports whether the part decodes to a JSON object with alg or typ.
func jwtHeader(part []byte) bool {
	if len(part) > base64Buffer {
		return false
	}
	var usual [128]byte
	buf := usual[:]
	if len(part) > len(usual) {
		buf = make([]byte, base64Buffer)
	}
	n, err := base64.RawURLEncoding.Decode(buf, part)
	if err != nil || n < 8 || buf[n-1] != '}' {
		return false
	}
	return bytes.Contains(buf[:n], []byte(`"alg"`)) || bytes.Contains(buf[:n], []byte(`"typ"`))
}

const base64Buffer = 1 << 10

// pemRun is the length from which a run of letters is taken for a line of a key
// rather than a word.
const pemRun = 24

// pemEnd returns where the private key that begins with the five hyphens at i
// ends, or 0 (RFC 7468; OpenSSH and OpenPGP use the same frame). Line breaks may be
// written as \n, as in a key within JSON. A key whose end is missing, because
// somebody pasted half of it, ends with its last character of base 64.
func pemEnd(t []byte, i int) int {
	const begin, private = "-----BEGIN ", "PRIVATE KEY"
	if len(t)-i < len(begin)+len(private) || string(t[i:i+len(begin)]) != begin {
		return 0
	}
	label := t[i+len(begin) : min(len(t), i+len(begin)+48)]
	n := bytes.Index(label, []byte("-----"))
	if n < 0 || !bytes.Contains(label[:n], []byte(private)) {
		return 0
	}
	body := i + len(begin) + n + 5
	limit := min(len(t), i+maxLong)
	// Of a key without an end only long runs count, so that prose behind it stays.
	at, last, chars, run := body, body, 0, 0
	for at < limit {
		b := t[at]
		switch {
		case b == '-' && at+9 <= len(t) && string(t[at:at+9]) == "-----END ":
			if chars < 16 {
				return 0 // a form to be filled in
			}
			rest := t[at+9 : min(len(t), at+64)]
			if n := bytes.Index(rest, []byte("-----")); n >= 0 {
				return at + 9 + n + 5
			}
			return last
		case b == '-' && at+11 <= len(t) && string(t[at:at+11]) == begin:
			at = limit // another key, and no end of this one
			continue
		case b == '\\' && at+1 < limit && (t[at+1] == 'n' || t[at+1] == 'r' || t[at+1] == 't'):
			at++
		case charsets[b]&(setBase64|setEqual) != 0:
			chars++
			if run++; run >= pemRun {
				last = at + 1
			}
			at++
			continue
		case b == ' ' || b == '\n' || b == '\r' || b == '\t' || b == '\\' || b == '"' || b == '>':
		case b == ':' || b == ',' || b == '-' || b == '.' || b == '(' || b == ')' || b == '@' || b == '<' || b == ';':
			// the header lines of older keys and of OpenPGP
		default:
			at = limit
			continue
		}
		run = 0
		at++
	}
	if last-body < 64 {
		return 0
	}
	return last
}

// openToken returns the first offset at or after from at which a private key or a
// JSON Web Token begins that goes on behind the end of t, or len(t).
func (d *Detector) openToken(t []byte, from int, _ Hint) int {
	at := max(from, len(t)-maxLong)
	first := len(t)
	// Only the last run of a token's characters can go on.
	run := len(t)
	for run > at && charsets[t[run-1]]&(setBase64URL|setDot) != 0 {
		run--
	}
	for _, head := range [...]struct {
		begin string
		from  int
	}{{"-----BEGIN ", at}, {"eyJ", run}} {
		for i := head.from; i < first; i++ {
			n := bytes.Index(t[i:first], []byte(head.begin))
			if n < 0 {
				break
			}
			i += n
			if wordEdge(t, i) && (head.begin == "eyJ" || pemOpen(t, i)) {
				first = i
			}
		}
	}
	return first
}

// pemOpen reports whether a private key begins at i and has no end in t.
func pemOpen(t []byte, i int) bool {
	label := t[i+len("-----BEGIN "):]
	n := bytes.Index(label, []byte("-----"))
	if n < 0 {
		return len(label) < 48
	}
	return bytes.Contains(label[:n], []byte("PRIVATE KEY")) && !bytes.Contains(label[n:], []byte("-----END "))
}
