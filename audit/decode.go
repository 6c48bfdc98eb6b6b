package audit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// LeafError says why bytes are not a leaf of version 1. It never holds content.
type LeafError struct {
	// Reason is one of: leaf_syntax, leaf_size, leaf_unknown_key, leaf_order,
	// leaf_version, leaf_missing, leaf_value, leaf_not_canonical.
	Reason string
	// Offset is where in the bytes, in bytes from the start.
	Offset int
}

// Error names the reason and the offset.
func (e *LeafError) Error() string {
	return fmt.Sprintf("leaf refused: %s at byte %d", e.Reason, e.Offset)
}

// ParseLeaf reads one entry of the tree. It accepts exactly the bytes that the
// log's encoder writes: for every input either ParseLeaf fails, or encoding the
// result gives the input back.
func ParseLeaf(data []byte) (Leaf, error) {
	var l Leaf
	if len(data) > MaxLeaf {
		return Leaf{}, &LeafError{Reason: "leaf_size", Offset: len(data)}
	}
	r := leafReader{data: data}
	version := int64(0)
	r.object(func(key string) bool {
		switch key {
		case "act":
			r.hex(l.Actor[:])
		case "attrs":
			l.Attrs = map[string]string{}
			r.object(func(name string) bool {
				l.Attrs[name] = r.str()
				return true
			})
		case "boot":
			l.Boot = r.str()
		case "chan":
			l.Channel = r.str()
		case "class":
			l.Class = int(r.num())
		case "clk":
			l.Clock = r.str()
		case "cont":
			l.Cont = int(r.num())
		case "decision":
			l.Decision = r.str()
		case "det":
			r.array(func() { l.Digests = append(l.Digests, r.digest()) })
		case "effect":
			l.Effect = r.str()
		case "eid":
			r.hex(l.ID[:])
		case "epoch":
			l.Epoch = r.num()
		case "fwd":
			l.Forwarded = r.num() == 1
		case "idk":
			l.Identity = r.str()
		case "input":
			l.Input = r.str()
		case "mail":
			r.hex(l.Mail[:])
		case "mfa":
			l.MFA = r.num() == 1
		case "mono":
			l.Mono = r.num()
		case "more":
			l.More = int(r.num())
		case "node":
			l.Node = r.str()
		case "nseq":
			l.Seq = r.num()
		case "of":
			r.hex(l.Of[:])
		case "op":
			l.Operation = r.str()
		case "org":
			l.Network = r.str()
		case "out":
			l.Outcome = r.str()
		case "policy":
			l.Policy = r.str()
		case "prev":
			r.hex(l.Prev[:])
		case "purpose":
			l.Purpose = r.str()
		case "reason":
			l.Reason = r.str()
		case "recs":
			l.Records = r.refs()
		case "rel":
			r.object(func(class string) bool {
				l.Released = append(l.Released, r.count(class))
				return true
			})
		case "ret":
			l.Retention = r.str()
		case "roles":
			r.array(func() { l.Roles = append(l.Roles, r.str()) })
		case "route":
			l.Route = r.str()
		case "scope":
			l.Scope = r.str()
		case "status":
			l.Status = int(r.num())
		case "subs":
			l.Subjects = r.refs()
		case "tenant":
			l.Tenant = r.str()
		case "tok":
			r.array(func() { l.Tokens = append(l.Tokens, r.str()) })
		case "type":
			l.Type = r.str()
		case "v":
			version = r.num()
		case "wall":
			l.Wall = r.num()
		case "xid":
			r.hex(l.Exchange[:])
		default:
			return false
		}
		return true
	})
	if r.err == nil && r.at != len(data) {
		r.fail("leaf_syntax")
	}
	if r.err != nil {
		return Leaf{}, r.err
	}
	if version != leafVersion {
		return Leaf{}, &LeafError{Reason: "leaf_version"}
	}
	if l.Node == "" || l.Epoch == 0 || l.Seq == 0 || l.ID.IsZero() {
		return Leaf{}, &LeafError{Reason: "leaf_missing"}
	}
	if err := l.check(); err != nil {
		return Leaf{}, &LeafError{Reason: "leaf_value"}
	}
	// What the reader let pass in another spelling (a zero written out, an empty
	// list) shows here. One canonical form is what makes a leaf hash mean one event.
	buf := leafBuffers.Get().(*[]byte)
	defer leafBuffers.Put(buf)
	again, _, _ := appendLeaf((*buf)[:0], &l)
	*buf = again
	if !bytes.Equal(again, data) {
		return Leaf{}, &LeafError{Reason: "leaf_not_canonical", Offset: firstDifference(again, data)}
	}
	return l, nil
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// leafReader is a cursor over one leaf. The first error sticks and every later
// call returns zero, so that the callers read without checking each step.
type leafReader struct {
	data []byte
	at   int
	err  error
}

func (r *leafReader) fail(reason string) {
	if r.err == nil {
		r.err = &LeafError{Reason: reason, Offset: r.at}
	}
}

func (r *leafReader) peek() byte {
	if r.err != nil || r.at >= len(r.data) {
		return 0
	}
	return r.data[r.at]
}

func (r *leafReader) expect(c byte) {
	if r.err == nil && (r.at >= len(r.data) || r.data[r.at] != c) {
		r.fail("leaf_syntax")
	}
	r.at++
}

// object reads members in strictly ascending key order; member reads the value
// and says whether it knows the key. Depth is bounded by the callers: no value is
// read generically.
func (r *leafReader) object(member func(key string) bool) {
	r.expect('{')
	if r.peek() == '}' {
		r.at++
		return
	}
	last, first := "", true
	for r.err == nil {
		key := r.str()
		if !first && key <= last {
			r.fail("leaf_order")
		}
		last, first = key, false
		r.expect(':')
		if r.err == nil && !member(key) {
			r.fail("leaf_unknown_key")
		}
		if r.peek() != ',' {
			r.expect('}')
			return
		}
		r.at++
	}
}

func (r *leafReader) array(item func()) {
	r.expect('[')
	if r.peek() == ']' {
		r.at++
		return
	}
	for r.err == nil {
		item()
		if r.peek() != ',' {
			r.expect(']')
			return
		}
		r.at++
	}
}

func (r *leafReader) str() string {
	r.expect('"')
	if r.err != nil {
		return ""
	}
	rest := r.data[r.at:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		r.fail("leaf_syntax")
		return ""
	}
	if bytes.IndexByte(rest[:end], '\\') < 0 {
		r.at += end + 1
		return string(rest[:end])
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '"':
			r.at += i + 1
			return b.String()
		case '\\':
			i++
			if i == len(rest) {
				r.fail("leaf_syntax")
				return ""
			}
			switch rest[i] {
			case '"', '\\':
				b.WriteByte(rest[i])
			case 'n':
				b.WriteByte('\n')
			default:
				r.fail("leaf_syntax")
				return ""
			}
		default:
			b.WriteByte(c)
		}
	}
	r.fail("leaf_syntax")
	return ""
}

