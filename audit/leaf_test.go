package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// testCore encodes without a log around it.
func testCore() *core {
	return &core{node: "node-1", epoch: 3, clock: newClock(Config{})}
}

// finished encodes an event and fills in what the writer goroutine would.
func finished(t testing.TB, e Event) [][]byte {
	t.Helper()
	enc, err := testCore().encode(&e)
	if err != nil {
		t.Fatal(err)
	}
	out := [][]byte{patchLeaf(nil, *enc.leaf.buf, enc.leaf.nseqAt, enc.leaf.prevAt, 1234567, tlog.Hash{5})}
	for _, m := range enc.more {
		out = append(out, patchLeaf(nil, *m.buf, m.nseqAt, m.prevAt, 1234568, tlog.Hash{6}))
	}
	return out
}

// A leaf is JSON with sorted keys, and reading it gives back what was recorded.
func TestLeafRoundTrip(t *testing.T) {
	t.Parallel()
	e := sample(2)
	e.ID, e.Reason, e.MFA, e.Status, e.Scope = NewID(), "policy_denied", true, 403, "bulk"
	e.Purpose, e.Tokens = `quote " back \ line`+"\nü", []string{"t2", "t1", "t2"}
	e.Attrs = map[string]string{"b": "2", "a": "1"}
	e.Roles = []string{"lead", "agent"}
	leaf := finished(t, e)[0]
	if !json.Valid(leaf) {
		t.Fatalf("not JSON: %s", leaf)
	}
	l, err := ParseLeaf(leaf)
	if err != nil {
		t.Fatal(err)
	}
	if l.Node != "node-1" || l.Epoch != 3 || l.Seq != 1234567 || l.Prev != (tlog.Hash{5}) {
		t.Errorf("stream fields: got %s %d %d", l.Node, l.Epoch, l.Seq)
	}
	want := e
	want.Details, want.Roles, want.Tokens = nil, []string{"agent", "lead"}, []string{"t1", "t2"}
	if !reflect.DeepEqual(l.Event, want) {
		t.Errorf("got  %+v\nwant %+v", l.Event, want)
	}
	if len(l.Digests) != 2 || l.Digests[0].Part != "actor" || l.Digests[0] != digestOf(e.Details[1]) {
		t.Errorf("digests: got %+v", l.Digests)
	}
}

// Over 256 subjects and records an event goes on in further leaves, each within
// the size, which together hold every reference once.
func TestLeafContinues(t *testing.T) {
	t.Parallel()
	e := sample(1)
	e.ID, e.Subjects, e.Records = NewID(), nil, nil
	long := strings.Repeat("c", maxClass)
	for i := range 1000 {
		e.Subjects = append(e.Subjects, Ref{ID: Pseudonym{1, byte(i >> 8), byte(i)}, Classes: []string{fmt.Sprintf("%s%d", long[:60], i%7)}})
		e.Records = append(e.Records, Ref{ID: Pseudonym{2, byte(i >> 8), byte(i)}})
	}
	subs, recs := 0, 0
	leaves := finished(t, e)
	for i, b := range leaves {
		if len(b) > MaxLeaf {
			t.Errorf("leaf %d: %d bytes", i, len(b))
		}
		l, err := ParseLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(l.Subjects) + len(l.Records); n > 256 {
			t.Errorf("leaf %d: %d references, want at most 256", i, n)
		}
		if i > 0 && (l.Of != e.ID || l.Cont != i || l.Exchange != e.Exchange || len(l.Digests) > 0 || l.Actor != e.Actor) {
			t.Errorf("leaf %d does not continue the first", i)
		}
		if i == 0 && l.More != len(leaves)-1 {
			t.Errorf("more: got %d, want %d", l.More, len(leaves)-1)
		}
		subs, recs = subs+len(l.Subjects), recs+len(l.Records)
	}
	if subs != 1000 || recs != 1000 {
		t.Errorf("references: got %d and %d, want 1000 each", subs, recs)
	}
}

