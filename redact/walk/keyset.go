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
	keys  []key
	first int // of the innermost open object
	table []int32
	mem   [64]key
}

type key struct {
	hash uint64 // of the case-folded name
	name []byte
}

// small is up to how many names are compared one by one.
const small = 48

// keyMark restores what open replaced.
type keyMark struct {
	first int
	table []int32
}

func (s *keySet) open() keyMark {
	if s.keys == nil {
		s.keys = s.mem[:0]
	}
	m := keyMark{s.first, s.table}
	s.first, s.table = len(s.keys), nil
	return m
}

func (s *keySet) close(m keyMark) {
	s.keys = s.keys[:s.first]
	s.first, s.table = m.first, m.table
}

// add enters a name into the innermost object. same is true when it is there
// already; otherwise twin is a name that is there and differs in case only.
func (s *keySet) add(name []byte) (twin []byte, same bool) {
	h := foldHash(name)
	own := s.keys[s.first:]
	if len(own) < small {
		for i := range own {
			if own[i].hash == h {
				if bytes.Equal(own[i].name, name) {
					return nil, true
				}
				twin = folded(own[i].name, name, twin)
			}
		}
		s.keys = append(s.keys, key{h, name})
		return twin, false
	}
	if 2*len(own) >= len(s.table) {
		s.table = make([]int32, 1<<bits.Len(uint(4*len(own))))
		for i := range own {
			s.table[s.slot(own[i].hash)] = int32(i + 1)
		}
	}
	mask := uint64(len(s.table) - 1)
	for i := h & mask; s.table[i] != 0; i = (i + 1) & mask {
		if k := &own[s.table[i]-1]; k.hash == h {
			if bytes.Equal(k.name, name) {
				return nil, true
			}
			twin = folded(k.name, name, twin)
		}
	}
	s.table[s.slot(h)] = int32(len(own) + 1)
	s.keys = append(s.keys, key{h, name})
	return twin, false
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
// may share a hash; names that are equal under folding always do.
func foldHash(name []byte) uint64 {
	const k0, k1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	for _, b := range name {
		if b >= 0x80 {
			name = foldWide(name)
			break
		}
	}
	h := hashSeed ^ uint64(len(name))*k1
	for len(name) >= 8 {
		h = mix(h^(binary.LittleEndian.Uint64(name)|0x20*ones), k0)
		name = name[8:]
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
