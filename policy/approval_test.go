package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

func openApprovals(t testing.TB, path string, c *clock) *policy.Approvals {
	t.Helper()
	a, err := policy.OpenApprovals(t.Context(), openDB(t, path), c.Now)
	must(t, err)
	return a
}

// bulk is a call that waits for others.
func bulk(needed int) policy.NewApproval {
	return policy.NewApproval{
		Requester: "key:lead", Route: "desk", Channel: "zendesk", Operation: "ticket.update_many", Effect: "write", Scope: "bulk", Purpose: "cleanup",
		Records: 3, Counts: map[string]int{"credit_card": 2}, Digest: digest("call", []byte("one")), Needed: needed,
	}
}

// Whoever rotates a key is nobody else: not for a call of their own, nor to agree twice.
func TestApprovalOfRotatedKeys(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	a, k := openApprovals(t, path, c), openKeys(t, path, c)
	chain := func(name string) []string {
		first, _, err := k.Create(t.Context(), policy.NewKey{Name: name, Roles: []string{"admin"}})
		must(t, err)
		second, _, err := k.Rotate(t.Context(), first.ID, time.Hour)
		must(t, err)
		third, _, err := k.Rotate(t.Context(), second.ID, time.Hour)
		must(t, err)
		return []string{"key:" + first.ID, "key:" + second.ID, "key:" + third.ID}
	}
	one, two, three := chain("one"), chain("two"), chain("three")
	for i, requester := range one {
		n := bulk(2)
		n.Requester = requester
		asked, _, err := a.Ask(t.Context(), n)
		must(t, err)
		for _, again := range one {
			if _, err := a.Give(t.Context(), asked.ID, again, nil); !errors.Is(err, policy.ErrOwnApproval) {
				t.Errorf("asked by key %d of one holder: another of theirs gave it: %v", i+1, err)
			}
		}
		_, err = a.Give(t.Context(), asked.ID, two[i], nil)
		must(t, err)
		for _, again := range two {
			if _, err := a.Give(t.Context(), asked.ID, again, nil); !errors.Is(err, policy.ErrAgreedAlready) {
				t.Errorf("given by key %d of one holder: another of theirs gave it too: %v", i+1, err)
			}
		}
		given, err := a.Give(t.Context(), asked.ID, three[i], nil)
		must(t, err)
		if given.State != policy.ApprovalGiven {
			t.Errorf("given by two: got %s", given.State)
		}
	}
}

// The life of an approval: asked once however often, given by another, used once.
func TestApprovalLife(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	a := openApprovals(t, path, c)
	n := bulk(1)
	asked, fresh, err := a.Ask(t.Context(), n)
	must(t, err)
	if !fresh || asked.State != policy.ApprovalAsked || asked.Records != 3 || asked.Counts["credit_card"] != 2 || asked.Purpose != "cleanup" || !asked.Expires.Equal(c.Now().Add(policy.ApprovalTime)) {
		t.Errorf("asked: got %+v, fresh %v", asked, fresh)
	}
	again, fresh, err := a.Ask(t.Context(), n)
	must(t, err)
	if fresh || again.ID != asked.ID {
		t.Errorf("asked again: got %s, fresh %v; want the same", again.ID, fresh)
	}
	if _, err := a.Use(t.Context(), asked.ID, n.Requester, n.Digest); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("used before it was given: got %v", err)
	}
	c.Move(14 * time.Minute)
	given, err := a.Give(t.Context(), asked.ID, "user:boss", nil)
	must(t, err)
	if given.State != policy.ApprovalGiven || fmt.Sprint(given.Agreed) != "[user:boss]" {
		t.Errorf("given: got %+v", given)
	}
	a = openApprovals(t, path, c) // a restart loses nothing
	c.Move(14 * time.Minute)
	agreed, err := a.Use(t.Context(), asked.ID, n.Requester, n.Digest)
	if err != nil || agreed != 1 {
		t.Errorf("used: got %d, %v", agreed, err)
	}
	if _, err := a.Use(t.Context(), asked.ID, n.Requester, n.Digest); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("used twice: got %v", err)
	}
	if _, err := a.Refuse(t.Context(), asked.ID, "user:boss"); !errors.Is(err, policy.ErrApprovalEnded) {
		t.Errorf("refused after its use: got %v", err)
	}
	next, fresh, err := a.Ask(t.Context(), n)
	must(t, err)
	if !fresh || next.ID == asked.ID {
		t.Error("the same call, after the use: got the old approval")
	}
	list, err := a.List(t.Context())
	must(t, err)
	if len(list) != 2 || list[0].ID != next.ID || list[1].State != policy.ApprovalUsed || len(list[1].Agreed) != 1 {
		t.Errorf("list: got %+v", list)
	}
}

