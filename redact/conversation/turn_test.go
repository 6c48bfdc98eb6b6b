package conversation

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestOutcomes: what did not arrive is no piece, and what comes again is no second
// one.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	type step struct {
		text    string
		key     string
		outcome Outcome
		found   int
	}
	for name, steps := range map[string][]step{
		"equal pieces":                            {{"4111", "", Said, 0}, {"1111", "", Said, 0}, {"1111", "", Said, 0}, {"1111", "", Said, 1}},
		"the first piece did not arrive":          {{"4111 1111", "", Unsaid, 0}, {"1111 1111", "", Said, 0}},
		"the first piece arrived at last":         {{"4111 1111", "", Unsaid, 0}, {"4111 1111", "", Said, 0}, {"1111 1111", "", Said, 1}},
		"the last piece did not arrive, and then": {{"4111 1111", "", Said, 0}, {"1111 1111", "", Unsaid, 1}, {"1111 1111", "", Said, 1}},
		"the last piece, nobody knows":            {{"4111 1111", "", Said, 0}, {"1111 1111", "", Unknown, 1}, {"1111 1111", "", Unknown, 1}, {"1111 1111", "", Said, 1}, {"1111 1111", "", Said, 0}},
		"a middle piece, nobody knows":            {{"4111", "", Said, 0}, {"1111", "", Unknown, 0}, {"1111", "", Said, 0}, {"1111", "", Said, 0}, {"1111", "", Said, 1}},
		"nobody knows, and it goes on":            {{"4111", "", Said, 0}, {"1111", "", Said, 0}, {"1111", "", Unknown, 0}, {"1111 ok", "", Said, 1}},
		"once by name":                            {{"4111", "a", Said, 0}, {"1111", "b", Said, 0}, {"1111", "b", Said, 0}, {"1111", "c", Said, 0}, {"1111", "d", Said, 1}, {"1111", "d", Said, 1}},
		"a name with another text":                {{"4111", "a", Said, 0}, {"1111 1111", "a", Said, 0}, {"1111", "a", Said, 1}},
		"what ended the number did not arrive":    {{"4111 1111", "", Said, 0}, {"this order has 4111 1111 in it, as I told all of your friends when we met in town yesterday", "", Unsaid, 0}, {"1111 1111", "", Said, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTracker(t, Config{})
			for i, s := range steps {
				found, turn := tr.Begin(Message{Conversation: "a", Text: []byte(s.text), Key: s.key})
				tr.End(turn, s.outcome)
				if s.outcome == Said {
					tr.End(Turn{}, Unsaid)
				}
				if len(found) != s.found {
					t.Errorf("message %d: %d found, want %d", i, len(found), s.found)
				}
			}
		})
	}
}

// TestOthersCameBetween: a message is not taken back when the conversation has gone
// on, and what is in flight counts.
func TestOthersCameBetween(t *testing.T) {
	t.Parallel()
	tr := newTracker(t, Config{})
	_, first := tr.Begin(Message{Conversation: "a", Text: []byte("4111")})
	_, second := tr.Begin(Message{Conversation: "a", Text: []byte("1111")})
	_, third := tr.Begin(Message{Conversation: "a", Text: []byte("1111")})
	found, last := tr.Begin(Message{Conversation: "a", Text: []byte("1111")})
	tr.End(second, Unsaid)
	tr.End(first, Said)
	tr.End(third, Unknown)
	if len(found) != 1 || len(found[0].Pieces) != 4 {
		t.Fatalf("four messages at once: %+v", found)
	}
	tr.End(last, Unsaid)
	if found := tr.Add(Message{Conversation: "a", Text: []byte("1111")}); len(found) != 1 {
		t.Errorf("the last one again: %+v", found)
	}
}

// TestSweep: what is too old is wiped without being asked for.
func TestSweep(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	tr := newTracker(t, Config{})
	for i, text := range []string{"4111 1111", "thank you", "4111 1111"} {
		tr.Add(Message{Conversation: fmt.Sprint(i), At: start.Add(time.Duration(i) * time.Minute), Text: []byte(text), Key: "k"})
	}
	old := tr.tails["0"].Value.(*tail)
	if n := tr.Sweep(start.Add(10*time.Minute + time.Second)); n != 2 {
		t.Errorf("%d are left, want 2", n)
	}
	if old.n != 0 || old.digits != [maxTail]byte{} || old.before.digits != [maxTail]byte{} {
		t.Error("the digits of what was too old are still there")
	}
	if n := tr.Sweep(start.Add(time.Hour)); n != 0 || tr.order.Len() != 0 || tr.idle.Len() != 0 {
		t.Errorf("%d are left, want none", n)
	}
}

// TestChatter: conversations about nothing drive no digits out.
func TestChatter(t *testing.T) {
	t.Parallel()
	tr := newTracker(t, Config{Conversations: 10})
	tr.Add(Message{Conversation: "a", Text: []byte("4111 1111")})
	for i := range 100 {
		tr.Add(Message{Conversation: fmt.Sprint(i), Text: []byte("good morning, how are you?")})
	}
	if n := tr.Len(); n != 11 {
		t.Errorf("%d are remembered, want 11", n)
	}
	if found := tr.Add(Message{Conversation: "a", Text: []byte("1111 1111")}); len(found) != 1 {
		t.Error("the number was not found")
	}
}

// TestMemory fills a tracker with the largest tails there are, each with a message
// that may come again.
func TestMemory(t *testing.T) {
	const conversations, most = 2000, 4 << 10
	tr := newTracker(t, Config{Conversations: conversations})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	at := time.Now()
	for i := range 3 * conversations {
		for j := range 20 {
			m := Message{Conversation: fmt.Sprintf("%032d", i), ID: fmt.Sprintf("%032d", j), At: at, Text: []byte("7"), Key: "k" + fmt.Sprint(j)}
			_, turn := tr.Begin(m)
			tr.End(turn, Unknown)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int64(after.HeapAlloc-before.HeapAlloc) / conversations; each > most {
		t.Errorf("a conversation takes %d bytes, want at most %d", each, most)
	} else {
		t.Logf("%d bytes each", each)
	}
	if tr.order.Len() != conversations || tr.idle.Len() > conversations {
		t.Errorf("%d and %d are remembered", tr.order.Len(), tr.idle.Len())
	}
}

// TestLongMessages: of a long one nothing but who speaks and what of is read.
func TestLongMessages(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("we are looking into the other matter and will write again soon, ", 40)
	for name, c := range map[string]struct {
		between string
		found   int
	}{
		"by the other side": {"Agent: " + long, 1},
		"by the same":       {"Customer: " + long, 0},
		"by nobody known":   {long, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTracker(t, Config{})
			tr.Add(Message{Conversation: "a", Text: []byte("Customer: 4111 1111")})
			tr.Add(Message{Conversation: "a", Text: []byte(c.between)})
			if found := tr.Add(Message{Conversation: "a", Text: []byte("Customer: 1111 1111")}); len(found) != c.found {
				t.Errorf("%d found, want %d", len(found), c.found)
			}
		})
	}
	tr := newTracker(t, Config{})
	tr.Add(Message{Conversation: "a", Text: []byte(long + "and what is your card number?")})
	if found := tr.Add(Message{Conversation: "a", Text: []byte("41 111 11111 111111")}); len(found) != 1 {
		t.Error("a question at the end of a long message was not heard")
	}
}
