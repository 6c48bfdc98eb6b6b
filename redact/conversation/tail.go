package conversation

import (
	"time"

	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/spoken"
)

// maxTail is how many digits a tail holds: one less than the longest card number
// has.
const maxTail = 18

// What a tail survives.
const (
	maxSilent   = 4  // messages without a piece in a row
	maxTopicAge = 4  // messages for which a question counts
	maxAside    = 12 // words of a message without a piece, by the same or an unknown speaker
	maxBeside   = 12 // words beside a piece, where a card is spoken of
)

// tail is what is remembered of one conversation. It never grows beyond the
// arrays.
type tail struct {
	key string

	digits [maxTail]byte
	n      int
	pieces []piece // at most one for each digit
	pure   bool    // no message of a piece has other words

	topics   detect.Topic
	topicAge int // messages since it was spoken of

	speaker uint64 // of the pieces, 0 for unknown
	silent  int    // messages since the last piece
	count   int    // messages of the conversation so far
	last    time.Time
}

// piece is one group of digits of an earlier message.
type piece struct {
	message    Ref
	start, end int
	digits     int
	spoken     bool
}

// clear wipes the digits. What the conversation speaks of stays.
func (t *tail) clear() {
	clear(t.digits[:])
	clear(t.pieces)
	t.n, t.pieces, t.silent, t.speaker, t.pure = 0, t.pieces[:0], 0, 0, true
}

// push remembers the groups of a message and lets go of the oldest pieces that no
// longer fit.
func (t *tail) push(ref Ref, o *spoken.Outline, pure bool) {
	if t.n == 0 {
		t.pure = true
	}
	for _, g := range o.Groups {
		size := g.To - g.From
		drop, gone := 0, 0
		for t.n-gone+size > maxTail {
			gone += t.pieces[drop].digits
			drop++
		}
		copy(t.digits[:], t.digits[gone:t.n])
		t.n -= gone
		t.pieces = t.pieces[:copy(t.pieces, t.pieces[drop:])]
		copy(t.digits[t.n:], o.Digits[g.From:g.To])
		t.n += size
		t.pieces = append(t.pieces, piece{message: ref, start: g.Start, end: g.End, digits: size, spoken: g.Spoken})
	}
	clear(t.digits[t.n:])
	t.pure = t.pure && pure
	t.silent = 0
}
