package detect

import (
	"encoding/json"
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

// The same text as a stream, in pieces as they are read from a socket.
func BenchmarkCleanChatWindows(b *testing.B) {
	text, d := cleanChatText(b), newDetector(b)
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var found []redact.Finding
			b.SetBytes(int64(len(text)))
			done := cpuRate(b, len(text))
			b.ReportAllocs()
			for b.Loop() {
				var c Carry
				for base, settled, end := 0, 0, 0; end < len(text); {
					end = min(end+size, len(text))
					found, settled = d.Window(found[:0], text[base:end], settled, end == len(text), &c)
					if cut := settled - LookBehind; cut > 0 {
						base, settled = base+cut, settled-cut
					}
				}
			}
			done()
		})
	}
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
			var s signs
			for i := s.next(&d.wake, text, 0); i < len(text); i = s.next(&d.wake, text, i+1) {
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

// hostile are inputs made to be slow, by name: pieces of text, each of which is
// repeated. The groups are text, tokens and spoken.
func hostile(t testing.TB, group string) map[string]string {
	t.Helper()
	src, err := os.ReadFile("../testdata/hostile.json")
	if err != nil {
		t.Fatal(err)
	}
	var groups map[string]map[string]string
	if err := json.Unmarshal(src, &groups); err != nil || len(groups[group]) == 0 {
		t.Fatalf("no group %s of hostile inputs: %v", group, err)
	}
	return groups[group]
}

// The floor for hostile input is 50 MB/s.
func BenchmarkHostile(b *testing.B) {
	d := newDetector(b)
	for _, group := range []string{"text", "tokens", "spoken"} {
		for name, piece := range hostile(b, group) {
			text := []byte(strings.Repeat(piece, 1<<18/len(piece)))
			b.Run(group+"/"+name, func(b *testing.B) {
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
}

// Work grows with the text and not faster: four times the text takes less than
// eight times as long in counted steps of the benchmark above. Here only the
// answer is checked to be the same for each repetition.
func TestHostileRepeats(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	texts := hostile(t, "text")
	for name, piece := range hostile(t, "tokens") {
		texts["token: "+name] = piece
	}
	for name, piece := range texts {
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
