package conversation

import (
	"hash/maphash"
)

// Outcome is what became of a message.
type Outcome uint8

const (
	// Said means that it was delivered.
	Said Outcome = iota
	// Unsaid means that it was not.
	Unsaid
	// Unknown means that nobody can tell. If the same text comes next, it is the same
	// message again.
	Unknown
)

// Turn is a message whose outcome is not known yet. It holds nothing of the text.
type Turn struct {
	conversation string
	n            uint64
}

// Begin is Add for a message of which it turns out later, with End, whether it was
// delivered. Until then it counts as delivered for the messages that come after it.
//
// A message that is sent again is the same message, and completes what it completed
// the first time: where the outcome of the first attempt is Unknown, and where both
// have the same Key. It is told by its text and speaker, and as long as no other
// message of its conversation has come between. The same text in any other case is
// another message, because four equal digits may well follow four equal digits.
func (t *Tracker) Begin(m Message) ([]Found, Turn) {
	if m.Conversation == "" || len(m.Conversation) > maxKey {
		return nil, Turn{}
	}
	if len(m.ID) > maxKey {
		m.ID = ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.work.detector = m.Detector; m.Detector == nil {
		t.work.detector = t.detector
	}
	if t.work.detector == nil {
		return nil, Turn{}
	}
	x := t.tail(m.Conversation, m.At)
	next := newest{text: t.hash(&m)}
	if m.Key != "" {
		next.name = maphash.String(t.seed, m.Key)
	}
	if x.newest.again && x.newest.text == next.text && x.newest.name == next.name {
		x.set(&x.before)
	} else {
		x.before.set(&x.memory)
	}
	t.turns++
	next.turn = t.turns
	x.newest = next
	found := t.add(x, &m)
	t.place(x)
	return found, Turn{x.key, next.turn}
}

// hash tells messages of one conversation apart.
func (t *Tracker) hash(m *Message) uint64 {
	same := m.Same
	if same == nil {
		same = m.Text
	}
	return maphash.Bytes(t.seed, same) ^ maphash.String(t.seed, m.Speaker)
}

// End says what became of the message of a turn. Only the newest message of a
// conversation can be taken back; where another one came after it, and for the
// zero Turn, End does nothing.
func (t *Tracker) End(turn Turn, o Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.tails[turn.conversation]
	if e == nil {
		return
	}
	x := e.Value.(*tail)
	if x.newest.turn != turn.n {
		return
	}
	switch {
	case o == Unsaid:
		x.set(&x.before)
		x.before.forget()
		x.newest = newest{}
	case o == Unknown || x.newest.name != 0:
		x.newest.again = true
	default:
		x.before.forget()
		x.newest = newest{}
	}
	t.place(x)
}
