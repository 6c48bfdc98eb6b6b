package conversation

import (
	"container/list"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/spoken"
)

// Config sets up a Tracker. Zero fields take the defaults.
type Config struct {
	// Age is how long a tail is kept after the last message: ten minutes.
	Age time.Duration
	// Conversations is how many are remembered, the latest ones: 10,000. Each takes
	// about 2 KiB at most.
	Conversations int
}

// Tracker finds values that are spread over the messages of a conversation. It is
// safe for concurrent use; messages of one conversation should be added in their
// order, one after the other.
type Tracker struct {
	detector *detect.Detector
	reader   *spoken.Reader
	age      time.Duration
	limit    int
	seed     maphash.Seed

	mu    sync.Mutex
	tails map[string]*list.Element // of *tail
	order *list.List               // the latest first
	work  working
}

// New returns a Tracker that judges with d.
func New(d *detect.Detector, c Config) (*Tracker, error) {
	if d == nil {
		return nil, errors.New("a conversation tracker needs a detector")
	}
	r, err := spoken.Default()
	if err != nil {
		return nil, err
	}
	if c.Age <= 0 {
		c.Age = 10 * time.Minute
	}
	if c.Conversations <= 0 {
		c.Conversations = 10_000
	}
	t := &Tracker{detector: d, reader: r, age: c.Age, limit: c.Conversations, seed: maphash.MakeSeed()}
	t.forget()
	return t, nil
}

// forget makes t empty, without wiping.
func (t *Tracker) forget() {
	t.tails, t.order = map[string]*list.Element{}, list.New()
}

// maxKey is the longest key and name that is kept, in bytes.
const maxKey = 256

// Ref names a message.
type Ref struct {
	// Index counts the messages of the conversation from 0, as far as the Tracker
	// remembers it.
	Index int
	// ID is what the caller calls the message; empty when it has no name.
	ID string
}

// Message is one message of a conversation.
type Message struct {
	// Conversation is what messages of one conversation have in common, and no other
	// conversation has. At most 256 bytes; a message with a longer one is not
	// remembered.
	Conversation string
	// ID is the name of the message, if it has one; longer ones than 256 bytes are
	// left out.
	ID string
	// Speaker tells the sides apart. When it is empty, a name with a colon at the
	// begin of the text does.
	Speaker string
	// At is when it was said; the zero time never expires anything.
	At time.Time
	// Text is the plain text. It is not kept.
	Text []byte
	// Found are the findings of Text by itself.
	Found []redact.Finding
}

// Piece is a part of a value in one message.
type Piece struct {
	Message Ref
	// Start and End are bytes of the message's text.
	Start, End int
	// Earlier is true for messages before the one at hand.
	Earlier bool
}

// Found is one value. The last piece stands in the message at hand; there is only
// that one when it was the conversation before that says what the digits are.
type Found struct {
	Class      redact.Class
	Confidence float64
	Rule       string
	Evidence   redact.Evidence
	Pieces     []Piece
}

// Forget lets go of a conversation.
func (t *Tracker) Forget(conversation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.tails[conversation]; e != nil {
		t.drop(e)
	}
}

// drop wipes a tail and takes it out. The caller holds the lock.
func (t *Tracker) drop(e *list.Element) {
	x := t.order.Remove(e).(*tail)
	x.clear()
	delete(t.tails, x.key)
}

// Len is how many conversations are remembered.
func (t *Tracker) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order.Len()
}

// tail returns what is remembered of a conversation, and makes it the latest. The
// caller holds the lock.
func (t *Tracker) tail(key string, at time.Time) *tail {
	e := t.tails[key]
	if e != nil {
		x := e.Value.(*tail)
		if !at.IsZero() && !x.last.IsZero() && at.Sub(x.last) > t.age {
			x.clear()
			x.topics = 0
		}
		t.order.MoveToFront(e)
		return x
	}
	for t.order.Len() >= t.limit {
		t.drop(t.order.Back())
	}
	x := &tail{key: key, pure: true}
	t.tails[key] = t.order.PushFront(x)
	return x
}