// V11: requester, first and second approver are different principals.
func TestApprovalDualControl(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := openApprovals(t, statePath(t), c)
	n := bulk(2)
	asked, _, err := a.Ask(t.Context(), n)
	must(t, err)
	if _, err := a.Give(t.Context(), asked.ID, n.Requester, nil); !errors.Is(err, policy.ErrOwnApproval) {
		t.Errorf("by the requester: got %v", err)
	}
	one, err := a.Give(t.Context(), asked.ID, "user:one", nil)
	must(t, err)
	if one.State != policy.ApprovalAsked {
		t.Errorf("after one of two: got %s", one.State)
	}
	if _, err := a.Give(t.Context(), asked.ID, "user:one", nil); !errors.Is(err, policy.ErrAgreedAlready) {
		t.Errorf("by the same twice: got %v", err)
	}
	if _, err := a.Use(t.Context(), asked.ID, n.Requester, n.Digest); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("used with one of two: got %v", err)
	}
	two, err := a.Give(t.Context(), asked.ID, "user:two", nil)
	must(t, err)
	if two.State != policy.ApprovalGiven {
		t.Errorf("after two: got %s", two.State)
	}
	if _, err := a.Give(t.Context(), asked.ID, "user:three", nil); !errors.Is(err, policy.ErrApprovalEnded) {
		t.Errorf("a third: got %v", err)
	}
	agreed, err := a.Use(t.Context(), asked.ID, n.Requester, n.Digest)
	if err != nil || agreed != 2 {
		t.Errorf("used: got %d, %v", agreed, err)
	}
}

// An approval counts for the caller and the call that it was asked for, while it lasts.
func TestApprovalsThatDoNotCount(t *testing.T) {
	t.Parallel()
	n := bulk(1)
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, a *policy.Approvals, id string, c *clock)
		who   string
		sum   []byte
		id    string
	}{
		"another caller": {who: "key:other"},
		"another call":   {sum: digest("call", []byte("two"))},
		"an unknown id":  {id: "00000000000000000000000000"},
		"no id":          {id: "%"},
		"given too long": {spoil: func(_ *testing.T, _ *policy.Approvals, _ string, c *clock) { c.Move(policy.ApprovalTime) }},
		"refused by then": {spoil: func(t *testing.T, a *policy.Approvals, id string, _ *clock) {
			_, err := a.Refuse(t.Context(), id, "user:boss")
			must(t, err)
		}},
		"expired by then": {spoil: func(t *testing.T, a *policy.Approvals, _ string, c *clock) {
			c.Move(policy.ApprovalTime)
			must(t, a.Expire(t.Context(), func(context.Context, policy.Approval) error { return nil }))
			c.Move(-policy.ApprovalTime) // a clock that is set back brings nothing back
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			a := openApprovals(t, statePath(t), c)
			asked, _, err := a.Ask(t.Context(), n)
			must(t, err)
			_, err = a.Give(t.Context(), asked.ID, "user:boss", nil)
			must(t, err)
			if tc.spoil != nil {
				tc.spoil(t, a, asked.ID, c)
			}
			id, who, sum := asked.ID, n.Requester, n.Digest
			if tc.id != "" {
				id = tc.id
			}
			if tc.who != "" {
				who = tc.who
			}
			if tc.sum != nil {
				sum = tc.sum
			}
			if _, err := a.Use(t.Context(), id, who, sum); !errors.Is(err, policy.ErrApproval) {
				t.Errorf("got %v, want ErrApproval", err)
			}
		})
	}
}

func TestApprovalEnds(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := openApprovals(t, statePath(t), c)
	asked, _, err := a.Ask(t.Context(), bulk(1))
	must(t, err)
	c.Move(policy.ApprovalTime)
	if _, err := a.Give(t.Context(), asked.ID, "user:boss", nil); !errors.Is(err, policy.ErrApprovalEnded) {
		t.Errorf("given too late: got %v", err)
	}
	if _, err := a.Give(t.Context(), "nobody", "user:boss", nil); !errors.Is(err, policy.ErrNoApproval) {
		t.Errorf("an unknown one: got %v", err)
	}
	// An end that cannot be told is told later, and once.
	told := 0
	tell := func(_ context.Context, ap policy.Approval) error {
		if told++; told == 1 {
			return errors.New("the log is down")
		}
		if ap.ID != asked.ID || ap.State != policy.ApprovalExpired {
			t.Errorf("told: got %+v", ap)
		}
		return nil
	}
	if err := a.Expire(t.Context(), tell); err == nil {
		t.Error("an end that was not told: no error")
	}
	must(t, a.Expire(t.Context(), tell))
	must(t, a.Expire(t.Context(), tell))
	if told != 2 {
		t.Errorf("told %d times, want 2", told)
	}
	// Asking again makes another one, and a month later the old one is forgotten.
	next, fresh, err := a.Ask(t.Context(), bulk(1))
	must(t, err)
	if !fresh || next.ID == asked.ID {
		t.Error("asked after the end: got the old one")
	}
	c.Move(31 * 24 * time.Hour)
	must(t, a.Expire(t.Context(), func(context.Context, policy.Approval) error { return nil }))
	if _, err := a.Get(t.Context(), asked.ID); !errors.Is(err, policy.ErrNoApproval) {
		t.Errorf("after a month: got %v", err)
	}
}

