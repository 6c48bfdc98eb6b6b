package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caregate/caregate/audit"
)

// excerptWidth is how much of a body is shown: what fits beside a label on a
// terminal of 100 columns.
const excerptWidth = 84

// print shows the story to people.
func (s *story) print(w io.Writer, r audit.Report, took time.Duration) {
	for i, st := range s.steps {
		outcome := fmt.Sprint(st.Status)
		if st.reason != "" {
			outcome += " " + st.reason
		}
		fmt.Fprintf(w, "%d. %s\n", i+1, st.Name)
		fmt.Fprintf(w, "   sent      %s\n", excerpt(st.Sent))
		switch {
		case !st.forwarded:
			fmt.Fprintln(w, "   helpdesk  saw nothing of it")
		case st.Stored != "":
			fmt.Fprintf(w, "   helpdesk  %s\n", excerpt(st.Stored))
		}
		fmt.Fprintf(w, "   returned  %s\n", excerpt(st.Returned))
		fmt.Fprintf(w, "   %s, receipt %s: %s\n\n", outcome, st.Receipt, st.note)
	}
	fmt.Fprintf(w, "Audit log: %d entries, %s. The whole story took %s.\n", r.Entries, r.Outcome, took.Round(10*time.Millisecond))
}

// excerpt is the part of a body that tells the story: around the first number or
// mask, else its beginning.
func excerpt(s string) string {
	s = plain(strings.Join(strings.Fields(s), " "))
	at := len(s)
	for _, mark := range append([]string{demoCardMask, demoCard2Mask, demoSSNMask}, clearNumbers...) {
		if i := strings.Index(s, mark); i >= 0 {
			at = min(at, i)
		}
	}
	if at == len(s) {
		at = 0
	}
	from := max(0, at-excerptWidth/3)
	for from > 0 && !utf8.RuneStart(s[from]) {
		from--
	}
	cut := []rune(s[from:])
	out := ""
	if from > 0 {
		out = "..."
	}
	if len(cut) > excerptWidth {
		return out + string(cut[:excerptWidth]) + "..."
	}
	return out + string(cut)
}
