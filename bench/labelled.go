package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/mingrammer/commonregex"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// wide is what libraries look for cards with: thirteen to nineteen digits from 3 to 6
// on, with a blank or a hyphen between any two; the check digit is tried afterwards.
var wide = regexp.MustCompile(`\b[3-6](?:[ -]?[0-9]){12,18}\b`)

// span is a place in a text.
type span struct{ start, end int }

// labelled is one text of the labelled messages: where cards stand, and where any
// label does.
type labelled struct {
	text        []byte
	form        string
	cards, data []span
}

// labels reads the labelled messages in redact/testdata. Conversations are left out:
// what is split over messages, a pattern cannot see at all.
func labels() ([]labelled, error) {
	names, err := filepath.Glob("redact/testdata/corpus/*.jsonl")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no labelled messages: %w", err)
	}
	var all []labelled
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var m struct{ Form, Text string }
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, err)
			}
			if m.Text != "" {
				all = append(all, unlabel(m.Text, m.Form))
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// unlabel takes the brackets ⟦class|value⟧ out of a text. A label with a question mark
// may be found or not.
func unlabel(marked, form string) labelled {
	l := labelled{form: form}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(marked, "⟦")
		b.WriteString(before)
		if !ok {
			break
		}
		inside, after, _ := strings.Cut(rest, "⟧")
		class, value, _ := strings.Cut(inside, "|")
		s := span{b.Len(), b.Len() + len(value)}
		l.data = append(l.data, s)
		if class == string(redact.CreditCard) {
			l.cards = append(l.cards, s)
		}
		b.WriteString(value)
		marked = after
	}
	l.text = []byte(b.String())
	return l
}

// seeker finds cards in a text, as a library would be called.
type seeker struct {
	name string
	find func(text []byte) []span
}

func seekers(d *detect.Detector) []seeker {
	pattern := func(re *regexp.Regexp, check bool) func([]byte) []span {
		return func(text []byte) (out []span) {
			for _, at := range re.FindAllIndex(text, -1) {
				if !check || luhn(text[at[0]:at[1]]) {
					out = append(out, span{at[0], at[1]})
				}
			}
			return out
		}
	}
	return []seeker{
		{"this gateway", func(text []byte) (out []span) {
			doc, err := walk.Parse(walk.Guess(text), text, d, nil, walk.Limits{})
			if err != nil {
				doc, err = walk.Parse(walk.Text, text, d, nil, walk.Limits{})
			}
			if err != nil {
				return nil
			}
			for _, f := range doc.Findings {
				if f.Class == redact.CreditCard && (!f.Never || f.Strong) {
					out = append(out, span{f.Start, f.End})
				}
			}
			return out
		}},
		{"Go regexp, naive card pattern", pattern(naive, false)},
		{"Go regexp, 13 to 19 digits, check digit", pattern(wide, true)},
		{"commonregex, its pattern for cards", pattern(commonregex.CreditCardRegex, false)},
	}
}

// luhn reports whether the digits of text have a right check digit.
func luhn(text []byte) bool {
	sum, n := 0, 0
	for i := len(text) - 1; i >= 0; i-- {
		if text[i]-'0' > 9 {
			continue
		}
		v := int(text[i] - '0')
		if n++; n%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// rivals prints what each seeker finds of the cards in the labelled messages, what else
// it takes for one, and how fast it is on chat without any and on ticket JSON.
func (b bench) rivals(out *tabwriter.Writer, d *detect.Detector, chat, page []byte) error {
	all, err := labels()
	if err != nil {
		return err
	}
	forms := []string{"plain", "separators", "unicode", "encoded", "spoken"}
	fmt.Fprintf(out, "cards found in the labelled messages\t%s\tfalse alarms\tclean chat MB/s\ttickets MB/s\n", strings.Join(forms, "\t"))
	for _, s := range seekers(d) {
		found, of, alarms := map[string]int{}, map[string]int{}, 0
		for _, l := range all {
			spans := s.find(l.text)
			for _, c := range l.cards {
				of[l.form]++
				if covered(spans, c) {
					found[l.form]++
				}
			}
			for _, f := range spans {
				if !touches(l.data, f) {
					alarms++
				}
			}
		}
		fmt.Fprintf(out, "%s\t", s.name)
		for _, form := range forms {
			fmt.Fprintf(out, "%d/%d\t", found[form], of[form])
		}
		fmt.Fprintf(out, "%d", alarms)
		for _, text := range [][]byte{chat, page} {
			fmt.Fprintf(out, "\t%.0f", rate(b.slice/4, len(text), func() { s.find(text) }))
		}
		fmt.Fprintln(out)
	}
	return nil
}

// covered reports whether one of the spans holds all of c.
func covered(spans []span, c span) bool {
	for _, s := range spans {
		if s.start <= c.start && s.end >= c.end {
			return true
		}
	}
	return false
}

// touches reports whether one of the spans has a byte in common with f.
func touches(spans []span, f span) bool {
	for _, s := range spans {
		if s.start < f.end && f.start < s.end {
			return true
		}
	}
	return false
}
