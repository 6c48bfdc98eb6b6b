package redact_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

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
