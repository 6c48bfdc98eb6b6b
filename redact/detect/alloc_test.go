//go:build !race

// The race detector makes pools forget what they hold, so allocations are counted
// without it.

package detect

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// cleanMail and cleanTicket are bodies without findings, with the numbers that such
// bodies have.
const (
	cleanMail = "Dear Sir or Madam,\n\nOn March 12 I ordered the reading lamp (order 4821337, $59.90) and it has not arrived.\nYour page said 3 to 5 days; that was at 13:15 two weeks ago.\n" +
		"Could you look into it? One of my neighbours had the same, and nobody at the shop knew about it.\n\nKind regards,\nInes\n"
	cleanTicket = `{"ticket":{"id":35436,"subject":"Delivery is late again","status":"open","created_at":"2026-11-22T04:56:21Z","priority":null,` +
		`"tags":["late","order_48213"],"requester":{"name":"Ines Ferreira","locale":"pt-BR"},"comment":{"body":"Hello, my order 4821337 was due at 13:15, it cost $59.90 and nothing came.","public":true}}}`
)

// What Text allocates shows each time; pools may have to be filled again once.
func leastAllocations(run func()) float64 {
	run()
	least := math.Inf(1)
	for range 3 {
		least = min(least, testing.AllocsPerRun(20, run))
	}
	return least
}

// Nothing is allocated for a clean body: plain text, chat as a whole and message by
// message, JSON as text and string by string under its keys.
func TestCleanBodiesDoNotAllocate(t *testing.T) {
	chat, err := os.ReadFile(cleanChatFile)
	if err != nil {
		t.Fatal(err)
	}
	body := func(texts ...string) (all [][]byte) {
		for _, s := range texts {
			all = append(all, []byte(s))
		}
		return all
	}
	d := newDetector(t)
	for _, c := range []struct {
		name  string
		texts [][]byte
		key   string
	}{
		{"plain text", body(cleanMail), ""},
		{"chat", [][]byte{chat}, ""},
		{"messages of a chat", body(strings.Split(string(chat[:1<<16]), "\n")...), "text"},
		{"json", body(cleanTicket), ""},
		{"strings of json", body("Delivery is late again", "open", "late", "order_48213", "Ines Ferreira", "pt-BR", "Hello, my order 4821337 was due at 13:15, it cost $59.90 and nothing came."), "body"},
		{"identifiers of json", body("35436", "2026-11-22T04:56:21Z", "6fa459ea-ee8a-3ca4-894e-db77e160355e"), "id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found []redact.Finding
			least := leastAllocations(func() {
				for _, text := range c.texts {
					found = d.Text(found, text, Hint{Key: c.key})
				}
			})
			if least != 0 || len(found) != 0 {
				t.Errorf("%v allocations and %d findings in a clean body", least, len(found))
			}
		})
	}
}

// Nor is anything allocated for what is found, once there is room for it.
func TestFindingDoesNotAllocate(t *testing.T) {
	messages, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var spoken strings.Builder
	for _, line := range spokenLines(t) {
		spoken.WriteString((&textCase{want: line}).input() + " And then nothing was said for a while.\n")
	}
	d := newDetector(t)
	for name, text := range map[string][]byte{"messages": messages, "spoken": []byte(spoken.String())} {
		var found []redact.Finding
		if least := leastAllocations(func() { found = d.Text(found[:0], text, Hint{}) }); least != 0 || len(found) == 0 {
			t.Errorf("%s: %v allocations for %d findings", name, least, len(found))
		}
	}
}
