package conversation

import (
	"container/list"
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
	// Conversations is how many are remembered, the latest ones: 10,000. Those in
	// which nothing has been said that counts are as many again, so that chatter
	// drives no digits out. Each takes 4 KiB at most, half a KiB mostly.
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
	// The latest first: those that remember something, and the others.
	order, idle *list.List
	turns       uint64
	work        working
}

// New returns a Tracker that judges with d, which may be nil when every message
// brings its own detector.
func New(d *detect.Detector, c Config) (*Tracker, error) {
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
	t.tails, t.order, t.idle = map[string]*list.Element{}, list.New(), list.New()
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
	// Detector judges this message; nil for the one of the Tracker.
	Detector *detect.Detector
	// Key is the name that a caller gives to a call so that it is carried out once
	// however often it is made, if it gives one: see Begin.
	Key string
	// Same is what a message that is sent again is known by; nil for its Text.
	Same []byte
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

// Sweep wipes and lets go of what is older at now than tails are kept, and returns
// how many conversations are left. Without it that happens when the conversation
// goes on.
func (t *Tracker) Sweep(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range [...]*list.List{t.order, t.idle} {
		for e := l.Back(); e != nil; e = l.Back() {
			if x := e.Value.(*tail); x.last.IsZero() || now.Sub(x.last) <= t.age {
				break
			}
			t.drop(e)
		}
	}
	return len(t.tails)
}

// list is where a tail stands.
func (t *Tracker) list(x *tail) *list.List {
	if x.idle {
		return t.idle
	}
	return t.order
}

// drop wipes a tail and takes it out. The caller holds the lock.
func (t *Tracker) drop(e *list.Element) {
	x := e.Value.(*tail)
	t.list(x).Remove(e)
	x.forget()
	x.before.forget()
	delete(t.tails, x.key)
}

// Len is how many conversations are remembered.
func (t *Tracker) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.tails)
}

// tail returns what is remembered of a conversation, and makes it the latest. The
// caller holds the lock.
func (t *Tracker) tail(key string, at time.Time) *tail {
	if e := t.tails[key]; e != nil {
		x := e.Value.(*tail)
		if !at.IsZero() && !x.last.IsZero() && at.Sub(x.last) > t.age {
			x.forget()
			x.before.forget()
			x.newest = newest{}
		}
		t.list(x).MoveToFront(e)
		return x
	}
	x := &tail{key: key, memory: memory{pure: true}, idle: true}
	t.tails[key] = t.idle.PushFront(x)
	t.bound(t.idle)
	return x
}

// place puts a tail among those that remember something, or among the others. The
// caller holds the lock.
func (t *Tracker) place(x *tail) {
	idle := x.n == 0 && x.before.n == 0 && x.topics == 0 && x.given == 0
	if idle == x.idle {
		return
	}
	t.list(x).Remove(t.tails[x.key])
	x.idle = idle
	t.tails[x.key] = t.list(x).PushFront(x)
	t.bound(t.list(x))
}

// bound drops the oldest of too many tails.
func (t *Tracker) bound(l *list.List) {
	for l.Len() > t.limit {
		t.drop(l.Back())
	}
}
