package redact_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// message is one line of testdata/corpus: a message as a person or a system
// wrote it. Protected data stands in brackets with its class, ⟦credit_card|4111
// 1111 1111 1111⟧; with a question mark before the class, finding it or not is
// both right. Every other finding is a false alarm.
type message struct {
	ID string `json:"id"`
	// Form is how the data is written: plain, separators, unicode, encoded, spoken,
	// context; clean for messages without any.
	Form string `json:"form"`
	// Lang is the language (BCP 47), Channel where it was written. Both are for
	// readers of the corpus.
	Lang    string `json:"lang"`
	Channel string `json:"channel"`
	// Type is the kind of text as `caregate scan --type` takes it; empty is found
	// out from the text.
	Type string `json:"type"`
	Text string `json:"text"`
}

// gold is one labelled span of a message.
type gold struct {
	class      redact.Class
	start, end int
	optional   bool
}

// labels takes the brackets out of a message.
func labels(marked string) (text string, spans []gold, err error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(marked, "⟦")
		b.WriteString(before)
		if !ok {
			return b.String(), spans, nil
		}
		inside, after, ok := strings.Cut(rest, "⟧")
		class, value, named := strings.Cut(inside, "|")
		if !ok || !named {
			return "", nil, fmt.Errorf("a bracket without end or class")
		}
		class, optional := strings.CutPrefix(class, "?")
		if _, known := redact.Lookup(class); !known {
			return "", nil, fmt.Errorf("unknown class %q", class)
		}
		start := b.Len()
		b.WriteString(value)
		spans = append(spans, gold{redact.Class(class), start, b.Len(), optional})
		marked = after
	}
}

// corpus reads every message of testdata/corpus.
func corpus(tb testing.TB) []message {
	tb.Helper()
	names, err := filepath.Glob("testdata/corpus/*.jsonl")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no corpus: %v", err)
	}
	var all []message
	seen := map[string]bool{}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			var m message
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				tb.Fatalf("%s:%d: %v", name, n, err)
			}
			if m.ID == "" || m.Form == "" || seen[m.ID] {
				tb.Fatalf("%s:%d: id %q: missing, double, or without a form", name, n, m.ID)
			}
			seen[m.ID] = true
			all = append(all, m)
		}
		if err := lines.Err(); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

// score counts labelled spans that were found whole, those that were not, and
// findings that no label asks for.
type score struct{ hit, miss, alarm int }

func (s score) recall() float64 {
	if s.hit+s.miss == 0 {
		return 1
	}
	return float64(s.hit) / float64(s.hit+s.miss)
}

func (s score) precision() float64 {
	if s.hit+s.alarm == 0 {
		return 1
	}
	return float64(s.hit) / float64(s.hit+s.alarm)
}

// key is one row of the table.
type key struct {
	class redact.Class
	form  string
}

// floors are what each class must reach in each form of the corpus, in percent;
// a class without a row has none. Precision is over all forms.
var floors = []struct {
	class             redact.Class
	form              string
	recall, precision float64
}{
	{redact.CreditCard, "plain", 0.995, 0.99},
	{redact.CreditCard, "separators", 0.98, 0.99},
	{redact.CreditCard, "spoken", 0.95, 0.99},
	{redact.USSSN, "plain", 0.98, 0.98},
	{redact.USSSN, "spoken", 0.95, 0.98},
}

