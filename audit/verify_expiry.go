package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/caregate/caregate/internal/store"
)

// expiries is what a verification knows of details that are not there: which are
// missing, and which the log says have expired.
type expiries struct {
	told    map[expiryKey][]span
	missing map[expiryKey][]span
	open    map[expiryKey]bool // the last such part was missing
}

// expiryKey is what one expiry is about.
type expiryKey struct{ shard, class, part string }

// span is a range of entries, to excluded.
type span struct{ from, to int64 }

// maxSpans bounds what is remembered of a log that nobody wrote in good faith.
const maxSpans = 1 << 16

// note takes whether a part of an entry is there. Entries that have no such part do not
// end a span of missing ones; one whose part is there does. It reports false when there
// are too many spans to remember.
func (x *expiries) note(k expiryKey, idx int64, there bool) bool {
	if x.missing == nil {
		x.missing, x.open = map[expiryKey][]span{}, map[expiryKey]bool{}
	}
	if there {
		x.open[k] = false
		return true
	}
	list := x.missing[k]
	if n := len(list); x.open[k] {
		list[n-1].to = idx + 1
		return true
	}
	if len(list) >= maxSpans || len(x.missing) >= maxNames {
		return false
	}
	x.missing[k], x.open[k] = append(list, span{idx, idx + 1}), true
	return true
}

// tell takes a detail.expired leaf.
func (x *expiries) tell(k expiryKey, s span) {
	if x.told == nil {
		x.told = map[expiryKey][]span{}
	}
	list := x.told[k]
	// Ranges follow one another, so that they join; a repeated one lies within.
	if n := len(list); n > 0 && s.from <= list[n-1].to && s.from >= list[n-1].from {
		list[n-1].to = max(list[n-1].to, s.to)
		return
	}
	if len(list) < maxSpans {
		x.told[k] = append(list, s)
	}
}

// settle joins what was told. It is called before covered.
func (x *expiries) settle() {
	for k, list := range x.told {
		slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
		joined := list[:1]
		for _, s := range list[1:] {
			if last := &joined[len(joined)-1]; s.from <= last.to {
				last.to = max(last.to, s.to)
				continue
			}
			joined = append(joined, s)
		}
		x.told[k] = joined
	}
}

// covered reports whether a span lies within what was told.
func (x *expiries) covered(k expiryKey, s span) bool {
	list := x.told[k]
	n, found := slices.BinarySearchFunc(list, s.from, func(t span, from int64) int { return cmp.Compare(t.from, from) })
	if !found {
		n-- // the last that begins before
	}
	return n >= 0 && s.to <= list[n].to
}

// sameParts holds the sealed parts of an entry against its leaf. A part that is not
// there is noted: a later leaf may say why.
func (v *verifier) sameParts(have []detailRow, idx int64, l *Leaf) bool {
	same := 0
	for _, d := range l.Digests {
		at := slices.IndexFunc(have, func(r detailRow) bool { return r.Part == d.Part })
		if at >= 0 && digestOf(have[at].Sealed) != d {
			return false
		}
		if !v.expiries.note(expiryKey{v.shard, l.Retention, partKind(d.Part)}, idx, at >= 0) {
			return false
		}
		if at >= 0 {
			same++
		}
	}
	return same == len(have)
}

// expiredRange reads what a detail.expired leaf is about.
func expiredRange(l *Leaf) (k expiryKey, s span, err error) {
	k = expiryKey{l.Attrs[attrShard], l.Attrs[attrClass], l.Attrs[attrPart]}
	var errTo error
	s.from, err = strconv.ParseInt(l.Attrs[attrFrom], 10, 64)
	s.to, errTo = strconv.ParseInt(l.Attrs[attrTo], 10, 64)
	if err = errors.Join(err, errTo); err == nil && (s.from < 0 || s.to < s.from || !validShard(k.shard)) {
		err = errors.New("not a range of entries")
	}
	return k, s, err
}

