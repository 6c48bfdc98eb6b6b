package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
)

// Layout of SQLite's write-ahead log (https://www.sqlite.org/fileformat2.html#walformat).
const (
	walHeader      = 32
	walFrameHeader = 24
	walMagic       = 0x377f0682 // its lowest bit says that checksums are big-endian
)

// checkWAL looks at a WAL that was left behind for damage that SQLite takes for the end
// of the file: it believes frames up to the first whose checksum is wrong, which is right
// after a power failure and hides everything behind a bit that changed. A commit begins
// only when the one before it is synced, so a power failure can tear the last commit and
// nothing else. A bad frame with a whole commit and the begin of another behind it was
// good once, and what it held was acknowledged (audit invariants A2, A21).
//
// A change within the last commit cannot be told from a write that was torn.
func checkWAL(path string) error {
	at, torn, err := readWAL(path)
	if err != nil || torn {
		return err
	}
	// A log in use is written while it is read. A frame that is damaged stays so.
	again, torn, err := readWAL(path)
	if err != nil || torn || again != at {
		return err
	}
	return fmt.Errorf("%w: frame %d of %s is damaged, and commits follow it", ErrCorrupt, at, path)
}

// readWAL is scanWAL for a file. One that is missing is as good as empty.
func readWAL(path string) (at int, torn bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the WAL: %w", err)
	}
	at, torn = scanWAL(data)
	return at, torn, nil
}

// scanWAL returns the first bad frame of a WAL, counted from one, and whether nothing
// speaks against a torn write there. Frame 0 is the header.
func scanWAL(data []byte) (at int, torn bool) {
	if len(data) < walHeader {
		return 0, true
	}
	header, frames := data[:walHeader], data[walHeader:]
	var order binary.ByteOrder = binary.LittleEndian
	if header[3]&1 != 0 {
		order = binary.BigEndian
	}
	pages := int64(binary.BigEndian.Uint32(header[8:]))
	sum := sumAt(header[24:])
	if binary.BigEndian.Uint32(header)&^1 != walMagic || pages < 512 || pages > 1<<16 || pages&(pages-1) != 0 || sum != (walSum{}).add(order, header[:24]) {
		return 0, !followed(header, frames)
	}
	size := walFrameHeader + int(pages)
	n := len(frames) / size
	frame := func(i int) []byte { return frames[i*size : (i+1)*size] }
	salts := binary.BigEndian.Uint64(header[16:])
	good := 0
	for good < n && binary.BigEndian.Uint64(frame(good)[8:]) == salts && sum.frame(order, frame(good)) {
		sum = sumAt(frame(good)[16:])
		good++
	}
	committed := false
	for i := good; i < n; i++ {
		f := frame(i)
		// One bit of the salts may be what is damaged. A frame of the round before has
		// others altogether.
		if bits.OnesCount64(binary.BigEndian.Uint64(f[8:])^salts) > 1 {
			continue
		}
		if committed {
			return good + 1, false
		}
		// The mark of a commit counts when it was written in one piece with the salts.
		committed = binary.BigEndian.Uint32(f[4:]) != 0 && (walHeader+i*size+8)%walSector != 0
	}
	return good + 1, true
}

// followed says that the first frame was written after a header that is bad now was
// whole: it goes on from the header's checksum, or from what that was.
func followed(header, frames []byte) bool {
	if len(frames) < walFrameHeader+walPageSize {
		return false
	}
	first := frames[:walFrameHeader+walPageSize]
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, sum := range [...]walSum{sumAt(header[24:]), walSum{}.add(order, header[:24])} {
			if sum.frame(order, first) {
				return true
			}
		}
	}
	return false
}

const (
	// walPageSize is the page size of our databases.
	walPageSize = 4096
	// walSector is the least that a disk writes in one piece.
	walSector = 512
)

// walSum is the running checksum of a WAL.
type walSum struct{ a, b uint32 }

func sumAt(p []byte) walSum {
	return walSum{binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])}
}

func (s walSum) add(order binary.ByteOrder, p []byte) walSum {
	for ; len(p) >= 8; p = p[8:] {
		s.a += order.Uint32(p) + s.b
		s.b += order.Uint32(p[4:]) + s.a
	}
	return s
}

// frame reports whether a frame is the next one after s.
func (s walSum) frame(order binary.ByteOrder, f []byte) bool {
	return s.add(order, f[:8]).add(order, f[walFrameHeader:]) == sumAt(f[16:])
}