func TestLeafRefusesEvents(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Event){
		"no type":            func(e *Event) { e.Type = "" },
		"long route":         func(e *Event) { e.Route = strings.Repeat("r", 300) },
		"not UTF-8":          func(e *Event) { e.Operation = "a\xff" },
		"control character":  func(e *Event) { e.Reason = "a\x00" },
		"count below zero":   func(e *Event) { e.Released = []Count{{Class: "x", Clear: -1}} },
		"no class":           func(e *Event) { e.Released = []Count{{}} },
		"too many roles":     func(e *Event) { e.Roles = many(100) },
		"too many refs":      func(e *Event) { e.Subjects = make([]Ref, MaxRefs+1) },
		"input too long":     func(e *Event) { e.Input = strings.Repeat("i", MaxInput+1) },
		"leaf too long":      func(e *Event) { e.Roles, e.Tokens = manyLong(64), manyLong(64) },
		"detail too large":   func(e *Event) { e.Details = []Sealed{{Part: "a", Ciphertext: make([]byte, MaxDetail+1)}} },
		"part without name":  func(e *Event) { e.Details = []Sealed{{}} },
		"part twice":         func(e *Event) { e.Details = []Sealed{{Part: "a"}, {Part: "a"}} },
		"status below zero":  func(e *Event) { e.Status = -1 },
		"attribute too long": func(e *Event) { e.Attrs = map[string]string{"a": strings.Repeat("v", 5000)} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sample(1)
			change(&e)
			if _, err := testCore().encode(&e); !errors.Is(err, ErrEvent) {
				t.Errorf("got %v, want ErrEvent", err)
			}
		})
	}
}

func many(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%04d", i))
	}
	return out
}

func manyLong(n int) (out []string) {
	for _, s := range many(n) {
		out = append(out, s+strings.Repeat("x", 200))
	}
	return out
}

// The decoder refuses every spelling but the one the encoder writes.
func TestParseLeafRefuses(t *testing.T) {
	t.Parallel()
	e := sample(1)
	e.ID, e.Reason = NewID(), "quoted \""
	good := string(finished(t, e)[0])
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the leaf has no %s", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	tests := map[string]struct{ in, reason string }{
		"empty":            {"", "leaf_syntax"},
		"white space":      {replace(`{"act"`, `{ "act"`), "leaf_syntax"},
		"trailing bytes":   {good + "\n", "leaf_syntax"},
		"cut":              {good[:len(good)-1], "leaf_syntax"},
		"unknown key":      {replace(`"v":1`, `"u":1,"v":1`), "leaf_unknown_key"},
		"key twice":        {replace(`"v":1`, `"v":1,"v":1`), "leaf_order"},
		"keys not sorted":  {replace(`"v":1,`, ``)[:len(good)-7] + `,"v":1}`, "leaf_order"},
		"other version":    {replace(`"v":1`, `"v":2`), "leaf_version"},
		"no version":       {replace(`"v":1,`, ``), "leaf_version"},
		"leading zero":     {replace(`"v":1`, `"v":01`), "leaf_not_canonical"},
		"negative":         {replace(`"epoch":3`, `"epoch":-3`), "leaf_syntax"},
		"fraction":         {replace(`"epoch":3`, `"epoch":3.0`), "leaf_syntax"},
		"huge number":      {replace(`"epoch":3`, `"epoch":3333333333333333333`), "leaf_value"},
		"boolean":          {replace(`"fwd":1`, `"fwd":true`), "leaf_syntax"},
		"flag of two":      {replace(`"fwd":1`, `"fwd":2`), "leaf_not_canonical"},
		"upper-case hex":   {replace(`"act":"010203`, `"act":"01020A`)[:len(good)], "leaf_not_canonical"},
		"other escape":     {replace(`quoted \"`, `quoted \u0022`), "leaf_syntax"},
		"needless escape":  {replace(`quoted \"`, `quot\/`), "leaf_syntax"},
		"empty list":       {replace(`"roles":["agent"]`, `"roles":[]`), "leaf_not_canonical"},
		"empty string":     {replace(`"tenant":"default"`, `"tenant":""`), "leaf_not_canonical"},
		"list not sorted":  {replace(`"roles":["agent"]`, `"roles":["b","a"]`), "leaf_value"},
		"no sequence":      {replace(`"nseq":1234567`, `"nseq":0`), "leaf_missing"},
		"too long":         {strings.Repeat("x", MaxLeaf+1), "leaf_size"},
		"not UTF-8":        {replace(`"route":"desk"`, "\"route\":\"de\xff\""), "leaf_value"},
		"array of numbers": {replace(`"roles":["agent"]`, `"roles":[1]`), "leaf_syntax"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseLeaf([]byte(tt.in))
			var refused *LeafError
			if !errors.As(err, &refused) || refused.Reason != tt.reason {
				t.Errorf("got %v, want %s", err, tt.reason)
			}
		})
	}
}

