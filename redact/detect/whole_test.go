package detect

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// A value that is nothing but a number is found as it is by the whole search, whatever
// its name says.
func TestWhole(t *testing.T) {
	t.Parallel()
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(11, 11))
	keys := []string{"", "id", "order_id", "card", "cardNumber", "pan", "ssn", "taxId", "text", "body", "phone", "iban", "account", "routing", "imei", "last4", "token", "nhs", "siret"}
	prefixes := []string{"4", "4111", "5555", "2223", "34", "37", "6011", "62", "30", "36", "35", "81", "911", "123", "000", "9", "1", "078", "2200", "8600"}
	groupings := [][]int{nil, {4, 4, 4, 4, 3}, {4, 6, 5}, {4, 6, 4}, {3, 2, 4}, {3, 6}, {5, 4}, {2, 2, 2, 2, 2, 2, 2, 2, 2, 1}, {8, 8, 3}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {6, 13}}
	found := 0
	for range 60_000 {
		n := 9 + r.IntN(11)
		var b strings.Builder
		b.WriteString(prefixes[r.IntN(len(prefixes))])
		for b.Len() < n {
			b.WriteByte('0' + byte(r.IntN(10)))
		}
		digits := []byte(b.String()[:n])
		for last := byte('0'); last <= '9' && r.IntN(4) > 0; last++ {
			if digits[n-1] = last; luhn(digits) {
				break
			}
		}
		var text []byte
		groups, at := groupings[r.IntN(len(groupings))], 0
		for _, size := range groups {
			if at+size >= n {
				break
			}
			text = append(append(text, digits[at:at+size]...), " - "[r.IntN(3)])
			at += size
		}
		text = append(text, digits[at:]...)
		h := Hint{Key: keys[r.IntN(len(keys))], ID: r.IntN(10) == 0}
		f, ok := d.whole(text, h)
		if !ok {
			continue
		}
		found++
		s := scanner{d: d, text: text, hint: h, stop: len(text), final: true, card: -1}
		var all []redact.Finding
		s.run(&all, 0)
		all = s.always(all, 0, len(text))
		s.forget()
		if all = resolve(all); len(all) != 1 || !reflect.DeepEqual(all[0], f) {
			t.Fatalf("a number of %d digits in %d bytes beside %q: found %+v, by the whole search %+v", n, len(text), h.Key, f, all)
		}
	}
	if found < 2000 {
		t.Errorf("only %d of the numbers were something", found)
	}
}
