package transform

import (
	"regexp"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestAppendTag(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value, want string
		class       redact.Class
		action      redact.Action
	}{
		"card":             {"4111 1111.1111/1111", "XXXX_XXXX_XXXX_1111", redact.CreditCard, redact.Mask},
		"with a hyphen":    {"4111-1111-1111-1111", "XXXX-XXXX-XXXX-1111", redact.CreditCard, redact.Mask},
		"a dropped secret": {"sk_live_abc", "_removed_", redact.Secret, redact.Drop},
		"reported":         {"4111 1111 1111 1111", "4111 1111 1111 1111", redact.CreditCard, redact.Report},
		"other separators": {"4111\u00a01111\u00a01111\u00a01111", "XXXX_XXXX_XXXX_1111", redact.CreditCard, redact.Mask},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(AppendTag([]byte("a b "), []byte(c.value), c.class, c.action)); got != "a b "+c.want {
				t.Errorf("got %q, want %q", got, "a b "+c.want)
			}
		})
	}
}

func TestAppendCardField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value, want string
		action      redact.Action
	}{
		"as printed":              {"4111 1111 1111 1111", "XXXXXXXXXXXX1111", redact.Mask},
		"twelve digits":           {"501971701012", "XXXXXXXXX1012", redact.Mask},
		"nineteen digits":         {"6212345678900000003", "XXXXXXXXXXXXXXX0003", redact.Mask},
		"nineteen, or a code":     {"4111 1111 1111 1111 110", "", redact.Mask},
		"dropped":                 {"4111 1111 1111 1111", "", redact.Drop},
		"with entities":           {"4111 1111 1111 &#49;&#x31;11", "XXXXXXXXXXXX1111", redact.Mask},
		"hexadecimal in front":    {"cc4111111111111111", "XXXXXXXXXXXX1111", redact.Mask},
		"in words":                {"four one one one one one one one one one one one one one one one", "XXXXXXXXXXXX1111", redact.Mask},
		"digits of other scripts": {"٤١١١ ١١١١ ١١١١ ١١١١", "XXXXXXXXXXXX1111", redact.Mask},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := string(AppendCardField([]byte("> "), []byte(c.value), c.action))
			if got != "> "+c.want {
				t.Errorf("got %q, want %q", got, "> "+c.want)
			}
			if c.want != "" && !Masked([]byte(got)) {
				t.Error("it is not known as a mask")
			}
		})
	}
}

// Whatever the bytes are: a tag stays one, a field for masked cards gets nothing but a
// masked card, and no digit of a piece stays.
func FuzzField(f *testing.F) {
	for _, value := range []string{"4111 1111.1111/1111", "٤١١١ ١١١١ ١١١١ ١١١١", "NDExMTExMTExMTExMTExMQ==", "one 1 &#49;", "4111 1111 1111 1111 110"} {
		f.Add([]byte(value), uint8(redact.Mask))
	}
	tag, card := regexp.MustCompile(`^[A-Za-z0-9_-]*$`), regexp.MustCompile(`^(X{9,15}[0-9]{4})?$`)
	f.Fuzz(func(t *testing.T, value []byte, action uint8) {
		a := redact.Action(action % 6)
		if !a.Rewrites() {
			return
		}
		for _, c := range []redact.Class{redact.CreditCard, redact.USSSN, redact.CardVerificationCode, redact.Secret} {
			if !tag.Match(AppendTag(nil, value, c, a)) {
				t.Errorf("%s, %s: this is no tag", c, a)
			}
		}
		if !card.Match(AppendCardField(nil, value, a)) {
			t.Errorf("%s: this is no masked card", a)
		}
		if n, _ := digitsLeft(value, AppendPiece(nil, value, a), redact.CardVerificationCode, a); n > 0 {
			t.Errorf("%s: %d digits left of a piece", a, n)
		}
	})
}