// TestCorpus holds the detector to its floors on messages that are not the ones
// the rules were written from. With -v it prints the table and every difference
// by message and offset.
func TestCorpus(t *testing.T) {
	t.Parallel()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	byForm, byClass := map[key]*score{}, map[redact.Class]*score{}
	at := func(class redact.Class, form string) (*score, *score) {
		if byForm[key{class, form}] == nil {
			byForm[key{class, form}] = new(score)
		}
		if byClass[class] == nil {
			byClass[class] = new(score)
		}
		return byForm[key{class, form}], byClass[class]
	}
	positive, negative := 0, 0
	for _, m := range corpus(t) {
		text, want, err := labels(m.Text)
		if err != nil {
			t.Fatalf("%s: %v", m.ID, err)
		}
		if slices.ContainsFunc(want, func(g gold) bool { return !g.optional }) {
			positive++
		} else {
			negative++
		}
		kind, err := kindOf(m.Type)
		if err != nil {
			t.Fatalf("%s: %v", m.ID, err)
		}
		found, _ := walk.Any(kind, []byte(text), d, nil)
		used := make([]bool, len(found))
		for _, g := range want {
			i := slices.IndexFunc(found, func(f redact.Finding) bool { return f.Class == g.class && f.Start <= g.start && f.End >= g.end })
			if i >= 0 {
				used[i] = true
			}
			for j, f := range found { // a part of the value is no false alarm, and no hit
				if f.Start < g.end && g.start < f.End {
					used[j] = true
				}
			}
			if info, _ := redact.Lookup(string(g.class)); g.optional || !info.Detected {
				continue
			}
			f, c := at(g.class, m.Form)
			if i >= 0 {
				f.hit++
				c.hit++
				continue
			}
			f.miss++
			c.miss++
			t.Logf("%s: %s at %d to %d missed", m.ID, g.class, g.start, g.end)
		}
		for i, f := range found {
			if used[i] {
				continue
			}
			s, c := at(f.Class, m.Form)
			s.alarm++
			c.alarm++
			t.Logf("%s: %s at %d to %d is a false alarm (%s)", m.ID, f.Class, f.Start, f.End, f.Rule)
		}
	}
	t.Log("\n" + table(byForm, byClass))
	for _, f := range floors {
		s := byForm[key{f.class, f.form}]
		if f.form == "" {
			s = byClass[f.class]
		}
		if s == nil || s.hit+s.miss < 20 {
			t.Errorf("%s %s: too few messages to say anything", f.class, f.form)
			continue
		}
		if got := s.recall(); got < f.recall {
			t.Errorf("%s %s: recall %.4f, want %.4f", f.class, f.form, got, f.recall)
		}
		if got := byClass[f.class].precision(); got < f.precision {
			t.Errorf("%s: precision %.4f, want %.4f", f.class, got, f.precision)
		}
	}
	if positive < 600 || negative < 800 {
		t.Errorf("the corpus has %d messages with data and %d without, want 600 and 800", positive, negative)
	}
}

// TestFalseAlarms counts what is found in tickets that hold nothing but
// identifiers, times and amounts: at most five findings in a megabyte, whatever
// the class. The numbers are random, so one in ten passes Luhn.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2026, 11))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		b[0] = byte('1' + r.IntN(9))
		return string(b)
	}
	hex := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789abcdef"[r.IntN(16)]
		}
		return string(b)
	}
	size, alarms := 0, map[redact.Class]int{}
	for size < 4<<20 {
		at := fmt.Sprintf("2026-%02d-%02dT%02d:%02d:%02dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
		ticket := fmt.Sprintf(`{"id":%s,"external_id":"%s","url":"https://acme.zendesk.com/api/v2/tickets/%s.json","requester_id":%s,"assignee_id":%s,"created_at":"%s",`+
			`"updated_at":%s,"uuid":"%s-%s-4%s-a%s-%s","order":{"order_id":"%s","number":%s,"total":"%s.%s","tracking_code":"%s","sku":"%s-%s"},`+
			`"device":{"imei":"35%s","serial":"%s"},"description":"Order #%s, parcel %s, invoice %s of %s, lot %s, %s pieces at %s.%s EUR","hash":"%s"}`,
			digits(7), digits(16), digits(7), digits(12), digits(14), at, digits(13), hex(8), hex(4), hex(3), hex(3), hex(12), digits(16), digits(14), digits(4), digits(2),
			digits(20), digits(6), digits(4), digits(13), digits(16), digits(16), digits(14), digits(10), at[:10], digits(9), digits(2), digits(3), digits(2), hex(64))
		size += len(ticket)
		found, _ := walk.Any(walk.JSON, []byte(ticket), d, nil)
		for _, f := range found {
			alarms[f.Class]++
		}
	}
	total := 0
	for class, n := range alarms {
		t.Logf("%s: %d in %d MB", class, n, size>>20)
		total += n
	}
	if perMB := float64(total) / (float64(size) / 1e6); perMB > 5 {
		t.Errorf("%.1f false alarms in a megabyte, want at most 5", perMB)
	}
}

// kindOf reads the type of a message.
func kindOf(name string) (walk.Kind, error) {
	for _, k := range []walk.Kind{walk.Auto, walk.JSON, walk.Form, walk.Text} {
		if name == k.String() || name == "" && k == walk.Auto {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", name)
}

// table prints the scores, one row for each class and form.
func table(byForm map[key]*score, byClass map[redact.Class]*score) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tform\tfound\tmissed\tfalse alarms\trecall\tprecision\t")
	row := func(class redact.Class, form string, s score) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%.4f\t%.4f\t\n", class, form, s.hit, s.miss, s.alarm, s.recall(), s.precision())
	}
	for _, info := range redact.Classes() {
		var forms []string
		for k := range byForm {
			if k.class == info.Class {
				forms = append(forms, k.form)
			}
		}
		slices.Sort(forms)
		for _, form := range forms {
			row(info.Class, form, *byForm[key{info.Class, form}])
		}
		if len(forms) > 1 {
			row(info.Class, "all", *byClass[info.Class])
		}
	}
	w.Flush()
	return b.String()
}
