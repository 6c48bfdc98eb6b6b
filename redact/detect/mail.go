package detect

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// Limits of an address (RFC 5321, section 4.5.3.1).
const (
	maxLocal  = 64
	maxDomain = 255
)

// What a finding of an address says.
const (
	mailRule       = "e-mail address"
	mailConfidence = 0.97
)

// findMail finds e-mail addresses, and user:password in front of a host, around
// the signs @ of a stretch.
func (d *Detector) findMail(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	for i := from; i < to; i++ {
		n := bytes.IndexByte(t[i:to], '@')
		if n < 0 {
			return dst
		}
		i += n
		if i == 0 || i+1 == len(t) || t[i-1] <= ' ' || t[i+1] <= ' ' || t[i+1] == '@' {
			continue
		}
		if start, ok := credentials(t, i); ok {
			if start >= from {
				dst = append(dst, redact.Finding{
					Class: redact.Secret, Start: start, End: i, Confidence: 0.95, Rule: "user and password in an address",
					Evidence: redact.EvidenceShape, Never: secretPlace(t, start, i, h),
				})
			}
			continue
		}
		start, end := address(t, i)
		if end == 0 || start < from {
			continue
		}
		dst = append(dst, redact.Finding{
			Class: redact.Email, Start: start, End: end, Confidence: mailConfidence, Rule: mailRule, Evidence: redact.EvidenceShape, Never: h.ID,
		})
	}
	return dst
}

// credentials reads scheme://user:password before the sign @ at i and returns
// where the user begins.
func credentials(t []byte, i int) (int, bool) {
	from := lo(i, tokenReach-8)
	at, colon, signs := i, -1, 0
	for at > from {
		b := t[at-1]
		if b == '/' {
			break
		}
		if b == '@' {
			if signs++; signs > 2 { // one or two may be in the password
				return 0, false
			}
		}
		if b <= ' ' || b == '"' || b == '\'' || b == '<' || b == '>' || b == '`' {
			return 0, false
		}
		at--
		if b == ':' {
			colon = at
		}
	}
	if colon < 0 || at < 4 || i-colon < 3 || t[at-1] != '/' || t[at-2] != '/' || t[at-3] != ':' || !isLetter(t[at-4]) && !isDigit(t[at-4]) {
		return 0, false
	}
	return at, !placeholder(t[colon+1 : i])
}

// address reads the e-mail address around the sign @ at i, in the form that people
// and programs write (RFC 5321 and 5322 without comments and folding): dots and
// plus tags, a quoted local part without blanks, other scripts (RFC 6531), an address in brackets.
func address(t []byte, i int) (start, end int) {
	start = localStart(t, i)
	if start == i {
		return 0, 0
	}
	end = domainEnd(t, i+1)
	if end == 0 {
		return 0, 0
	}
	switch {
	case masked(t[start:i]):
		return 0, 0
	case start >= 3 && string(t[start-3:start]) == "://": // a user without a password
		return 0, 0
	case end < len(t) && t[end] == ':' && end+1 < len(t) && isWordByte(t[end+1]) && !isDigit(t[end+1]): // git@host:path
		return 0, 0
	case messageID(t, start, i):
		return 0, 0
	}
	return start, end
}

// localStart returns where the part before the sign @ at i begins, i when there
// is none.
func localStart(t []byte, i int) int {
	from := lo(i, maxLocal)
	if i > from && t[i-1] == '"' {
		for at := i - 2; at >= from && t[at] > ' '; at-- {
			if t[at] == '"' && t[at+1] != '"' {
				if at > 0 && isWordByte(t[at-1]) {
					return i
				}
				return at
			}
		}
		return i
	}
	at, ascii := i, false
	for at > from {
		b := t[at-1]
		switch {
		case isLetter(b) || isDigit(b):
			ascii = true
		case b == '.' || b == '_' || b == '-' || b == '+' || b == '%' || b == '\'' || b == '&' || b == '~':
		case b == '=' && tagged(t[from:at-1]):
		case b >= 0x80:
			r, size := utf8.DecodeLastRune(t[:at])
			if !unicode.IsLetter(r) && !unicode.IsMark(r) || ascii && !spaced(r) {
				goto done
			}
			at -= size - 1
		default:
			goto done
		}
		at--
	}
	if at == from && from > 0 && charsets[t[from-1]]&(setAlnum|setDot) != 0 {
		return i // longer than any
	}
done:
	for at < i && (t[at] == '.' || t[at] == '-' || t[at] == '\'' || t[at] == '%' || t[at] == '&' || t[at] == '+' || t[at] == '~' || t[at] == '=') {
		at++ // a list, a quotation, a query
	}
	for j := at + 1; j < i; j++ {
		if t[j] == '&' { // the parameter before in a query
			at = j + 1
		}
	}
	if at < i && (t[i-1] == '.' || t[i-1] == '\'' || !has(t[at:i], setAlnum) && !wide8(t[at:i])) {
		return i
	}
	return at
}

// wide8 reports whether text holds a byte outside ASCII.
func wide8(t []byte) bool {
	for _, b := range t {
		if b >= 0x80 {
			return true
		}
	}
	return false
}

