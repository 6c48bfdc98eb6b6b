package audit

import "sync"

// leafBuffers recycles the buffers that leaves are encoded into. It holds no
// state, only memory.
var leafBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// encode turns an event into the bytes of its leaf or leaves, all but the
// sequence number and previous hash, in the caller's goroutine. The error is
// ErrEvent.
func (c *core) encode(e *Event) (entry, error) {
	parts, err := normalDetails(e.Details)
	if err != nil {
		return entry{}, err
	}
	if len(e.Subjects)+len(e.Records) > MaxRefs {
		return entry{}, eventError("refs", "are too many")
	}
	if len(e.Tokens) > MaxRefs {
		return entry{}, eventError("tok", "has too many items")
	}
	l := Leaf{
		Event: *e,
		Node:  c.node,
		Epoch: c.epoch,
		Wall:  c.clock.wallMS(),
		Mono:  int64(c.clock.mono()),
		Boot:  c.clock.boot,
		Clock: c.clock.state(),
	}
	l.Flood = ""
	l.Roles = normalList(e.Roles)
	tokens := normalList(e.Tokens)
	l.Tokens = tokens[:min(len(tokens), tokensPerLeaf)]
	tokens = tokens[len(l.Tokens):]
	l.Released = normalCounts(e.Released)
	for _, p := range parts {
		l.Digests = append(l.Digests, digestOf(p))
	}
	subs, recs := normalRefs(e.Subjects), normalRefs(e.Records)
	l.Subjects, l.Records = splitRefs(subs, recs)
	subs, recs = subs[len(l.Subjects):], recs[len(l.Records):]

	var chunks []Leaf
	for len(subs)+len(recs)+len(tokens) > 0 {
		// A continuation repeats who did what, so that each exposure can be read
		// from one leaf, and leaves out what must count once.
		next := l
		next.ID, next.Of, next.Cont = NewID(), l.ID, len(chunks)+1
		next.Digests, next.Released, next.Attrs, next.Input = nil, nil, nil, ""
		next.Tokens = tokens[:min(len(tokens), tokensPerLeaf)]
		tokens = tokens[len(next.Tokens):]
		next.Subjects, next.Records = splitRefs(subs, recs)
		subs, recs = subs[len(next.Subjects):], recs[len(next.Records):]
		chunks = append(chunks, next)
	}
	l.More = len(chunks)

	out := entry{id: l.ID, parts: parts, bytes: detailsSize(parts)}
	if out.leaf, err = encodeLeaf(&l); err != nil {
		return entry{}, err
	}
	out.bytes += int64(len(*out.leaf.buf))
	for i := range chunks {
		enc, err := encodeLeaf(&chunks[i])
		if err != nil {
			out.free()
			return entry{}, err
		}
		out.more = append(out.more, enc)
		out.bytes += int64(len(*enc.buf))
	}
	return out, nil
}

// encodeLeaf checks and encodes one leaf with Seq and Prev still zero. A leaf
// that would not fit once they are filled in is refused.
func encodeLeaf(l *Leaf) (encoded, error) {
	if err := l.check(); err != nil {
		return encoded{}, err
	}
	buf := leafBuffers.Get().(*[]byte)
	var e encoded
	*buf, e.nseqAt, e.prevAt = appendLeaf((*buf)[:0], l)
	e.buf = buf
	const digits = 18 // of the largest sequence number
	if len(*buf)+digits > MaxLeaf {
		leafBuffers.Put(buf)
		return encoded{}, eventError("leaf", "is longer than 16 KiB")
	}
	e.digests, e.view = l.Digests, project(l)
	return e, nil
}

func (e *entry) free() {
	leafBuffers.Put(e.leaf.buf)
	for _, m := range e.more {
		leafBuffers.Put(m.buf)
	}
}
