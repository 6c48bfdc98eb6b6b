package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// sample is an input with every member set.
func sample() Input {
	return Input{
		V: InputVersion, Tenant: "default", Route: "desk", Direction: Request, Channel: "zendesk", Operation: "ticket.create",
		Mapped: true, Effect: "write", Scope: "one", Mark: "", Method: "unsafe",
		Actor: InputActor{Kind: KindKey, Strength: StrengthAsserted, Roles: []string{"agent", "service"}, Grants: []string{"zendesk:ticket.export"}, Asserts: true,
			Regions: []string{"eu"}, AMR: []string{"otp", "pwd"}, ACR: "urn:example:two-factors", Age: 45, RevealLapsed: true},
		Purpose: "refund", Network: "private", Records: 1, Credential: CredentialAdded, Many: "ticket.create_many",
		Networks: []string{"office", "vpn"}, Regions: []string{"eu"}, Hours: []string{"desk"},
		Payment: InputPayment{Tokens: 1, Token: "known", Payment: "known", Place: "same", Account: "same", Order: "unstated", Currency: "same",
			Balance: "within", Key: "new", Amount: 2000, Unit: "EUR"},
		Findings: []Finding{{Class: "credit_card", Place: PlaceText, Count: 2, Split: 1}, {Class: "us_ssn", Place: PlaceQuery, Count: 1}},
		Rollouts: []string{"iban-desk"},
		Subject:  InputSubject{Flags: []string{"limit_sensitive", "objection"}},
	}
}

// golden compares v as JSON with a file of testdata, which documents the form.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: the document changed. A member may be added, with -rewrite; nothing else may change under version %d.\ngot %s", path, InputVersion, got)
	}
}

func TestDocumentsAreStable(t *testing.T) {
	t.Parallel()
	e, err := NewEngine(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	in := sample()
	golden(t, "input.json", in)
	d, err := e.Decide(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "decision.json", d)
	in.Observe, in.Scope = true, "bulk"
	if d, err = e.Decide(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	golden(t, "decision_observed.json", d)
}

// TestInputValueIsItsJSON: what rules see is what the documented JSON says.
func TestInputValueIsItsJSON(t *testing.T) {
	t.Parallel()
	docs := ast.MustParseTerm(`{"route": ["desk"], "rows": {"credit_card": {"action": "mask"}}}`).Value
	for _, in := range []Input{sample(), {}} {
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		// An absent list is an empty one for rules.
		raw = bytes.ReplaceAll(raw, []byte("null"), []byte("[]"))
		want, err := ast.ValueFromReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []vocabulary{nil, readVocabulary(docs)} {
			if got := in.value(w); got.Compare(want) != 0 {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
}

// TestKeyCoversEveryMember: two inputs that rules could tell apart never share a
// cached decision.
func TestKeyCoversEveryMember(t *testing.T) {
	t.Parallel()
	base := sample()
	key := func(in Input) string {
		in.normalise()
		return string(in.appendKey(nil))
	}
	seen := map[string]string{key(base): "the base"}
	var change func(path string, v reflect.Value, in *Input)
	change = func(path string, v reflect.Value, in *Input) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				change(path+"."+v.Type().Field(i).Name, v.Field(i), in)
			}
			return
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int:
			if path == ".V" {
				return // filled in by normalise
			}
			v.SetInt(v.Int() + 10)
		case reflect.Slice:
			v.Set(v.Slice(0, v.Len()-1))
		default:
			t.Fatalf("%s has a kind that this test does not know", path)
		}
		k := key(*in)
		if other, ok := seen[k]; ok {
			t.Errorf("changing %s gives the key of %s", path, other)
		}
		seen[k] = path
		*in = sample()
	}
	in := sample()
	change("", reflect.ValueOf(&in).Elem(), &in)
	for i, f := range []Finding{{"us_ssnx", PlaceQuery, 1, 0}, {"us_ssn", PlaceText, 1, 0}, {"us_ssn", PlaceQuery, 10, 0}, {"us_ssn", PlaceQuery, 1, 1}} {
		in.Findings[1] = f
		if other, ok := seen[key(in)]; ok {
			t.Errorf("changing member %d of a finding gives the key of %s", i, other)
		}
	}
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{-3: 0, 0: 0, 1: 1, 2: 2, 4: 2, 5: 5, 9: 5, 10: 10, 19: 10, 20: 20, 49: 20, 99: 50, 100: 100, 12345: 10000, 1 << 62: 2000000000000000000} {
		if got := Round(n); got != want {
			t.Errorf("Round(%d): got %d, want %d", n, got, want)
		}
	}
	a := Input{Findings: []Finding{{"b", PlaceText, 3, 2}, {"a", PlaceText, 1, 0}, {"b", PlaceText, 3, 1}, {"b", PlaceKey, 0, 0}}}
	given := append([]Finding(nil), a.Findings...)
	in := a
	in.normalise()
	if want := []Finding{{"a", PlaceText, 1, 0}, {"b", PlaceKey, 1, 0}, {"b", PlaceText, 5, 2}}; !reflect.DeepEqual(in.Findings, want) {
		t.Errorf("got %v, want %v", in.Findings, want)
	}
	if !reflect.DeepEqual(a.Findings, given) {
		t.Error("the caller's findings were changed")
	}
}

// Inputs outside their bounds are errors that name the member and no value.
func TestInputsThatAreRefused(t *testing.T) {
	t.Parallel()
	e, err := NewEngine(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("marker", 2<<20)
	for _, tc := range []struct {
		name   string
		change func(*Input)
		says   string
	}{
		{"12 MB of purpose", func(in *Input) { in.Purpose = long }, "purpose"},
		{"12 MB of operation", func(in *Input) { in.Operation = long }, "operation"},
		{"future version", func(in *Input) { in.V = 2 }, "version 2"},
		{"no direction", func(in *Input) { in.Direction = "" }, "direction"},
		{"unknown effect", func(in *Input) { in.Effect = "marker" }, "effect"},
		{"unknown scope", func(in *Input) { in.Scope = "many" }, "scope"},
		{"unknown mark", func(in *Input) { in.Mark = "marker" }, "mark"},
		{"many roles", func(in *Input) { in.Actor.Roles = make([]string, 33) }, "roles"},
		{"many grants", func(in *Input) { in.Actor.Grants = make([]string, 257) }, "grants"},
		{"a long grant", func(in *Input) { in.Actor.Grants = []string{long} }, "grant"},
		{"many flags", func(in *Input) { in.Subject.Flags = make([]string, 33) }, "flags"},
		{"a flag with a name", func(in *Input) { in.Subject.Flags = []string{"Jane"} }, "flag"},
		{"many findings", func(in *Input) { in.Findings = make([]Finding, 257) }, "findings"},
		{"no class", func(in *Input) { in.Findings = []Finding{{Place: PlaceText}} }, "class"},
		{"a long class", func(in *Input) { in.Findings = []Finding{{Class: long, Place: PlaceText}} }, "class"},
		{"unknown place", func(in *Input) { in.Findings = []Finding{{Class: "iban", Place: "marker"}} }, "place"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := sample()
			tc.change(&in)
			d, err := e.Decide(t.Context(), in)
			if d != nil || !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "marker") {
				t.Errorf("got %v, %.200v, want ErrInput about %s", d, err, tc.says)
			}
		})
	}
}

func TestParsePurpose(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"refund", "gdpr.art-15", "a", "x_1"} {
		if got, ok := ParsePurpose(good); !ok || got != good {
			t.Errorf("%q: got %q, %v", good, got, ok)
		}
	}
	for _, bad := range []string{"", "Refund", "4111111111111111", "for ann", "a\n", "é", strings.Repeat("a", 65), "-x"} {
		if _, ok := ParsePurpose(bad); ok {
			t.Errorf("%q: accepted", bad)
		}
	}
}

