package console

import (
	"strings"
	"testing"
)

// answerCase is a call and what is to come of it.
type answerCase struct {
	name, method, path string
	pattern            string // of the path, where it has variables
	body               string
	set                func(*gateway)
	status             int
	reason             string // of a refusal
	cause              string // part of the body
}

// checkAnswers makes each call on a gateway of its own, and holds the answer against the
// description, too.
func checkAnswers(t *testing.T, tests []answerCase) {
	d := describe(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			if tt.set != nil {
				tt.set(g)
			}
			w := g.do(tt.method, tt.path, tt.body)
			body := bodyOf(w)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, body)
			}
			pattern := tt.pattern
			if pattern == "" {
				pattern = tt.path
			}
			if err := d.checkAnswer(tt.method, pattern, w.Code, w.Header().Get("Content-Type"), body); err != nil {
				t.Errorf("the answer is not what is described: %v", err)
			}
			if got := w.Header().Get(headerError); got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
			if !strings.Contains(string(body), tt.cause) {
				t.Errorf("the answer does not mention %q: %s", tt.cause, body)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("the answer has %s", name)
				}
			}
			if g.journal.open != 0 {
				t.Errorf("%d reservations were not given back", g.journal.open)
			}
			if strings.Contains(g.log.String(), testSecret) {
				t.Error("the secret is in the log")
			}
		})
	}
}
