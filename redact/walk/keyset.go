package walk

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unicode"
	"unicode/utf8"
)

// hashSeed makes the hash of names unpredictable, so that nobody can send an
// object whose names all collide.
var hashSeed = rand.Uint64()

// keySet knows the names of all open objects, to find duplicates. The names of
// one object lie together at the end of the list; large objects have a table
// besides.
type keySet struct {
	hashes  []uint64 // of the case-folded names, apart from them: they are what is searched
	names   []ref
	first   int // of the innermost open object
	table   []int32
	seen    [4]uint64 // a filter over the hashes of the innermost object
	hashMem [64]uint64
	nameMem [64]ref
}

// small is up to how many names are compared one by one.
const small = 48

// keyMark restores what open replaced.
type keyMark struct {
	first int
	table []int32
	seen  [4]uint64
}

func (s *keySet) open() keyMark {
	if s.hashes == nil {
		s.hashes, s.names = s.hashMem[:0], s.nameMem[:0]
	}
	m := keyMark{s.first, s.table, s.seen}
	s.first, s.table, s.seen = len(s.hashes), nil, [4]uint64{}
	return m
}

func (s *keySet) close(m keyMark) {
	s.hashes = s.hashes[:s.first]
	s.names = s.names[:s.first]
	s.first, s.table, s.seen = m.first, m.table, m.seen
}

// fresh enters a name of hash h into the innermost object when the filter tells
// that nothing like it is there, which is the usual case, and reports whether it did.
func (s *keySet) fresh(h uint64, at ref) bool {
	word, bit := &s.seen[h>>62], uint64(1)<<(h>>56&63)
	if *word&bit != 0 || len(s.hashes)-s.first >= small {
		return false
	}
	*word |= bit
	s.push(h, at)
	return true
}

// add enters a name into the innermost object. same is true when it is there
// already; otherwise twin is a name that is there and differs in case only.
//
// h is its foldHash. It is for names that are not fresh.
func (s *keySet) add(r *reader, at ref, h uint64) (twin []byte, same bool) {
	name := r.bytes(at)
	own, names := s.hashes[s.first:], s.names[s.first:]
	if len(own) < small {
		for i, old := range own {
			if old == h {
				other := r.bytes(names[i])
				if bytes.Equal(other, name) {
					return nil, true
				}
				twin = folded(other, name, twin)
			}
		}
		s.push(h, at)
		return twin, false
	}
	if 2*len(own) >= len(s.table) {
		s.table = make([]int32, 1<<bits.Len(uint(4*len(own))))
		for i, old := range own {
			s.table[s.slot(old)] = int32(i + 1)
		}
	}
	mask := uint64(len(s.table) - 1)
	for i := h & mask; s.table[i] != 0; i = (i + 1) & mask {
		if n := s.table[i] - 1; own[n] == h {
			other := r.bytes(names[n])
			if bytes.Equal(other, name) {
				return nil, true
			}
			twin = folded(other, name, twin)
		}
	}
	s.table[s.slot(h)] = int32(len(own) + 1)
	s.push(h, at)
	return twin, false
}

// push enters a name that is new. One statement for each list: then only lengths
// are written.
func (s *keySet) push(h uint64, at ref) {
	s.hashes = append(s.hashes, h)
	s.names = append(s.names, at)
}

// folded returns old when it equals name but for its case, and otherwise twin.
func folded(old, name, twin []byte) []byte {
	if bytes.EqualFold(old, name) {
		return old
	}
	return twin
}

// slot returns the first free slot for a hash.
func (s *keySet) slot(h uint64) uint64 {
	mask := uint64(len(s.table) - 1)
	i := h & mask
	for s.table[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

// foldHash hashes a name without regard to case. Names that differ in other ways
// may share a hash; names that are equal under folding always do. wide says that
// the name has bytes outside ASCII.
func foldHash(name []byte, wide bool) uint64 {
	const k0, k1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	if wide {
		name = foldWide(name)
	}
	h := hashSeed ^ uint64(len(name))*k1
	if n := len(name); n >= 8 {
		for i := 0; i+8 < n; i += 8 {
			h = mix(h^(binary.LittleEndian.Uint64(name[i:])|0x20*ones), k0)
		}
		return mix(h^(binary.LittleEndian.Uint64(name[n-8:])|0x20*ones), k1)
	}
	if n := len(name); cap(name) >= 8 {
		// What stands behind the name is masked away.
		w := binary.LittleEndian.Uint64(name[:8]) | 0x20*ones
		return mix(h^w&(1<<(8*n)-1), k1)
	}
	var w uint64
	for i, b := range name {
		w |= uint64(b|0x20) << (8 * i)
	}
	return mix(h^w, k1)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b|1)
	return hi ^ lo ^ hashSeed
}

// foldWide folds a name outside ASCII: the long s and the Kelvin sign fold into
// ASCII letters for parsers that fold at all.
func foldWide(name []byte) []byte {
	out := make([]byte, 0, len(name))
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		low := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			low = min(low, f)
		}
		out = utf8.AppendRune(out, unicode.ToLower(low))
		i += size
	}
	return out
}
