package redact_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

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

// row is one row of the table; an empty form is all forms.
type row struct {
	part  string
	class redact.Class
	form  string
}

// scores are the rows of the table.
type scores map[row]*score

// add counts for every row that the message has a share in.
func (s scores) add(m *message, class redact.Class, count func(*score)) {
	for _, part := range []string{m.part, allParts} {
		for _, form := range []string{m.Form, ""} {
			k := row{part, class, form}
			if s[k] == nil {
				s[k] = new(score)
			}
			count(s[k])
		}
	}
}

// floors are what each class must reach in each form, on each part of the corpus
// and on all of it; an empty form is all forms. A class without a row has none.
// Precision is over all forms.
var floors = []struct {
	class             redact.Class
	form              string
	recall, precision float64
}{
	{redact.CreditCard, "plain", 0.995, 0.99},
	{redact.CreditCard, "separators", 0.98, 0.99},
	{redact.CreditCard, "unicode", 0.98, 0.99},
	{redact.CreditCard, "encoded", 0.98, 0.99},
	{redact.CreditCard, "spoken", 0.95, 0.99},
	{redact.CreditCard, "split", 0.9, 0.99},
	{redact.CardVerificationCode, "", 0.95, 0.98},
	{redact.USSSN, "", 0.98, 0.98},
	{redact.USSSN, "spoken", 0.95, 0.98},
}

// fewLabels is below which a share says nothing; such a row is judged on all
// parts together only.
const fewLabels = 20

// TestCorpus holds the detector to its floors on messages that are not the ones
// the rules were written from. With -v it prints the table and every difference
// by message and offset.
func TestCorpus(t *testing.T) {
	t.Parallel()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	table := scores{}
	with, without := map[string]int{}, map[string]int{}
	for _, m := range corpus(t) {
		data, err := table.judge(t, d, &m)
		if err != nil {
			t.Fatalf("%s: %v", m.ID, err)
		}
		if data {
			with[m.part]++
		} else {
			without[m.part]++
		}
	}
	t.Log("\n" + table.String())
	// The eighth part is nothing but what the rules failed at, with more numbers that read as
	// a card by chance than there are cards: it counts in all parts together.
	for _, part := range []string{firstPart, secondPart, thirdPart, fourthPart, fifthPart, sixthPart, seventhPart, ninthPart, tenthPart, allParts} {
		for _, f := range floors {
			s := table[row{part, f.class, f.form}]
			if s == nil || s.hit+s.miss < fewLabels {
				if part == allParts {
					t.Errorf("%s %s: too few messages to say anything", f.class, f.form)
				}
				continue
			}
			if got := s.recall(); got < f.recall {
				t.Errorf("%s: %s %s: recall %.4f, want %.4f", part, f.class, f.form, got, f.recall)
			}
			if got := table[row{part, f.class, ""}].precision(); got < f.precision {
				t.Errorf("%s: %s: precision %.4f, want %.4f", part, f.class, got, f.precision)
			}
		}
	}
	for part, want := range map[string][2]int{firstPart: {600, 800}, secondPart: {450, 450}, thirdPart: {210, 170}, fourthPart: {330, 350}, fifthPart: {95, 115}, sixthPart: {270, 370}, seventhPart: {400, 280}, eighthPart: {120, 150}, ninthPart: {280, 410}, tenthPart: {330, 460}} {
		if with[part] < want[0] || without[part] < want[1] {
			t.Errorf("the %s part has %d messages with data and %d without, want %d and %d", part, with[part], without[part], want[0], want[1])
		}
	}
}

// judge reads one message and counts hits, misses and false alarms. data tells
// that the message holds something that must be found.
func (s scores) judge(t *testing.T, d *detect.Detector, m *message) (data bool, err error) {
	kind, err := kindOf(m.Type)
	if err != nil {
		return false, err
	}
	var texts []string
	var want [][]gold
	for _, marked := range m.texts() {
		text, spans, err := labels(marked)
		if err != nil {
			return false, err
		}
		texts, want = append(texts, text), append(want, spans)
		data = data || slices.ContainsFunc(spans, func(g gold) bool { return !g.optional })
	}
	for i, r := range read(t, d, kind, texts) {
		found := r.findings()
		used := make([]bool, len(found))
		for _, g := range want[i] {
			hit := false
			for j, f := range found {
				hit = hit || f.Class == g.class && f.Start <= g.start && f.End >= g.end
				// A part of the value is no false alarm, and no hit.
				used[j] = used[j] || f.Start < g.end && g.start < f.End
			}
			if info, _ := redact.Lookup(string(g.class)); g.optional || !info.Detected {
				continue
			}
			if hit {
				s.add(m, g.class, func(s *score) { s.hit++ })
				continue
			}
			s.add(m, g.class, func(s *score) { s.miss++ })
			t.Logf("%s: %s at %d to %d of text %d missed (%s)", m.ID, g.class, g.start, g.end, i, m.Form)
		}
		for j, f := range found {
			if !used[j] {
				s.add(m, f.Class, func(s *score) { s.alarm++ })
				t.Logf("%s: %s at %d to %d of text %d is a false alarm (%s)", m.ID, f.Class, f.Start, f.End, i, f.Rule)
			}
		}
	}
	return data, nil
}

// String prints the scores, one row for each class and form and part.
func (s scores) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tform\tpart\tfound\tmissed\tfalse alarms\trecall\tprecision\t")
	for _, info := range redact.Classes() {
		var forms []string
		for k := range s {
			if k.class == info.Class && k.part == allParts {
				forms = append(forms, k.form)
			}
		}
		slices.Sort(forms)
		if len(forms) == 2 {
			forms = forms[1:] // there is one form: all forms would say the same
		}
		for _, form := range forms {
			for _, part := range []string{firstPart, secondPart, thirdPart, fourthPart, fifthPart, sixthPart, seventhPart, eighthPart, ninthPart, tenthPart, allParts} {
				c := s[row{part, info.Class, form}]
				if c == nil {
					continue
				}
				name := form
				if form == "" {
					name = "all"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%.4f\t%.4f\t\n", info.Class, name, part, c.hit, c.miss, c.alarm, c.recall(), c.precision())
			}
		}
	}
	w.Flush()
	return b.String()
}
