package walk

import (
	"encoding/binary"

	"github.com/caregate/caregate/redact/detect"
)

// blockSize is how many bytes have one word of bits.
const blockSize = 64

// outlookBlocks is how many blocks are looked at at once: 4 KiB, most documents as a
// whole, and little enough to stay near the processor.
const outlookBlocks = 64

// outlook is what one look at a stretch of the document shows, a bit for each byte:
// where strings end, and where in them something may begin. So most strings are
// read, and known to hold nothing, without reading their bytes.
type outlook struct {
	from, to int // the stretch
	// stops are quotes, backslashes and control characters; also what stands behind
	// the end of the document.
	stops [outlookBlocks]uint64
	// signs has one block more, which holds nothing.
	signs [outlookBlocks + 1]detect.Signs
}

// look turns to the stretch that begins at i.
func (o *outlook) look(d *detect.Detector, raw []byte, i int) {
	o.from = i
	o.to = d.Look(raw, i, o.signs[:outlookBlocks])
	rest := raw[i:o.to]
	n := len(rest) / blockSize
	if n > 0 {
		fillStops(rest, o.stops[:n])
	}
	if n < outlookBlocks {
		var room [blockSize]byte // zeros are control characters
		copy(room[:], rest[n*blockSize:])
		fillStops(room[:], o.stops[n:n+1])
		o.signs[n+1] = detect.Signs{}
	}
}

// fillStops writes the stops of whole blocks.
func fillStops(text []byte, bits []uint64) {
	if hasStops {
		findStops(&text[0], len(bits), &bits[0])
		return
	}
	for k := range bits {
		bits[k] = stopsOf((*[blockSize]byte)(text[k*blockSize:]))
	}
}

// stopsOf is findStops for processors that have none, eight bytes at a time.
func stopsOf(text *[blockSize]byte) (stops uint64) {
	for i := 0; i < blockSize; i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		m := zeroBytes(w^'"'*ones) | zeroBytes(w^'\\'*ones) | zeroBytes(w&(0xE0*ones))
		// The high bits of eight bytes make one byte.
		stops |= m >> 7 * 0x0102040810204080 >> 56 << i
	}
	return stops
}

// zeroBytes has the high bit set in each byte of w that is zero.
func zeroBytes(w uint64) uint64 { return ^(w&(0x7f*ones) + 0x7f*ones | w | 0x7f*ones) }
