package detect

import "github.com/caregate/caregate/redact"

// maxIP is the longest IP address as text: version 6 with an embedded version 4.
const maxIP = 45

// findIP finds IP addresses around the digits of a stretch. Every address has a
// digit, apart from ones such as fe:cb::a that nobody writes.
func (d *Detector) findIP(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	for i := from; i < to; i++ {
		b := t[i]
		if !isHex(b) && b != ':' {
			continue
		}
		// One try for each run of the characters of an address.
		if i > 0 && (isHex(t[i-1]) || t[i-1] == ':' || t[i-1] == '.') {
			continue
		}
		end := i
		dots, colons := 0, 0
		for end < len(t) && end-i <= maxIP {
			switch c := t[end]; {
			case isHex(c):
			case c == '.':
				dots++
			case c == ':':
				colons++
			default:
				goto read
			}
			end++
		}
	read:
		switch {
		case colons >= 2:
			if stop, evidence := ipv6At(t, i); stop > 0 && d.ipv6Fits(t, i, stop) {
				dst = append(dst, redact.Finding{
					Class: redact.IPAddress, Start: i, End: stop, Confidence: 0.95, Rule: "ip version 6 address", Evidence: evidence, Never: h.ID,
				})
				i = stop - 1
				continue
			}
		case dots >= 3 && isDigit(b):
			if stop, ok := ipv4At(t, i); stop > 0 && ok && d.ipv4Fits(t, i, stop, h) {
				dst = append(dst, redact.Finding{
					Class: redact.IPAddress, Start: i, End: stop, Confidence: 0.9, Rule: "ip version 4 address", Evidence: redact.EvidenceShape, Never: h.ID,
				})
				i = stop - 1
				continue
			}
		}
		if n := min(end, to); n > i {
			i = n - 1
		}
	}
	return dst
}

// ipv4At returns where the dotted address that begins at i ends, 0 when there is
// none, and whether it is one that a host can have: not a mask, not the address of
// nobody or of the machine itself.
func ipv4At(t []byte, i int) (end int, host bool) {
	var octets [4]int
	at := i
	for n := range octets {
		v, from := 0, at
		for at < len(t) && isDigit(t[at]) && at-from < 3 {
			v = v*10 + int(t[at]-'0')
			at++
		}
		if at == from || v > 255 || at-from > 1 && t[from] == '0' || at < len(t) && isDigit(t[at]) {
			return 0, false
		}
		octets[n] = v
		if n < 3 {
			if at == len(t) || t[at] != '.' {
				return 0, false
			}
			at++
		}
	}
	return at, octets[0] != 0 && octets[0] != 127 && octets[0] != 255
}

// ipv4Fits looks at what stands around four numbers with dots: part of a longer
// list of numbers, a version, a section are no addresses.
func (d *Detector) ipv4Fits(t []byte, start, end int, h Hint) bool {
	if end < len(t) {
		b := t[end]
		if isWordByte(b) || b == '_' || b == '-' && end+1 < len(t) && isWordByte(t[end+1]) && !isDigit(t[end+1]) || b == '.' && end+1 < len(t) && isWordByte(t[end+1]) {
			return false
		}
	}
	if start > 0 {
		b := t[start-1]
		if isWordByte(b) || b == '_' || b == '-' && start > 1 && isWordByte(t[start-2]) || b == '.' || b == '+' || b == '#' || b == '$' {
			return false
		}
		// A product and its version, as browsers write them.
		if b == '/' && start > 1 && isLetter(t[start-2]) {
			return false
		}
	}
	small := true
	for at, n := start, 0; at < end; at++ {
		if t[at] == '.' {
			n = 0
		} else if n++; n > 1 {
			small = false
		}
	}
	named := containsFold(h.Key, "ip") && !containsFold(h.Key, "version")
	for at, n := start, 0; n < 3; n++ {
		a, b, ok := wordBefore(t, at, lo(start, directReach))
		if !ok {
			break
		}
		switch w := t[a:b]; {
		case foldEqual(w, "version"), foldEqual(w, "ver"), foldEqual(w, "v"), foldEqual(w, "firmware"), foldEqual(w, "build"), foldEqual(w, "release"),
			foldEqual(w, "update"), foldEqual(w, "section"), foldEqual(w, "chapter"), foldEqual(w, "oid"), foldEqual(w, "driver"), foldEqual(w, "sdk"), foldEqual(w, "versión"):
			return false
		case foldEqual(w, "ip"), foldEqual(w, "address"), foldEqual(w, "host"), foldEqual(w, "server"), foldEqual(w, "dns"), foldEqual(w, "ping"), foldEqual(w, "from"):
			named = true
		}
		at = a
	}
	return named || !small
}

// ipv6At returns where the address of version 6 that begins at i ends, or 0
// (RFC 4291, section 2.2: eight groups, two colons once for any number of groups of
// zeros, the last two groups also as version 4).
func ipv6At(t []byte, i int) (end int, evidence redact.Evidence) {
	groups, gap, pairs := 0, false, true
	at := i
	for groups < 8 {
		if at+1 < len(t) && t[at] == ':' && t[at+1] == ':' {
			if gap {
				break
			}
			gap = true
			at += 2
		} else if groups > 0 {
			if at+1 >= len(t) || t[at] != ':' || !isHex(t[at+1]) {
				break
			}
			at++
		}
		from := at
		for at < len(t) && isHex(t[at]) && at-from < 5 {
			at++
		}
		n := at - from
		if n == 5 {
			return 0, 0
		}
		if n == 0 {
			break // two colons at the end, or nothing at all
		}
		if n <= 3 && at < len(t) && t[at] == '.' && groups <= 6 {
			if stop, _ := ipv4At(t, from); stop > 0 {
				at = stop
				groups += 2
				pairs = false
				break
			}
		}
		pairs = pairs && n == 2
		groups++
	}
	if at < len(t) && (isWordByte(t[at]) || t[at] == '_' || t[at] == ':' && (at+1 < len(t) && (isHex(t[at+1]) || t[at+1] == ':'))) {
		return 0, 0
	}
	if groups == 8 == gap || !gap && pairs || groups == 0 {
		return 0, 0 // pairs are a hardware address or a fingerprint
	}
	return at, redact.EvidenceShape
}

// ipv6Fits refuses what only looks like an address: names in programs with two
// colons, times, the address of the machine itself.
func (d *Detector) ipv6Fits(t []byte, start, end int) bool {
	if start > 0 && (isWordByte(t[start-1]) || t[start-1] == '_' || t[start-1] == '.' || t[start-1] == '$' || t[start-1] == '-') {
		return false
	}
	a := t[start:end]
	if !has(a, setDigit) || len(a) < 6 {
		return false
	}
	groups, longest, run := 0, 0, 0
	for _, b := range a {
		if b == ':' || b == '.' {
			run = 0
			continue
		}
		if run++; run == 1 {
			groups++
		}
		longest = max(longest, run)
	}
	// "2001::1" is an address, "a1::b2" hardly.
	return longest >= 3 && groups >= 2 || groups >= 4
}
