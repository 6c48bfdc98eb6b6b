package conversation

import (
	"time"

	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/spoken"
)

// maxTail is how many digits a tail holds: one less than the longest card number
// has.
const maxTail = 18

// fewPieces is how many pieces a tail has room for before it takes all the room it
// may need.
const fewPieces = 4

// What a tail survives.
const (
	maxSilent   = 4  // messages without a piece in a row
	maxTopicAge = 4  // messages for which a question counts, from it or the last piece on
	maxAside    = 12 // words of a message without a piece, by the same or an unknown speaker
	maxBeside   = 12 // words beside a piece, where a card is spoken of

	maxBesideOne = 3 // words beside a piece of one digit

	maxGiven = 3 // messages behind a card in which its date and code may stand
)

// memory is what is remembered of the messages of a conversation. It never grows
// beyond the arrays.
type memory struct {
	digits [maxTail]byte
	n      int
	pieces []piece // at most one for each digit
	pure   bool    // no message of a piece has other words

	topics   detect.Topic
	topicAge int // messages since it was spoken of

	speaker uint64 // of the pieces, 0 for unknown
	silent  int    // messages since the last piece

	given int // messages for which a card that was given still counts
}

// tail is one conversation.
type tail struct {
	key string
	memory
	count int // messages of the conversation so far
	last  time.Time
	idle  bool // nothing is remembered; see Tracker.idle

	// before is what was remembered before the newest message, as long as it is not
	// known what became of that one, or as it may come again.
	before memory
	newest newest
}

// newest is the last message of a conversation.
type newest struct {
	turn  uint64
	text  uint64 // hash of what was said and who said it
	name  uint64 // hash of Message.Key, 0 without one
	again bool   // the same text is the same message
}

// piece is one group of digits of an earlier message.
type piece struct {
	message    Ref
	start, end int32
	digits     int32
}

// clear wipes the digits. What the conversation speaks of stays.
func (m *memory) clear() {
	clear(m.digits[:])
	clear(m.pieces)
	m.n, m.pieces, m.silent, m.speaker, m.pure = 0, m.pieces[:0], 0, 0, true
}

// forget wipes everything.
func (m *memory) forget() {
	m.clear()
	m.topics, m.topicAge, m.given = 0, 0, 0
}

// set makes m what from is, in its own memory.
func (m *memory) set(from *memory) {
	pieces := append(m.pieces[:0], from.pieces...)
	clear(pieces[len(pieces):cap(pieces)])
	*m = *from
	m.pieces = pieces
}

// push remembers the groups of a message and lets go of the oldest pieces that no
// longer fit.
func (m *memory) push(ref Ref, o *spoken.Outline, pure bool) {
	if m.n == 0 {
		m.pure = true
	}
	for _, g := range o.Groups {
		size := g.To - g.From
		drop, gone := 0, 0
		for m.n-gone+size > maxTail {
			gone += int(m.pieces[drop].digits)
			drop++
		}
		copy(m.digits[:], m.digits[gone:m.n])
		m.n -= gone
		m.pieces = m.pieces[:copy(m.pieces, m.pieces[drop:])]
		copy(m.digits[m.n:], o.Digits[g.From:g.To])
		m.n += size
		if len(m.pieces) == fewPieces && cap(m.pieces) < maxTail { // most numbers have no more
			m.pieces = append(make([]piece, 0, maxTail), m.pieces...)
		}
		m.pieces = append(m.pieces, piece{message: ref, start: int32(g.Start), end: int32(g.End), digits: int32(size)})
	}
	clear(m.digits[m.n:])
	m.pure = m.pure && pure
	m.silent, m.topicAge = 0, 0 // pieces go on with what was spoken of
}
