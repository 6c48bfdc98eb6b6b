package walk

import (
	"fmt"
	"strings"
	"testing"
)

// What customers write about, and how; no two descriptions of a page are alike.
var (
	colours   = strings.Fields("blue green grey black white yellow brown silver orange purple striped dotted heavy little")
	items     = strings.Fields("parcel lamp chair kettle jacket keyboard mirror carpet speaker backpack blender curtain toaster")
	greetings = []string{"Hello,", "Hi there,", "Good morning,", "Dear team,", "Once more,"}
	stories   = []string{
		"I ordered it last week and nothing has arrived so far.", "only half of it was in the box when I opened it.", "it came with a scratch along the side.", "the map has shown the same place for days.",
		"the courier left it with a neighbour whom I do not know.", "it stopped working on the second evening.", "somebody cancelled it, and it was not me.",
	}
	endings = []string{"Could you have a look, please? Kind regards", "What shall I do now?", "Thank you for your help so far.", "I hope to hear from you soon."}
)

// page makes what bench measures: a page of tickets of about n bytes. every is after
// how many a description has a card, 0 for none.
func page(n, every int) []byte {
	var b strings.Builder
	b.WriteString(`{"tickets":[`)
	for i := 0; b.Len() < n-350; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		thing := colours[i%len(colours)] + " " + items[i/len(colours)%len(items)]
		story := fmt.Sprintf("%s about the %s: %s %s", greetings[i%len(greetings)], thing, stories[i%len(stories)], endings[i%len(endings)])
		if every > 0 && i%every == every-1 {
			story += " My card is 4111 1111 1111 1111"
		}
		fmt.Fprintf(&b, `{"id":%d,"url":"https://acme.example/api/v2/tickets/%d.json","created_at":"2026-11-%02dT08:%02d:30Z","subject":"Where is my %s?","description":"%s","requester_id":%d,"tags":["delivery","lamp"],"via":{"channel":"email"}}`,
			4402126790000+i, 4402126790000+i, 1+i%28, i%60, thing, story, 360000000000+i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// Pages as the bench has them: 64 KiB as a helpdesk answers, and a megabyte with a
// card in one of a hundred strings.
func BenchmarkPages(b *testing.B) {
	d := newDetector(b)
	for _, c := range []struct {
		name string
		raw  []byte
	}{{"4 KiB, clean", page(4<<10, 0)}, {"64 KiB, clean", page(64<<10, 0)}, {"1 MiB, one in a hundred", page(1<<20, 16)}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.raw)))
			b.ReportAllocs()
			done := cpuRate(b, len(c.raw))
			var doc Doc
			for b.Loop() {
				if err := doc.Read(JSON, c.raw, d, nil, Limits{}); err != nil {
					b.Fatal(err)
				}
				doc.Rewrite(byDefault)
			}
			done()
		})
	}
}
