package transform

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestAppendSpoken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value  string
		class  redact.Class
		action redact.Action
		want   string
	}{
		"card":                {"four one one one one one one one one one one one one one one one", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"amex":                {"thirty-seven eighty-two, eight two two four six three, one oh oh oh five", redact.CreditCard, redact.Mask, "XXXX XXXXXX X0005"},
		"eighteen digits":     {"four 0 3453622814517230", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XX7230"},
		"numerals and words":  {"4111 one one one one 1111 double one double one", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"nineteen, or a code": {"four one one one, one one one one, one one one one, one one one one, one one zero", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXXX XXX"},
		"nineteen digits":     {"six two one two three four five six seven eight nine oh oh oh oh oh oh oh three", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXX0003"},
		"between turns":       {"four one one one. Agent: go on. Customer: one one one one one one one one one one one one", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"times between":       {"four one one one\n[00:19] Caller: one one one one\n[00:23] Caller: one one one one\n[00:27] Caller: one one one one", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"look alike":          {"4lll-1111-11lI-OO12", redact.CreditCard, redact.Mask, "XXXX-XXXX-XXXX-0012"},
		"dropped":             {"four one one one one one one one one one one one one one one one", redact.CreditCard, redact.Drop, "XXXXXXXXXXXXXXXX"},
		"code":                {"one two three", redact.CardVerificationCode, redact.Drop, "XXX"},
		"pin":                 {"forty-eight twenty-one", redact.CardPIN, redact.Drop, "XXXX"},
		"social":              {"five one nine, two two, eight one four five", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"german":              {"einundvierzig elf elf elf elf elf elf elf", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"reported":            {"one two three", redact.CardVerificationCode, redact.Report, "one two three"},
		"a hexadecimal word":  {"cc4111111111111111", redact.CreditCard, redact.Mask, "ccXXXXXXXXXXXX1111"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(Append([]byte("> "), []byte(c.value), c.class, c.action)); got != "> "+c.want {
				t.Errorf("got %q, want %q", got, "> "+c.want)
			}
		})
	}
}

func TestAppendPiece(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value  string
		action redact.Action
		want   string
	}{
		"card":     {"1111 1111", redact.Mask, "XXXX XXXX"},
		"spoken":   {"one one one one", redact.Mask, "XXXX"},
		"one word": {"seven", redact.Mask, "X"},
		"mixed":    {"11 one one", redact.Drop, "XXXX"},
		"pairs":    {"elf elf einundvierzig", redact.Mask, "XXXXXX"},
		"reported": {"1111", redact.Report, "1111"},
		"scripts":  {"١١١١ ١١", redact.Mask, "XXXX XX"},
		"wide":     {"１１１１\u00a0１１", redact.Mask, "XXXX\u00a0XX"},
		"hidden":   {"11\u200b11", redact.Mask, "XXXX"},
		"entities": {"&#49;1&nbsp;11", redact.Mask, "XX&nbsp;XX"},
		"tags":     {"11 <b>11</b> 1", redact.Mask, "XX <b>XX</b> X"},
		"one sign": {"١", redact.Mask, "XXX"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(AppendPiece([]byte("> "), []byte(c.value), c.action)); got != "> "+c.want {
				t.Errorf("got %q, want %q", got, "> "+c.want)
			}
		})
	}
}
