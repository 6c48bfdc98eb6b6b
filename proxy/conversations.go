package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/caregate/caregate/redact/conversation"
)

// Bounds of what is remembered of conversations, in all of a process. Ten minutes
// are long for somebody who types a number in pieces; 16,384 conversations with
// digits in them in ten minutes are 27 new ones a second, and take 64 MiB at the
// very most.
const (
	conversationAge    = 10 * time.Minute
	conversationLimit  = 16_384
	conversationShards = 16
	conversationSweep  = time.Minute
)

// conversations remembers, for numbers that are typed in pieces over several calls,
// the digits of the last messages of each conversation. They are card data: they
// are in the memory of this process only, and overwritten when they are too old. They
// belong to the data directory, so that they outlive a reload; another gateway on
// the same channel knows nothing of them. It is safe for concurrent use.
type conversations struct {
	key      [sha256.Size]byte // drawn at the start, so that a dump of names says nothing
	trackers [conversationShards]*conversation.Tracker
}

func newConversations() (*conversations, error) {
	c := new(conversations)
	_, _ = rand.Read(c.key[:]) // ends the process rather than fail
	for i := range c.trackers {
		t, err := conversation.New(nil, conversation.Config{Age: conversationAge, Conversations: conversationLimit / conversationShards})
		if err != nil {
			return nil, fmt.Errorf("remembering conversations: %w", err)
		}
		c.trackers[i] = t
	}
	return c, nil
}

// name is what a conversation is called here: nothing of its parts can be read off
// it. Parts are length-prefixed.
func (c *conversations) name(parts ...string) string {
	h := hmac.New(sha256.New, c.key[:])
	var n [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return string(h.Sum(nil))
}

// tracker is the one that knows the conversation called name.
func (c *conversations) tracker(name string) *conversation.Tracker {
	return c.trackers[name[0]%conversationShards]
}

// sweep wipes what is too old at now, and returns how many conversations are left.
func (c *conversations) sweep(now time.Time) int {
	left := 0
	for _, t := range c.trackers {
		left += t.Sweep(now)
	}
	return left
}

// wipe forgets everything.
func (c *conversations) wipe() { c.sweep(time.Now().Add(100 * 365 * 24 * time.Hour)) }

// keepSwept sweeps until ctx is done.
func (c *conversations) keepSwept(ctx context.Context) {
	for next(ctx, conversationSweep) {
		c.sweep(time.Now())
	}
	c.wipe()
}
