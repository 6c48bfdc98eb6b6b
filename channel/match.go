package channel

import (
	"strings"
)

// maxPath bounds the work of matching; a longer path is unmapped. Servers
// refuse request lines of this size long before.
const maxPath = 8 << 10

// maxParams bounds a pattern's parameters and is far above any vendor's need.
const maxParams = 8

// node is one path segment of the trie of patterns. Children are looked up by
// the decoded segment; param is the child of a `{name}` segment and tail the
// operations of a closing `**`.
type node struct {
	literal map[string]*node
	folded  map[string]*node // literal, by lower case
	param   *node
	ops     map[string]*Operation
	tail    map[string]*Operation
}

// param is what a pattern knows about one of its parameters.
type param struct {
	name, label string
	id          bool
}

// unmappedMethods are the operations of calls the file does not know. Anything
// else than these methods is "unmapped.other" with the effect of a write.
var unmappedMethods = [...]struct {
	method string
	effect Effect
}{
	{"GET", EffectRead}, {"HEAD", EffectRead}, {"OPTIONS", EffectRead},
	{"POST", EffectWrite}, {"PUT", EffectWrite}, {"PATCH", EffectWrite},
	{"DELETE", EffectDelete}, {"other", EffectWrite},
}

// Match finds the operation of a call. escapedPath is the path as it stands on
// the request line, without the query; it is judged percent-decoded once, with
// dot segments and empty segments resolved, because that is the strongest
// reading a server may give it. A path that still holds an encoded separator,
// dot or percent sign after one decoding never matches: two servers could read
// it differently.
//
// Literal segments win over parameters from left to right, provided that the
// method fits. A spelling that differs from a literal by case, by a space at its end
// or by the suffix of a format is taken for that literal: some servers do, and it
// must not get a weaker rule than the spelling that the file has. Match never
// fails: see Match.Mapped.
func (c *Channel) Match(method, escapedPath string) Match {
	path, ok := readable(escapedPath)
	if !ok {
		return c.miss(method)
	}
	var values [maxParams]string
	op, n := c.lookup(path, method, &values)
	if op == nil {
		op, n = c.lookup(plainest(path), method, &values)
	}
	return c.matched(op, n, method, &values)
}

// MatchPlainest is Match for the path without what a server may drop from its segments,
// for callers to whom it matters that a spelling could be taken for another operation than
// Match finds: /users/me.x is a user's to Match, and the caller's own here.
func (c *Channel) MatchPlainest(method, escapedPath string) Match {
	path, ok := readable(escapedPath)
	if !ok {
		return c.miss(method)
	}
	var values [maxParams]string
	op, n := c.lookup(plainest(path), method, &values)
	return c.matched(op, n, method, &values)
}

// matched is what Match gives for an operation and the n values of its path.
func (c *Channel) matched(op *Operation, n int, method string, values *[maxParams]string) Match {
	if op == nil {
		return c.miss(method)
	}
	m := Match{Op: op, Mapped: true}
	if n > len(op.params) {
		n = len(op.params)
	}
	if n > 0 {
		m.Params = make([]Param, n)
		for i := range m.Params {
			p := &op.params[i]
			m.Params[i] = Param{Name: p.name, Value: values[i], ID: p.id, Label: p.label}
		}
	}
	return m
}

// readable is a path as Match judges it; ok is false for one that never matches.
func readable(path string) (_ string, ok bool) {
	if len(path) == 0 || path[0] != '/' || len(path) > maxPath {
		return "", false
	}
	if needsCleaning(path) {
		return cleanPath(path)
	}
	return path, true
}

// lookup finds the operation of a path without escapes.
func (c *Channel) lookup(path, method string, values *[maxParams]string) (*Operation, int) {
	for len(path) > 1 && (path[len(path)-1] == '/' || path[len(path)-1] == ' ') {
		path = path[:len(path)-1]
	}
	for _, mount := range c.mounts {
		if len(path) > len(mount)+1 && path[len(mount)] == '/' && strings.EqualFold(path[:len(mount)], mount) {
			path = path[len(mount):]
			break
		}
	}
	for _, suffix := range c.trim {
		if at := len(path) - len(suffix); at > 0 && path[at-1] != '/' && strings.EqualFold(path[at:], suffix) {
			path = path[:at]
			break
		}
	}
	op, n := c.root.find(path[1:], method, values, 0)
	if op == nil && method == "HEAD" {
		op, n = c.root.find(path[1:], "GET", values, 0)
	}
	return op, n
}