func TestPropertyLeafRoundTrip(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`[a-z."\\ü]{0,12}`)
	list := rapid.SliceOfN(text, 0, 4)
	refs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ref {
		return Ref{ID: Pseudonym{rapid.Byte().Draw(t, "id")}, Classes: list.Draw(t, "classes")}
	}), 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		e := Event{
			ID: NewID(), Type: "t" + text.Draw(t, "type"), Route: text.Draw(t, "route"), Input: text.Draw(t, "input"),
			Roles: list.Draw(t, "roles"), Tokens: list.Draw(t, "tokens"), Subjects: refs.Draw(t, "subs"), Records: refs.Draw(t, "recs"),
			Status: rapid.IntRange(0, 999).Draw(t, "status"), Attrs: rapid.MapOfN(text, text, 0, 4).Draw(t, "attrs"),
		}
		enc, err := testCore().encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		b := patchLeaf(nil, *enc.leaf.buf, enc.leaf.nseqAt, enc.leaf.prevAt, 1, tlog.Hash{})
		l, err := ParseLeaf(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		// Encoding is a function of the value, not of the order it was given in.
		again, _, _ := appendLeaf(nil, &l)
		if !bytes.Equal(again, b) {
			t.Fatalf("got %s, want %s", again, b)
		}
	})
}

func FuzzParseLeaf(f *testing.F) {
	for i := range 3 {
		e := sample(i)
		e.Attrs = map[string]string{"a": "b\nc"}
		f.Add(finished(f, e)[0])
	}
	f.Add([]byte(`{"eid":"00000000000000000000000000000001","epoch":1,"mono":0,"node":"n","nseq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","type":"t","v":1,"wall":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLeaf(data)
		if err != nil {
			return
		}
		again, _, _ := appendLeaf(nil, &l)
		if !bytes.Equal(again, data) {
			t.Errorf("accepted another spelling of\n%s", again)
		}
		if !json.Valid(data) {
			t.Error("accepted what is not JSON")
		}
	})
}

func FuzzParseDetails(f *testing.F) {
	f.Add(appendDetails(nil, sample(1).Details))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := parseDetails(data)
		if err == nil && !bytes.Equal(appendDetails(nil, parts), data) {
			t.Error("accepted another spelling")
		}
	})
}

// Names of more tokens than one leaf takes go on in further ones, each once.
func TestManyTokens(t *testing.T) {
	t.Parallel()
	e := sample(1)
	e.ID = NewID()
	for i := range 3*tokensPerLeaf + 5 {
		e.Tokens = append(e.Tokens, fmt.Sprintf("%032x", i))
	}
	leaves := finished(t, e)
	if len(leaves) != 4 {
		t.Fatalf("got %d leaves, want 4", len(leaves))
	}
	var got []string
	for i, raw := range leaves {
		l, err := ParseLeaf(raw)
		if err != nil {
			t.Fatal(err)
		}
		if l.Cont != i || i > 0 && l.Of != e.ID {
			t.Errorf("leaf %d: continues %v as number %d", i, l.Of, l.Cont)
		}
		got = append(got, l.Tokens...)
	}
	if !slices.Equal(got, e.Tokens) {
		t.Errorf("got %d names, want %d", len(got), len(e.Tokens))
	}
}
