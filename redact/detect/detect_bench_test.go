package detect

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/redact"
)

func cleanChatText(b *testing.B) []byte {
	b.Helper()
	text, err := os.ReadFile("../../bench/clean-chat.txt")
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// cpuRate reports bytes per second of processor time, which stays true on a
// machine that others use too. Call the result when the work is done.
func cpuRate(b *testing.B, size int) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() {
		b.ReportMetric(float64(size)*float64(b.N)/1e6/(used()-before).Seconds(), "cpu-MB/s")
	}
}

// The budget: 2 GB/s of clean chat on one core, and fifty times the regular
// expression below.
func BenchmarkCleanChat(b *testing.B) {
	text, d := cleanChatText(b), newDetector(b)
	var found []redact.Finding
	b.SetBytes(int64(len(text)))
	done := cpuRate(b, len(text))
	b.ReportAllocs()
	for b.Loop() {
		found = d.Text(found[:0], text, Hint{})
	}
	done()
}

// The pattern most filters begin with, in Go's engine.
func BenchmarkCleanChatRegexp(b *testing.B) {
	text := cleanChatText(b)
	re := regexp.MustCompile(`\b(?:\d[ -]*?){13,16}\b`)
	b.SetBytes(int64(len(text)))
	done := cpuRate(b, len(text))
	for b.Loop() {
		re.FindAllIndex(text, -1)
	}
	done()
}

// Only the search for digits, to see what the rest costs.
func BenchmarkKernel(b *testing.B) {
	text := cleanChatText(b)
	b.SetBytes(int64(len(text)))
	done := cpuRate(b, len(text))
	for b.Loop() {
		for i := nextDigit(text, 0); i < len(text); i = nextDigit(text, i+1) {
		}
	}
	done()
}

// The one pass for all triggers, and the pass for spoken numbers, which are what
// clean text costs.
func BenchmarkTriggers(b *testing.B) {
	text, d := cleanChatText(b), newDetector(b)
	b.Run("signs", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		done := cpuRate(b, len(text))
		for b.Loop() {
			for i := d.next(text, 0); i < len(text); i = d.next(text, i+1) {
			}
		}
		done()
	})
	b.Run("spoken", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		done := cpuRate(b, len(text))
		for b.Loop() {
			for i := d.talk.reader.Next(text, 0, 0); i < len(text); i = d.talk.reader.Next(text, i+1, 0) {
			}
		}
		done()
	})
}

func BenchmarkNoDigits(b *testing.B) {
	text := []byte(strings.Repeat("nothing to see here, move along please. ", 25000))
	d := newDetector(b)
	b.SetBytes(int64(len(text)))
	done := cpuRate(b, len(text))
	for b.Loop() {
		d.Text(nil, text, Hint{})
	}
	done()
}

// hostile are inputs made to be slow.
var hostile = map[string]string{
	"digits only":        "0123456789",
	"fours":              "4",
	"0 1":                "0 1 ",
	"4 4":                "4 4 ",
	"4 1 1":              "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2 ",
	"no-break spaces":    "4\u00a0",
	"three separators":   "4 - ",
	"wide separators":    "4\u2009\u2009\u2009",
	"pairs":              "44 ",
	"fours of four":      "4111 ",
	"luhn, never a card": "4111111111111111a ",
	"order and card":     "order 4111111111111111 ",
	"cards":              "4111111111111111 ",
	"cards as printed":   "4111 1111 1111 1111, ",
	"odd groups":         "41111 1111 111 11 1 1 ",
	"tax numbers":        "536-22-8145 ",
	"nine digits":        "536228145 ",
	"nine with context":  "ssn 536228145x ",
	"codes":              "cvv 123 ",
	"no codes":           "cv 123 code 123 pin 12 ",
	"track begins":       "4111111111111111^4111111111111111^",
	"uuids":              "12345678-4111-1111-1111-111111111111 ",
	"ibans":              "DE89 3704 0044 0532 0130 00 ",
	"words and digits":   "card 4 order 4 ssn 4 ",
	"masks":              "XXXX XXXX XXXX 1111 ",
	"dots":               "4111.1111.1111.1112.",
	"wide words":         "カード4111",
	"entities":           "&#52;",
	"entities, apart":    "&#52; ",
	"double percent":     "%2534",
	"percent":            "%34%20",
	"quoted-printable":   "=34=20",
	"json escapes":       `\u0034`,
	"nested escapes":     `\\\\u0034`,
	"full width":         "４",
	"hidden":             "4\u200b",
	"tags":               "<b>4</b>",
	"base64":             "NDExMTExMTExMTExMTEx",
	"base64, words":      "Y2FyZCA0MTEx",
	"base64, no text":    "q83vEjRWeJCr",
	"letters for digits": "card 4lO1 ",
	"sparse entities":    "&#52;" + strings.Repeat(" lorem ipsum", 22),
	"ones in words":      "one ",
	"fours in words":     "four, ",
	"spoken, named":      "card four four four four ",
	"spoken cards":       "four one one one one one one one one one one one one one one one. ",
	"spoken tax numbers": "social five one nine two two eight one four five. ",
	"spoken pairs":       "forty two ",
	"spoken codes":       "cvv one two three ",
}

// The floor for hostile input is 50 MB/s.
func BenchmarkHostile(b *testing.B) {
	d := newDetector(b)
	for name, piece := range hostile {
		text := []byte(strings.Repeat(piece, 1<<18/len(piece)))
		b.Run(name, func(b *testing.B) {
			var found []redact.Finding
			b.SetBytes(int64(len(text)))
			done := cpuRate(b, len(text))
			for b.Loop() {
				found = d.Text(found[:0], text, Hint{})
			}
			done()
		})
	}
}

// Work grows with the text and not faster: four times the text takes less than
// eight times as long in counted steps of the benchmark above. Here only the
// answer is checked to be the same for each repetition.
func TestHostileRepeats(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, piece := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			small := len(d.Text(nil, []byte(strings.Repeat(piece, 2000)), Hint{}))
			large := len(d.Text(nil, []byte(strings.Repeat(piece, 20000)), Hint{}))
			if small > 0 && (large < 8*small || large > 12*small) {
				t.Errorf("%d findings in 2,000 repetitions, %d in 20,000", small, large)
			}
			if fmt.Sprint(small) == "0" && large > 0 {
				t.Errorf("no finding in 2,000 repetitions, %d in 20,000", large)
			}
		})
	}
}

// The strings that a ticket has most of, each by itself, as the JSON walker hands
// them over.
func BenchmarkShortStrings(b *testing.B) {
	d := newDetector(b)
	for name, text := range map[string]string{
		"status":      "open",
		"words":       "Delivery is late again",
		"order":       "Delivery of order 48213377",
		"url":         "https://acme.zendesk.com/api/v2/tickets/4402126792468.json",
		"mail":        "jo1234@example.com",
		"tag":         "order_48213",
		"time":        "2026-11-22T04:56:21Z",
		"uuid":        "6fa459ea-ee8a-3ca4-894e-db77e160355e",
		"hexadecimal": "5f3c9a7be21d40f8a6b0c1d2",
		"price":       "it cost $59.90",
		"card":        "my card is 4111 1111 1111 1111",
	} {
		b.Run(name, func(b *testing.B) {
			var found []redact.Finding
			raw := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				found = d.Text(found[:0], raw, Hint{Key: "value"})
			}
		})
	}
}
