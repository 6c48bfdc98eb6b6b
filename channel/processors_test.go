package channel

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// processors are the channels whose payments a token can stand for, with the words that
// are common to theirs.
var processors = map[string]struct {
	Idempotency, Account string
	Decimal, Once        bool
	good, bad            string // references
}{
	"stripe":    {good: "ch_3MmlLrLkdIwHu7ix0snN0B15", bad: "re_3MmlLrLkdIwHu7ix0snN0B15", Idempotency: "Idempotency-Key", Account: "Stripe-Account"},
	"adyen":     {good: "NC6HT9CRT65ZGN82", bad: "DE89370400440532013000", Idempotency: "Idempotency-Key"},
	"paypal":    {good: "2GG279541U471931P", bad: "ch_3MmlLrLkdIwHu", Idempotency: "Paypal-Request-Id", Account: "Paypal-Auth-Assertion", Decimal: true},
	"braintree": {good: "d9mq4n7x", bad: "2GG279541U471931P", Idempotency: "Idempotency-Key", Decimal: true, Once: true},
}

func processor(t *testing.T, name string) *Channel {
	t.Helper()
	c, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The checked-in tables show what every call is taken for, and where a token is turned
// back: nowhere else than in these calls.
func TestProcessorOperations(t *testing.T) {
	t.Parallel()
	takes := map[string][]string{
		"stripe":    {"charge.show", "intent.show", "refund.create"},
		"adyen":     {"refund.create", "reversal.create"},
		"paypal":    {"capture.show", "refund.create"},
		"braintree": {"refund.create", "transaction.show"},
	}
	for name, want := range processors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := processor(t, name)
			if p := c.Payments; p == nil || p.Idempotency != want.Idempotency || p.Account != want.Account || p.Decimal != want.Decimal || p.Once != want.Once {
				t.Fatalf("payments are %+v, want %+v", p, want)
			}
			for _, other := range []string{want.bad, want.good + " ", want.good + "\n", "a" + want.good + "/", ""} {
				if c.Payments.Form.MatchString(other) || !c.Payments.Form.MatchString(want.good) {
					t.Errorf("%q is taken for a reference, or %q is not", other, want.good)
				}
			}
			var table strings.Builder
			var taking []string
			for _, op := range c.Operations {
				path, values := example(op)
				for _, method := range op.Methods {
					m := c.Match(method, path)
					if m.Op != op || len(m.Params) != len(values) {
						t.Errorf("%s %s is taken for %s, want %s", method, path, m.Op.Name, op.Name)
					}
					fmt.Fprintf(&table, "%-7s %-75s %-26s %-6s %-6s %s", method, op.Pattern, op.Name, op.Effect, op.Scope, op.Mark)
					for _, rule := range op.RequestRules {
						if strings.HasPrefix(rule.Label, "payment:") {
							fmt.Fprintf(&table, " %s=%s", strings.TrimPrefix(rule.Label, "payment:"), rule.Pointer)
						}
					}
					table.WriteByte('\n')
				}
				if op.TakesToken() {
					taking = append(taking, op.Name)
				}
			}
			slices.Sort(taking)
			if !slices.Equal(taking, takes[name]) {
				t.Errorf("tokens are turned back in %v, want %v", taking, takes[name])
			}
			lines := strings.Split(table.String(), "\n")
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " ")
			}
			golden(t, "testdata/"+name+".golden", strings.Join(lines, "\n"))
		})
	}
}

// Every call that a vendor's own description lists is in the channel file. The lists
// have one call a line, from the descriptions that adyen.calls and paypal.calls name.
func TestProcessorsKnowTheirCalls(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"adyen", "paypal"} {
		c := processor(t, name)
		f, err := os.Open("testdata/" + name + ".calls")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		calls := 0
		for lines := bufio.NewScanner(f); lines.Scan(); {
			line := lines.Text()
			if line == "" || line[0] == '#' {
				continue
			}
			method, path, _ := strings.Cut(line, " ")
			calls++
			path = strings.NewReplacer("{", "x", "}", "y").Replace(path)
			if m := c.Match(method, path); !m.Mapped {
				t.Errorf("%s does not know %s", name, line)
			}
		}
		if calls < 20 {
			t.Errorf("%s: %d calls listed", name, calls)
		}
	}
}

// The same call has the same name on Adyen's test host and on its live ones.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	c := processor(t, "adyen")
	for path, want := range map[string]string{
		"/v72/payments/883661/refunds":                                "refund.create",
		"/checkout/v72/payments/883661/refunds":                       "refund.create",
		"/ca/services/DataProtectionService/v1/requestSubjectErasure": "erasure.create",
		"/checkoutv72/v72/payments/1/refunds":                         "unmapped.post",
		"/checkout/checkout/v72/payments/1/refunds":                   "unmapped.post",
		"/checkout": "unmapped.post",
	} {
		if got := c.Match("POST", path).Op.Name; got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
