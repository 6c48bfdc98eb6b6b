package walk

import (
	"math/rand/v2"
	"testing"
)

// What the processor finds at once is what one finds byte by byte.
func TestStops(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	text := make([]byte, 3*blockSize)
	bits := make([]uint64, 3)
	for range 2000 {
		for i := range text {
			switch r.IntN(4) {
			case 0:
				text[i] = byte(r.IntN(256))
			case 1:
				text[i] = "\"\\\x00\x1f\x20\x7f\xff\xa2\xdc!#[]"[r.IntN(13)]
			default:
				text[i] = 'a'
			}
		}
		fillStops(text, bits)
		for k := range bits {
			want := uint64(0)
			for i, b := range text[k*blockSize : (k+1)*blockSize] {
				if b == '"' || b == '\\' || b < 0x20 {
					want |= 1 << i
				}
			}
			if portable := stopsOf((*[blockSize]byte)(text[k*blockSize:])); bits[k] != want || portable != want {
				t.Fatalf("%q: %x, portable %x, want %x", text[k*blockSize:(k+1)*blockSize], bits[k], portable, want)
			}
		}
	}
}
