package audit

import "testing"

// A commit waits for company only while somebody may bring it: not for exchanges that
// wait for this commit themselves, nor for those that have brought all they had.
func TestQueueWorth(t *testing.T) {
	t.Parallel()
	type step func(q *queue, slots []*Slot)
	event := func(i int) step {
		return func(q *queue, slots []*Slot) { q.push(entry{}, slots[i]) }
	}
	release := func(i int) step {
		return func(_ *queue, slots []*Slot) { slots[i].Release() }
	}
	counted := func(i int) step { return func(_ *queue, slots []*Slot) { slots[i].useOne() } }
	commit := func(q *queue, _ []*Slot) { q.finish(q.take()) }
	own := func(q *queue, _ []*Slot) { q.push(entry{}, nil) }
	for _, tc := range []struct {
		name  string
		slots int
		steps []step
		want  bool
	}{
		{"nothing queued", 2, nil, false},
		{"another exchange may bring its first", 2, []step{event(0)}, false},
		{"all exchanges wait", 2, []step{event(0), event(1)}, true},
		{"another exchange has its second to bring", 2, []step{event(0), event(1), commit, event(0)}, false},
		{"the other exchange is over", 2, []step{event(0), event(1), commit, event(0), release(1)}, true},
		{"both bring their second", 2, []step{event(0), event(1), commit, event(0), event(1)}, true},
		{"a third event counts for nobody else", 2, []step{event(0), commit, event(0), event(0)}, false},
		{"the other's denials are counted together", 2, []step{event(0), counted(1), counted(1)}, true},
		{"a leaf of the log's own", 1, []step{own}, false},
		{"enough rows", 3, []step{event(0), event(0)}, true},
		{"released twice", 2, []step{event(0), commit, release(0), release(0), own}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := &core{q: queue{maxEvents: 100, maxBytes: 1 << 20, wake: make(chan struct{}, 1)}}
			slots := make([]*Slot, tc.slots)
			for i := range slots {
				n, err := c.q.reserve(LaneNormal, "")
				if err != nil {
					t.Fatal(err)
				}
				slots[i] = &Slot{log: c, left: n}
			}
			for _, s := range tc.steps {
				s(&c.q, slots)
			}
			rows := 100
			if tc.name == "enough rows" {
				rows = 2
			}
			if got := c.q.worth(rows); got != tc.want {
				t.Errorf("worth: got %v, want %v; %d slots are open", got, tc.want, c.q.open)
			}
			for _, s := range slots {
				s.Release()
			}
			if c.q.open != 0 {
				t.Errorf("after all slots are released %d are open", c.q.open)
			}
		})
	}
}
