package proxy

import "testing"

// A request can reach a configuration that has been replaced and has ended: it
// shares the data with the successor, and is turned away when there is none, or
// when the data was closed in between.
func TestLateRequestsJoinTheSuccessor(t *testing.T) {
	t.Parallel()
	closed := 0
	open := func() (*Data, error) { return &Data{}, nil }
	start := func() *generation {
		g, err := openGeneration(t.Name(), open)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	end := func(g *generation) {
		if err := g.release(); err != nil {
			t.Fatal(err)
		}
		if _, held := dataPool.References(t.Name()); !held {
			closed++
		}
	}

	old := start()
	next := start()
	end(old)
	late := old.join()
	if late == nil || late.data != next.data {
		t.Fatal("a late request did not share its successor's data")
	}
	if again := old.join(); again == nil {
		t.Error("a second late request was turned away")
	} else {
		end(again)
	}
	end(next)
	if closed != 0 {
		t.Error("the data was closed under a late request")
	}
	end(late)
	if closed != 1 {
		t.Errorf("the data was closed %d times by its last user, want once", closed)
	}
	if old.join() != nil {
		t.Error("a request got data that nobody has open")
	}
	fresh := start()
	if old.join() != nil {
		t.Error("a request got data of another opening than its configuration's")
	}
	if n, _ := dataPool.References(t.Name()); n != 1 {
		t.Errorf("references after a refused join: got %d, want the holder's", n)
	}
	end(fresh)
}
