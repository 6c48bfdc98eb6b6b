package walk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tickets makes an answer of a helpdesk: n tickets, most of whose digits are
// identifiers and times. One string in a hundred has a card number or a social
// security number in it.
func tickets(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	id := func() int { return 1_900_000_000_000 + r.IntN(900_000_000_000) }
	at := func() string {
		return fmt.Sprintf("2026-%02d-%02dT%02d:%02d:%02dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	body := []string{
		"Hello, the parcel has not arrived yet and nobody answers when I call. Could you please have a look?",
		"Thank you for your message!\\n\\nWe have asked the warehouse and will come back to you by 5 pm.\\nBest regards",
		"I was charged twice for order 48213377, once 59.90 and once 61.40.",
		"The update from last week broke the login page on my phone (version 12.4.1).",
	}
	strs := 0
	text := func() string {
		s := body[r.IntN(len(body))]
		if strs++; strs%7 == 0 { // there are about fourteen other strings beside each of these
			s += " My card is 4111 1111 1111 1111, please use that."
		} else if strs%15 == 0 {
			s += " SSN 536-22-8145."
		}
		return s
	}
	var b bytes.Buffer
	b.WriteString(`{"tickets":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		t := id()
		fmt.Fprintf(&b, `{"url":"https://acme.zendesk.com/api/v2/tickets/%d.json","id":%d,"external_id":null,"via":{"channel":"email","source":{"from":{"address":"jo%d@example.com","name":"Jo Doe"},"to":{"name":"Acme","address":"help@acme.example"},"rel":null}},`, t, t, r.IntN(9999))
		fmt.Fprintf(&b, `"created_at":"%s","updated_at":"%s","generated_timestamp":%d,"type":"incident","subject":"Delivery of order %d","raw_subject":"Delivery of order %d","description":"%s","priority":"high","status":"open","recipient":null,`, at(), at(), 1_700_000_000+r.IntN(90_000_000), 10_000_000+r.IntN(90_000_000), 10_000_000+r.IntN(90_000_000), text())
		fmt.Fprintf(&b, `"requester_id":%d,"submitter_id":%d,"assignee_id":%d,"organization_id":%d,"group_id":%d,"collaborator_ids":[%d,%d],"follower_ids":[],"email_cc_ids":[%d],"forum_topic_id":null,"problem_id":null,"has_incidents":false,"is_public":true,"due_at":null,"tags":["delivery","order_%d","vip"],`, id(), id(), id(), id(), id(), id(), id(), id(), r.IntN(99999))
		fmt.Fprintf(&b, `"custom_fields":[{"id":%d,"value":"%s"},{"id":%d,"value":null},{"id":%d,"value":%d},{"id":%d,"value":false}],"satisfaction_rating":{"score":"good","id":%d},"sharing_agreement_ids":[],"ticket_form_id":%d,"brand_id":%d,"allow_channelback":false,"allow_attachments":true}`, id(), at(), id(), id(), r.IntN(1_000_000), id(), id(), id(), id())
	}
	b.WriteString(`],"next_page":"https://acme.zendesk.com/api/v2/tickets.json?page=2","count":1204}`)
	return b.Bytes()
}

// zendeskish are rules of the size a channel file has.
func zendeskish(tb testing.TB) *Fields {
	return compile(tb,
		Rule{Pointer: "/tickets/*", Flags: Unit},
		Rule{Pointer: "/tickets/*/id", Label: "record:ticket", Flags: Wanted | Never},
		Rule{Pointer: "/tickets/*/requester_id", Label: "subject:id", Flags: Wanted | Never},
		Rule{Pointer: "/tickets/*/created_at", Label: "time:created", Flags: Wanted | Never},
		Rule{Pointer: "/tickets/*/custom_fields/*/id", Flags: Never},
		Rule{Pointer: "/tickets/*/url", Label: "url", Flags: URL},
		Rule{Pointer: "/tickets/*/via/source/from/address", Label: "subject:email", Flags: Wanted},
		Rule{Pointer: "/next_page", Label: "url", Flags: URL},
		Rule{Pointer: "/**/url", Flags: Never},
	)
}

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

// The budget: id-heavy ticket JSON, scanned and rewritten, 400 MB/s on one core.
func BenchmarkTickets(b *testing.B) {
	raw, d := tickets(100), newDetector(b)
	clean := regexp.MustCompile(`4111 1111 1111 1111|536-22-8145`).ReplaceAll(raw, []byte("----"))
	for _, c := range []struct {
		name string
		raw  []byte
		f    *Fields
	}{
		{"one in a hundred", raw, nil}, {"one in a hundred, with rules", raw, zendeskish(b)}, {"clean", clean, nil}, {"clean, with rules", clean, zendeskish(b)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.raw)))
			b.ReportAllocs()
			done := cpuRate(b, len(c.raw))
			for b.Loop() {
				doc, err := Parse(JSON, c.raw, d, c.f, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				doc.Rewrite(byDefault)
			}
			done()
		})
	}
	b.Run("encoding-json valid", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		done := cpuRate(b, len(raw))
		for b.Loop() {
			json.Valid(raw)
		}
		done()
	})
	b.Run("regexp", func(b *testing.B) {
		re := regexp.MustCompile(`\b(?:\d[ -]*?){13,16}\b`)
		b.SetBytes(int64(len(raw)))
		done := cpuRate(b, len(raw))
		for b.Loop() {
			re.ReplaceAll(raw, []byte("X"))
		}
		done()
	})
}

// valued is an array of size bytes of rows with values of their own: CARD and GROUPS
// stand for a card, NNNN for four digits.
func valued(row string, size int) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	raw := []byte{'['}
	for len(raw) < size {
		card := fmt.Sprintf("4%014d", r.Int64N(1e14))
		sum := 0
		for i, c := range card {
			n := int(c - '0')
			if i%2 == 0 {
				n = 2*n%10 + 2*n/10
			}
			sum += n
		}
		card += strconv.Itoa((10 - sum%10) % 10)
		one := strings.NewReplacer("CARD", card, "GROUPS", card[:4]+"-"+card[4:8]+"-"+card[8:12]+"-"+card[12:], "NNNN", fmt.Sprintf("%04d", 1+r.IntN(9998)))
		raw = append(append(raw, one.Replace(row)...), ',')
	}
	return append(raw, "null]"...)
}

// Bodies of nothing but findings, none twice: an export of cards. It is the worst case of
// a body that nobody made to be slow; the floor is 50 MB/s.
func BenchmarkFindings(b *testing.B) {
	d := newDetector(b)
	for _, c := range []struct{ name, row string }{
		{"bare", `"CARD"`},
		{"named", `{"card":"GROUPS"}`},
		{"text", `{"text":"my card is GROUPS exp 12/27 cvv 123"}`},
		{"numbers", `{"pan":CARD}`},
		{"tax numbers", `{"ssn":"536-22-NNNN"}`},
		{"addresses", `{"email":"jo.NNNN@example.com","phone":"+1 212 555 NNNN"}`},
		{"customers", `{"name":"Jo Doe","email":"jo.NNNN@example.com","card":"CARD","exp":"12/27","cvv":"123","ssn":"536-22-NNNN"}`},
	} {
		raw := valued(c.row, 1<<16)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			done := cpuRate(b, len(raw))
			for b.Loop() {
				doc, err := Parse(JSON, raw, d, nil, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				doc.Rewrite(byDefault)
			}
			done()
		})
	}
}

func BenchmarkSmallTicket(b *testing.B) {
	raw, d, f := tickets(2), newDetector(b), zendeskish(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		doc, err := Parse(JSON, raw, d, f, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		doc.Rewrite(byDefault)
	}
}

func BenchmarkMaskedWrites(b *testing.B) {
	raw, d := tickets(100), newDetector(b)
	doc, err := Parse(JSON, bytes.ReplaceAll(raw, []byte("4111 1111 1111"), []byte("XXXX XXXX XXXX")), d, nil, Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		doc.MaskedWrites()
	}
}

func BenchmarkForm(b *testing.B) {
	raw, d := []byte(strings.Repeat("Body=Hello%2C+I+have+a+question+about+order+48213377&From=%2B12125550147&MessageSid=SM1234567890abcdef1234567890abcdef&NumMedia=0&", 40)), newDetector(b)
	raw = raw[:len(raw)-1]
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	done := cpuRate(b, len(raw))
	for b.Loop() {
		doc, err := Parse(Form, raw, d, nil, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		doc.Rewrite(byDefault)
	}
	done()
}

func BenchmarkStream(b *testing.B) {
	raw := []byte(strings.Repeat("Hello, the parcel of order 48213377 has not arrived yet and nobody answers when I call since 10:30. ", 2600))
	d := newDetector(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	done := cpuRate(b, len(raw))
	for b.Loop() {
		s, err := NewStream(Text, d, nil, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		for piece := range slices.Chunk(raw, 32<<10) {
			if _, err := s.Write(piece); err != nil {
				b.Fatal(err)
			}
			s.Take().Rewrite(byDefault)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	done()
}

// Documents made to be slow; the floor is 50 MB/s.
func BenchmarkHostile(b *testing.B) {
	d := newDetector(b)
	names := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, `"k%d":0,`, i)
		}
		return "{" + s.String() + `"z":0}`
	}
	for name, raw := range map[string]string{
		"numbers":           "[" + strings.Repeat("4111111111111111,", 5000) + "1]",
		"many names":        names(90_000),
		"escaped digits":    `["` + strings.Repeat(`\u0034\u0031\u0031\u0031 `, 4000) + `"]`,
		"escaped quotes":    `["` + strings.Repeat(`\"\\`, 20000) + `"]`,
		"deep":              strings.Repeat("[", 128) + strings.Repeat("]", 128),
		"deep, with cards":  strings.Repeat(`{"card":[`, 60) + strings.Repeat("4111111111111111,", 1000) + "1" + strings.Repeat("]}", 60),
		"empty arrays":      "[" + strings.Repeat("[],", 30_000) + "0]",
		"digits in strings": `["` + strings.Repeat("0 1 ", 20_000) + `"]`,
		"long name":         `{"` + strings.Repeat("a1", 100_000) + `":"4111111111111111"}`,
		"exponents":         "[" + strings.Repeat("1e15,", 20_000) + "1]",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			done := cpuRate(b, len(raw))
			for b.Loop() {
				doc, err := Parse(JSON, []byte(raw), d, nil, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				doc.Rewrite(byDefault)
			}
			done()
		})
	}
}

func BenchmarkStreamLines(b *testing.B) {
	raw := []byte(strings.Repeat("{\"id\":48213377,\"body\":\"clean line of a chat since 10:30\"}\n", 5000))
	d := newDetector(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	done := cpuRate(b, len(raw))
	for b.Loop() {
		s, err := NewStream(NDJSON, d, nil, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		for piece := range slices.Chunk(raw, 32<<10) {
			if _, err := s.Write(piece); err != nil {
				b.Fatal(err)
			}
			s.Take().Rewrite(byDefault)
		}
	}
	done()
}