// num reads a non-negative integer of at most 18 digits, which int64 holds. A
// leading zero is found by the comparison with the canonical form.
func (r *leafReader) num() int64 {
	n, start := int64(0), r.at
	for r.err == nil {
		c := r.peek()
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
		r.at++
		if r.at-start > 18 {
			r.fail("leaf_value")
		}
	}
	if r.at == start {
		r.fail("leaf_syntax")
	}
	if r.err != nil {
		return 0
	}
	return n
}

func (r *leafReader) hex(dst []byte) {
	r.expect('"')
	if r.err != nil {
		return
	}
	n := hex.EncodedLen(len(dst))
	if len(r.data)-r.at < n {
		r.fail("leaf_syntax")
		return
	}
	if _, err := hex.Decode(dst, r.data[r.at:r.at+n]); err != nil {
		r.fail("leaf_value")
		return
	}
	r.at += n
	r.expect('"')
}

func (r *leafReader) digest() (d DetailDigest) {
	r.object(func(key string) bool {
		switch key {
		case "com":
			r.hex(d.Com[:])
		case "part":
			d.Part = r.str()
		case "sum":
			r.hex(d.Sum[:])
		default:
			return false
		}
		return true
	})
	return d
}

func (r *leafReader) count(class string) Count {
	c := Count{Class: class}
	r.object(func(key string) bool {
		switch key {
		case "clear":
			c.Clear = int(r.num())
		case "dropped":
			c.Dropped = int(r.num())
		case "masked":
			c.Masked = int(r.num())
		case "tokenized":
			c.Tokenized = int(r.num())
		case "unread":
			c.NotInspected = int(r.num())
		default:
			return false
		}
		return true
	})
	return c
}

func (r *leafReader) refs() (refs []Ref) {
	r.array(func() {
		var classes []string
		r.object(func(key string) bool {
			switch key {
			case "c":
				r.array(func() { classes = append(classes, r.str()) })
			case "s":
				r.array(func() {
					ref := Ref{Classes: classes}
					r.hex(ref.ID[:])
					refs = append(refs, ref)
				})
			default:
				return false
			}
			return true
		})
	})
	return refs
}