// FuzzDecide: whatever the input, there is a whole decision or an error, equal
// inputs get equal answers, and nothing that is blocked is allowed.
func FuzzDecide(f *testing.F) {
	e, err := NewEngine(f.Context(), Config{Cache: 64, Timeout: time.Minute}) // workers share cores
	if err != nil {
		f.Fatal(err)
	}
	raw, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"direction":"response","effect":"read","scope":"one","actor":{"kind":"token","roles":["admin"]}}`))
	f.Add([]byte(`{"direction":"request","effect":"admin","scope":"export","mark":"signed","observe":true,"findings":[{"class":"x","place":"path","count":-1}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in Input
		if json.Unmarshal(raw, &in) != nil {
			return
		}
		d, err := e.Decide(t.Context(), in)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Errorf("the built-in rules gave no decision: %v", err)
			}
			return
		}
		again, err := e.evaluate(t.Context(), normalised(in))
		if err != nil || !reflect.DeepEqual(d, again) {
			t.Errorf("asked again: got %+v, %v, want %+v", again, err, d)
		}
		if d.Allow == (d.Reason != "") || d.Allow != (len(d.Reasons) == 0) {
			t.Errorf("allow %v with reason %q of %v", d.Allow, d.Reason, d.Reasons)
		}
		if in.Observe != (d.Would != nil) || in.Observe && !d.Allow {
			t.Errorf("observe %v: got %+v", in.Observe, d)
		}
		for _, x := range in.Findings {
			if d.Allow && d.Action(x.Class, x.Place) == "block" {
				t.Error("a blocked finding is allowed")
			}
		}
	})
}

func normalised(in Input) *Input {
	in.normalise()
	return &in
}

func TestAmountsAreRoundedUp(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{-1: 0, 0: 0, 1: 1, 2: 2, 3: 5, 5: 5, 6: 10, 10: 10, 11: 20, 21: 50, 50: 50, 51: 100, 9_999: 10_000, 10_001: 20_000, 1_000_000_000_000_001: 2_000_000_000_000_000} {
		in := Input{Payment: InputPayment{Amount: n}}
		in.normalise()
		if got := in.Payment.Amount; got != want {
			t.Errorf("%d: got %d, want %d", n, got, want)
		}
	}
	for _, p := range []InputPayment{{Amount: -1}, {Tokens: -1}, {Unit: "eur"}, {Unit: "EURO"}, {Key: strings.Repeat("x", 129)}} {
		in := sample()
		in.Payment = p
		if err := in.validate(); !errors.Is(err, ErrInput) {
			t.Errorf("%+v: got %v, want ErrInput", p, err)
		}
	}
}