// isBefore reports whether a range of entries lies before entry idx of this shard.
func (v *verifier) isBefore(idx int64, shard string, s span) bool {
	return shard < v.shard || shard == v.shard && s.to <= idx
}

// tellLost takes the details that a repair could not read any more.
func (v *verifier) tellLost(place string, idx int64, g *Gap) {
	for _, d := range g.Details {
		s := span{d.From, d.To}
		if !v.isBefore(idx, d.Shard, s) {
			v.problem("detail", place, "names no range of entries before it")
			return
		}
		v.expiries.tell(d.key(), s)
	}
}

// checkExpired holds a detail.expired leaf against the entries that it is about, which
// come before it.
func (v *verifier) checkExpired(ctx context.Context, idx int64, l *Leaf) {
	place := v.place("entry " + strconv.FormatInt(idx, 10))
	k, s, err := expiredRange(l)
	if err != nil || !v.isBefore(idx, k.shard, s) {
		v.problem("detail", place, "names no range of entries before it")
		return
	}
	e, shard, from, to := Expiry{Class: k.class, Part: k.part}, k.shard, s.from, s.to
	v.expiries.tell(k, s)
	if v.details == nil {
		return // without the details nothing rests on it
	}
	h, count := sha256.New(), int64(0)
	src := dirFiles(filepath.Join(v.dir, treeDir, shard))
	for n := from / tileWidth; n*tileWidth < to; n++ {
		if ctx.Err() != nil {
			return
		}
		w := int(min(tileWidth, to-n*tileWidth))
		at := verifier{src: src}
		data, err := at.readAtLeast(ctx, levelEntries, n, w)
		if err != nil {
			v.failedRead(ctx, "entries", tileName(levelEntries, n, w))
			return
		}
		entries, err := parseBundle(data, -1)
		if err != nil || len(entries) < w {
			return // told when they were read
		}
		for i, entry := range entries[:w] {
			if idx := n*tileWidth + int64(i); idx >= from {
				if leaf, err := ParseLeaf(entry); err == nil {
					count += e.digest(h, idx, &leaf)
				}
			}
		}
	}
	if l.Attrs[attrCount] != strconv.FormatInt(count, 10) || l.Attrs[attrDigest] != hex.EncodeToString(h.Sum(nil)) {
		v.problem("detail", place, "does not tell of the details that its range had")
	}
}

// checkMissing demands that the log says of each detail that is not there why. It is
// called when all entries were read. An expiry that is under way, or was interrupted,
// has deleted what its leaf does not tell of yet.
func (v *verifier) checkMissing(ctx context.Context) {
	v.expiries.settle()
	for k, list := range v.expiries.missing {
		underWay := int64(-1)
		for _, s := range list {
			if v.expiries.covered(k, s) {
				continue
			}
			if underWay < 0 {
				underWay = v.expiryUnderWay(ctx, k)
			}
			if s.to <= underWay {
				v.unchecked("details of entries that expired are deleted, and the log does not say so yet; a running gateway does within seconds, else start it")
				continue
			}
			what := fmt.Sprintf("entry %d", s.from)
			if s.to > s.from+1 {
				what = fmt.Sprintf("entries %d to %d", s.from, s.to-1)
			}
			if v.many {
				what = k.shard + "/" + what
			}
			v.problem("detail", what, "lacks sealed parts that its leaf says, and no leaf says that they expired")
		}
	}
}

// expiryUnderWay is up to where an expiry has deleted.
func (v *verifier) expiryUnderWay(ctx context.Context, k expiryKey) int64 {
	_, gone, err := readExpiry(ctx, v.details, k.shard, &Expiry{Class: k.class, Part: k.part})
	if err != nil && !errors.Is(err, store.ErrMissing) {
		// A detail store from before there was any expiry has no such table.
		return 0
	}
	return gone
}