// tagged reports whether an equals sign behind text belongs to an address: mail
// systems write the recipient into the return path with it.
func tagged(t []byte) bool {
	word := t
	if i := bytes.LastIndexAny(word, " <>\"&?/"); i >= 0 {
		word = word[i+1:]
	}
	return bytes.IndexByte(word, '+') > 0 || hasPrefixFold(word, "srs") || hasPrefixFold(word, "prvs") || hasPrefixFold(word, "btv1")
}

// spaced reports whether the script of a letter puts blanks between words, so that
// one beside an ASCII letter is part of the same word.
func spaced(r rune) bool { return r < 0x0530 || r >= 0x1E00 && r < 0x2000 }

// domainEnd returns where the domain that begins at i ends, or 0: labels with dots
// between them, the last of them letters, or an address in brackets.
func domainEnd(t []byte, i int) int {
	if i < len(t) && t[i] == '[' {
		n := bytes.IndexByte(t[i:min(len(t), i+56)], ']')
		if n < 0 {
			return 0
		}
		inside := t[i+1 : i+n]
		if hasPrefixFold(inside, "ipv6:") {
			inside = inside[5:]
		}
		if end, _ := ipv4At(inside, 0); end == len(inside) && end > 0 {
			return i + n + 1
		}
		if end, _ := ipv6At(inside, 0); end == len(inside) && end > 0 {
			return i + n + 1
		}
		return 0
	}
	limit := min(len(t), i+maxDomain)
	end := 0 // behind the last label that a domain may end with
	for at, labels := i, 0; at < limit; {
		next, ascii := label(t, at, limit)
		if next == at {
			break
		}
		labels++
		top := t[at:next]
		if labels > 1 {
			// "...@example.com.Thanks": a sentence without a blank.
			if end > 0 && top[0]-'A' < 26 && len(top) > 1 && top[1]-'a' < 26 && t[at-2]-'a' < 26 {
				break
			}
			if topLevel(top, ascii) {
				end = next
			} else {
				end = 0
			}
		}
		if next == limit || t[next] != '.' {
			break
		}
		at = next + 1
	}
	if end == 0 || end < len(t) && (t[end] == '@' || t[end] == '_' && end+1 < len(t) && isWordByte(t[end+1])) {
		return 0
	}
	return end
}

// label returns where the label that begins at i ends, without a hyphen at either
// end, and whether it is all ASCII.
func label(t []byte, i, limit int) (int, bool) {
	at, ascii := i, false
	for at < limit {
		b := t[at]
		if b < 0x80 {
			if charsets[b]&(setAlnum|setDash) == 0 {
				break
			}
			ascii = true
			at++
			continue
		}
		r, size := utf8.DecodeRune(t[at:limit])
		if !unicode.IsLetter(r) && !unicode.IsMark(r) || ascii && !spaced(r) {
			break
		}
		at += size
	}
	for at > i && t[at-1] == '-' {
		at--
	}
	if at > i && t[i] == '-' {
		return i, false
	}
	return at, !wide8(t[i:at])
}

// fileEnding reports whether label is what file names end with and no domain does.
func fileEnding(label []byte) bool {
	var buf [len("xhtml")]byte
	if len(label) > len(buf) {
		return false
	}
	for i, b := range label {
		buf[i] = lower(b)
	}
	switch string(buf[:len(label)]) {
	case "bmp", "conf", "css", "csv", "doc", "docx", "gif", "gz", "heic", "htm", "html", "ico", "ini", "jpeg", "jpg", "js", "json", "jsx", "log", "mjs", "mp3", "mp4",
		"pdf", "php", "png", "psd", "svg", "tar", "tgz", "tif", "tiff", "ts", "tsx", "txt", "webm", "webp", "woff", "woff2", "xls", "xlsx", "xml", "yaml", "yml":
		return true
	}
	return false
}

// topLevel reports whether a label can be a top-level domain: letters, or an
// internationalised one.
func topLevel(label []byte, ascii bool) bool {
	if !ascii {
		return true
	}
	if hasPrefixFold(label, "xn--") {
		return len(label) > 5
	}
	if len(label) < 2 || len(label) > 24 || has(label, setDigit|setDash) {
		return false
	}
	return !fileEnding(label)
}

// messageIDs are the names in front of values that look like addresses and name
// messages or parts of them (RFC 5322, RFC 2392).
var messageIDs = [...]string{"message-id", "in-reply-to", "references:", "content-id", "cid:"}

// messageID reports whether what begins at start is the id of a message: in angle
// brackets, behind the name of such a header.
func messageID(t []byte, start, at int) bool {
	if start >= 4 && hasSuffixFold(t[:start], "cid:") {
		return true
	}
	near := t[lo(start, LookBehind):start]
	if start == 0 || t[start-1] != '<' {
		near = t[lo(start, 16):start]
	}
	for _, name := range messageIDs {
		if containsFold(near, name) {
			return true
		}
	}
	if start == 0 || t[start-1] != '<' {
		return false
	}
	// A list of them without its header: no person has such a name.
	digits := 0
	for _, b := range t[start:at] {
		if isDigit(b) {
			digits++
		}
	}
	return at-start >= 28 && digits >= 10 || digits >= 16
}

// masked reports whether text is a mask of package transform: nothing but X, and
// what stands between letters and digits.
func masked(t []byte) bool {
	n := 0
	for _, b := range t {
		if b == 'X' {
			n++
		} else if b >= 0x80 || charsets[b]&setAlnum != 0 {
			return false
		}
	}
	return n > 0
}