// plainest is path without what a server may drop from its segments: spaces around
// them, parameters behind a semicolon, and whatever follows a dot.
func plainest(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		s = strings.TrimSpace(s)
		if at := strings.IndexAny(s, ".;"); at > 0 {
			s = strings.TrimSpace(s[:at])
		}
		segments[i] = s
	}
	return strings.Join(segments, "/")
}

// formats are the suffixes by which servers let a caller choose the form of an answer.
const formats = " .json .jsonp .xml .csv .html .htm .txt .atom .rss .js .yaml .yml .xls .xlsx .pdf .zip .gz "

// child is the literal below n that segment is, however it is spelled.
func (n *node) child(segment string) *node {
	if next := n.literal[segment]; next != nil || len(n.literal) == 0 {
		return next
	}
	folded := strings.ToLower(strings.TrimSpace(segment))
	if next := n.folded[folded]; next != nil {
		return next
	}
	// Of more than one suffix, the first.
	if at := strings.IndexByte(folded, '.'); at > 0 {
		suffix, _, _ := strings.Cut(folded[at+1:], ".")
		if !strings.Contains(suffix, " ") && strings.Contains(formats, " ."+suffix+" ") {
			return n.folded[folded[:at]]
		}
	}
	return nil
}

// miss is the answer for a call the file does not know.
func (c *Channel) miss(method string) Match {
	op := c.unmapped[method]
	if op == nil {
		op = c.unmapped["other"]
	}
	return Match{Op: op}
}

// find walks the trie over rest, a path without its first slash. It returns the
// operation and the number of parameter values it stored. The depth of the
// recursion is the number of segments of the longest pattern, and each segment
// has at most two candidates, so the work is bounded by the file and not by the
// caller.
func (n *node) find(rest, method string, values *[maxParams]string, used int) (*Operation, int) {
	segment, after, more := strings.Cut(rest, "/")
	if next := n.child(segment); next != nil {
		if op, u := next.descend(after, more, method, values, used); op != nil {
			return op, u
		}
	}
	if n.param != nil && segment != "" && used < maxParams {
		values[used] = segment
		if op, u := n.param.descend(after, more, method, values, used+1); op != nil {
			return op, u
		}
	}
	if op := n.tail[method]; op != nil {
		return op, used
	}
	return nil, 0
}

// descend ends at n when no segment is left, or goes on below it.
func (n *node) descend(after string, more bool, method string, values *[maxParams]string, used int) (*Operation, int) {
	if more {
		return n.find(after, method, values, used)
	}
	if op := n.ops[method]; op != nil {
		return op, used
	}
	if op := n.tail[method]; op != nil {
		return op, used
	}
	return nil, 0
}

// needsCleaning tells whether path holds anything that a server may read as
// something else than it is written.
func needsCleaning(path string) bool {
	for i := 0; i < len(path); i++ {
		switch b := path[i]; {
		case b == '%' || b == '\\' || b < ' ' || b == 0x7f:
			return true
		case b == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.'):
			return true
		}
	}
	return false
}

// cleanPath decodes path once and resolves empty and dot segments. It refuses
// control bytes, bad escapes, backslashes, a climb above the root, and anything
// that is still encoded after one decoding.
func cleanPath(path string) (string, bool) {
	decoded := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b == '%' {
			if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
				return "", false
			}
			b = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
			// Only a literal percent sign can start a second layer.
			if b == '%' && i+2 < len(path) && unhex(path[i+1]) >= 0 && unhex(path[i+2]) >= 0 {
				return "", false
			}
		}
		if b < ' ' || b == 0x7f || b == '\\' {
			return "", false
		}
		decoded = append(decoded, b)
	}
	// A percent sign decoded from "%25" may also meet digits that were
	// themselves encoded ("%25%32%46").
	for i := 0; i+2 < len(decoded); i++ {
		if decoded[i] == '%' && unhex(decoded[i+1]) >= 0 && unhex(decoded[i+2]) >= 0 {
			return "", false
		}
	}
	clean := make([]string, 0, 8)
	for segment := range strings.SplitSeq(string(decoded), "/") {
		switch segment {
		case "", ".":
		case "..":
			if len(clean) == 0 {
				return "", false
			}
			clean = clean[:len(clean)-1]
		default:
			clean = append(clean, segment)
		}
	}
	return "/" + strings.Join(clean, "/"), true
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