// A program that repeats its call with changes cannot bury what waits.
func TestApprovalsFull(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := openApprovals(t, statePath(t), c)
	n := bulk(1)
	var err error
	asked := 0
	for ; err == nil && asked < 1000; asked++ {
		n.Digest = digest("call", []byte{byte(asked), byte(asked >> 8)})
		_, _, err = a.Ask(t.Context(), n)
	}
	if !errors.Is(err, policy.ErrApprovalsFull) || asked != 65 {
		t.Errorf("got %v at call %d, want ErrApprovalsFull at 65", err, asked)
	}
	n.Requester = "key:other"
	if _, _, err := a.Ask(t.Context(), n); err != nil {
		t.Errorf("another caller: %v", err)
	}
	n.Requester = "key:lead"
	c.Move(policy.ApprovalTime)
	if _, _, err := a.Ask(t.Context(), n); err != nil {
		t.Errorf("after their time: %v", err)
	}
}

// Of many who ask at once one makes the approval, of many who use it one may (V11).
func TestApprovalRace(t *testing.T) {
	t.Parallel()
	a := openApprovals(t, statePath(t), newClock())
	n := bulk(1)
	const callers = 16
	var mu sync.Mutex
	var wg sync.WaitGroup
	ids, first, used := map[string]bool{}, 0, 0
	for range callers {
		wg.Go(func() {
			ap, fresh, err := a.Ask(context.Background(), n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			ids[ap.ID] = true
			if fresh {
				first++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || first != 1 {
		t.Fatalf("%d approvals, %d of them fresh; want one", len(ids), first)
	}
	for id := range ids {
		_, err := a.Give(t.Context(), id, "user:boss", nil)
		must(t, err)
		for range callers {
			wg.Go(func() {
				_, err := a.Use(context.Background(), id, n.Requester, n.Digest)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					used++
				case !errors.Is(err, policy.ErrApproval):
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if used != 1 {
		t.Errorf("used %d times, want once", used)
	}
}

// stand asks for an approval and has it given with terms.
func stand(t *testing.T, a *policy.Approvals, terms policy.Terms) string {
	t.Helper()
	asked, _, err := a.Ask(t.Context(), bulk(1))
	must(t, err)
	given, err := a.Give(t.Context(), asked.ID, "user:boss", &terms)
	must(t, err)
	if given.State != policy.ApprovalStanding || !given.Expires.Equal(terms.Until) {
		t.Fatalf("given: got %+v", given)
	}
	return given.ID
}

// What a composite call holds is kept with it, and there are no terms for such calls.
func TestApprovalOfCompositeCall(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := openApprovals(t, statePath(t), c)
	n := bulk(1)
	n.Inner = map[string]int{"ticket.destroy": 6}
	asked, _, err := a.Ask(t.Context(), n)
	must(t, err)
	if fmt.Sprint(asked.Inner) != "map[ticket.destroy:6]" {
		t.Errorf("asked: got %v inside", asked.Inner)
	}
	if _, err := a.Give(t.Context(), asked.ID, "user:boss", &policy.Terms{Rows: 100, Until: c.Now().Add(time.Hour)}); !errors.Is(err, policy.ErrTerms) {
		t.Errorf("with terms: got %v, want %v", err, policy.ErrTerms)
	}
	_, err = a.Give(t.Context(), asked.ID, "user:boss", nil)
	must(t, err)
}

// A standing approval is bound to credential, route, operation, filter, rows, window and
// its end.
func TestStandingApproval(t *testing.T) {
	t.Parallel()
	c := newClock() // 08:00 UTC
	a := openApprovals(t, statePath(t), c)
	id := stand(t, a, policy.Terms{Filter: "status=closed&cursor=*", Rows: 100, From: "07:00", To: "09:00", Until: c.Now().Add(72 * time.Hour)})
	nightly := func() policy.StandingCall {
		return policy.StandingCall{Requester: "key:lead", Route: "desk", Channel: "zendesk", Operation: "ticket.update_many", Query: url.Values{"status": {"closed"}, "cursor": {"7"}}, Rows: 10}
	}
	got, agreed, err := a.Stand(t.Context(), nightly())
	if err != nil || got != id || agreed != 1 {
		t.Fatalf("got %s, %d, %v", got, agreed, err)
	}
	for name, change := range map[string]func(*policy.StandingCall){
		"another credential":  func(s *policy.StandingCall) { s.Requester = "key:other" },
		"another route":       func(s *policy.StandingCall) { s.Route = "shop" },
		"another operation":   func(s *policy.StandingCall) { s.Operation = "ticket.destroy_many" },
		"another value":       func(s *policy.StandingCall) { s.Query.Set("status", "open") },
		"a value twice":       func(s *policy.StandingCall) { s.Query.Add("status", "open") },
		"a parameter more":    func(s *policy.StandingCall) { s.Query.Set("ids", "1") },
		"a parameter missing": func(s *policy.StandingCall) { s.Query.Del("status") },
		"too many rows":       func(s *policy.StandingCall) { s.Rows = 91 },
	} {
		s := nightly()
		change(&s)
		if _, _, err := a.Stand(t.Context(), s); !errors.Is(err, policy.ErrApproval) {
			t.Errorf("%s: got %v, want ErrApproval", name, err)
		}
	}
	must(t, a.Count(t.Context(), id, 90)) // with the ten of the first call that is all
	if err := a.Count(t.Context(), id, 1); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("one row more: got %v", err)
	}
	c.Move(-2 * time.Hour)
	if _, _, err := a.Stand(t.Context(), nightly()); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("before the window: got %v", err)
	}
	c.Move(-22 * time.Hour) // a clock that was set back opens no window again
	if _, _, err := a.Stand(t.Context(), nightly()); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("yesterday's window: got %v", err)
	}
	c.Move(48 * time.Hour)
	if _, _, err := a.Stand(t.Context(), nightly()); err != nil {
		t.Errorf("the next window: got %v", err)
	}
	c.Move(49 * time.Hour)
	if _, _, err := a.Stand(t.Context(), nightly()); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("after its end: got %v", err)
	}
}

// A standing approval ends when somebody refuses it.
func TestStandingApprovalRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := openApprovals(t, statePath(t), c)
	id := stand(t, a, policy.Terms{Rows: 100, From: "23:00", To: "09:00", Until: c.Now().Add(time.Hour)})
	must(t, a.Count(t.Context(), id, 1)) // the window began yesterday
	_, err := a.Refuse(t.Context(), id, "user:other")
	must(t, err)
	if err := a.Count(t.Context(), id, 1); !errors.Is(err, policy.ErrApproval) {
		t.Errorf("refused: got %v", err)
	}
}

func TestTermsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := openApprovals(t, statePath(t), c)
	asked, _, err := a.Ask(t.Context(), bulk(2))
	must(t, err)
	good := policy.Terms{Filter: "a=*", Rows: 1, Until: c.Now().Add(time.Hour)}
	for name, change := range map[string]func(*policy.Terms){
		"no rows":            func(t *policy.Terms) { t.Rows = 0 },
		"half a window":      func(t *policy.Terms) { t.From = "01:00" },
		"no time of the day": func(t *policy.Terms) { t.From, t.To = "1am", "2am" },
		"an empty window":    func(t *policy.Terms) { t.From, t.To = "01:00", "01:00" },
		"no query":           func(t *policy.Terms) { t.Filter = "a=%zz" },
		"over already":       func(t *policy.Terms) { t.Until = c.Now() },
		"for ever":           func(t *policy.Terms) { t.Until = c.Now().Add(367 * 24 * time.Hour) },
	} {
		terms := good
		change(&terms)
		if _, err := a.Give(t.Context(), asked.ID, "user:one", &terms); !errors.Is(err, policy.ErrTerms) {
			t.Errorf("%s: got %v, want ErrTerms", name, err)
		}
	}
	_, err = a.Give(t.Context(), asked.ID, "user:one", &good)
	must(t, err)
	if _, err := a.Give(t.Context(), asked.ID, "user:two", &good); !errors.Is(err, policy.ErrTerms) {
		t.Errorf("terms by the second: got %v, want ErrTerms", err)
	}
	given, err := a.Give(t.Context(), asked.ID, "user:two", nil)
	if err != nil || given.State != policy.ApprovalStanding || given.Terms.Rows != 1 {
		t.Errorf("the second agrees to the terms: got %+v, %v", given, err)
	}
	own := bulk(1)
	own.Channel, own.Requester = policy.OwnChannel, "user:dpo"
	asked, _, err = a.Ask(t.Context(), own)
	must(t, err)
	if _, err := a.Give(t.Context(), asked.ID, "user:one", &good); !errors.Is(err, policy.ErrTerms) {
		t.Errorf("a call of the gateway's own API: got %v, want ErrTerms", err)
	}
}
