package detect

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write bench/clean-chat.txt")

const cleanChatFile = "../../bench/clean-chat.txt"

const cleanChatSize = 1 << 20

// TestCleanChat keeps bench/clean-chat.txt, its generator and its name true.
//
// The file is the text on which the scan budget is measured: about 1 MiB of
// customer-care chat without anything to find, with the digits such talk has (order
// numbers of five to seven digits, times, prices, dates, about one run of digits
// in 150 bytes). It is synthetic: cleanChat puts sentences written for this
// purpose together by a fixed seed. No line comes from a real conversation.
func TestCleanChat(t *testing.T) {
	t.Parallel()
	want := cleanChat()
	if *update {
		if err := os.WriteFile(cleanChatFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cleanChatFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("clean-chat.txt is not what the generator makes; go test ./redact/detect -run TestCleanChat -update")
	}
	for _, f := range newDetector(t).Text(nil, got, Hint{}) {
		t.Errorf("%s at %d to %d by rule %q", f.Class, f.Start, f.End, f.Rule)
	}
}

// cleanChat makes the text.
func cleanChat() []byte {
	g := generator{rand.New(rand.NewPCG(20261122, 1))}
	var b bytes.Buffer
	for b.Len() < cleanChatSize {
		fmt.Fprintf(&b, "%s: %s %s\n", g.pick(names), g.pick(openings), g.fill(g.pick(problems)))
		for range 2 + g.IntN(4) {
			fmt.Fprintf(&b, "%s (agent): %s %s\n", g.pick(agents), g.fill(g.pick(answers)), g.fill(g.pick(questions)))
			fmt.Fprintf(&b, "%s: %s %s\n", g.pick(names), g.fill(g.pick(replies)), g.fill(g.pick(asides)))
		}
		fmt.Fprintf(&b, "%s (agent): %s\n\n", g.pick(agents), g.fill(g.pick(closings)))
	}
	return b.Bytes()
}

type generator struct{ *rand.Rand }

func (g generator) pick(from []string) string { return from[g.IntN(len(from))] }

// fill replaces the words in braces.
func (g generator) fill(s string) string {
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return s
		}
		j := i + strings.IndexByte(s[i:], '}')
		var v string
		switch s[i+1 : j] {
		case "order":
			v = fmt.Sprint(10000 + g.IntN(9000000))
		case "time":
			v = fmt.Sprintf("%d:%02d", 8+g.IntN(11), 5*g.IntN(12))
		case "price":
			v = fmt.Sprintf("$%d.%02d", 5+g.IntN(190), g.IntN(100))
		case "date":
			v = fmt.Sprintf("%s %d", g.pick(months), 1+g.IntN(28))
		case "days":
			v = fmt.Sprint(2 + g.IntN(12))
		case "thing":
			v = g.pick(things)
		case "place":
			v = g.pick(places)
		case "name":
			v = g.pick(names)
		}
		s = s[:i] + v + s[j+1:]
	}
}

var (
	names  = strings.Fields("Amira Jonas Leticia Wei Oluwaseun Katarzyna Bob Marguerite Priya Tom Siobhan Emre Hannah Diego Yuki Fatima Lars Nadia Colm Ines")
	agents = strings.Fields("Robin Sasha Kim Alex Devon Jude")
	months = strings.Fields("January February March April May June July August September October November December")
	things = strings.Split("coffee machine,pair of running shoes,kitchen table,phone case,winter jacket,set of towels,reading lamp,garden chair,bluetooth speaker,desk,backpack,"+
		"vacuum cleaner,baby monitor,box of tea,bicycle light,rug,curtain rod,mixer,water bottle,keyboard", ",")
	places = strings.Split("front door,reception,neighbour,garage,parcel shop at the corner,office,old address,back porch", ",")

	openings = strings.Split("Hi there!|Hello,|Good morning,|Hey, quick question:|Good evening, I hope you can help me.|Hello again,|Excuse me,|Hi, I have been waiting for a while.|"+
		"Not sure I am in the right place, but|Well, this is the second time I write about this:", "|")
	problems = strings.Split("the {thing} I ordered on {date} has still not arrived and nobody picks up when I call.|"+
		"the {thing} came without its manual and one of the screws is missing, so I cannot put it together.|"+
		"I was charged {price} but the page said it would be less than that, can you explain the difference?|"+
		"your courier left the {thing} with my {place}, and now nobody there remembers seeing it.|"+
		"I would like to send the {thing} back because it is a different colour than in the pictures.|"+
		"the discount that was promised in your newsletter does not show up when I try to pay.|"+
		"my account says that the delivery is on its way, but the map has not moved for {days} days.|"+
		"I cannot log in any more since the update, it keeps telling me that something went wrong.|"+
		"the {thing} stopped working after a week, it makes a strange noise and then switches itself off.|"+
		"please cancel order {order}, I clicked twice by mistake and only want one {thing}.|"+
		"is the {thing} going to be back in stock before {date}? It is a present for my sister.|"+
		"I moved house last month and the {thing} went to the {place} although I changed everything in my profile.", "|")
	answers = strings.Split("Thank you for writing to us, I am sorry about the trouble with your {thing}.|"+
		"I understand, that is not how it should be, let me have a look right away.|"+
		"I can see the order from {date}, it left our warehouse the same evening.|"+
		"That sounds annoying, and thank you for being so patient with us.|"+
		"I have just talked to the warehouse, they packed it but it missed the truck.|"+
		"Our system shows {price}, which is the price without the voucher.|"+
		"Good news, the {thing} is available again in both colours.|"+
		"I have asked the courier to look for it, they usually answer within a day or two.|"+
		"You are right, the page was not clear about that, and I have passed it on to the team that writes it.|"+
		"I am afraid that the {thing} is no longer made, but there is a very similar one.", "|")
	questions = strings.Split("Could you tell me whether the box was damaged when it arrived?|Would you prefer a new one or your money back?|"+
		"Shall I send you a label so that you can return it for free?|May I ask which browser you are using?|Is the address in your profile still the right one?|"+
		"Would a delivery on {date} between nine and noon suit you?|Can you check with the {place} once more, please?|Could you send us a picture of the part that broke?|"+
		"Is there anything written on the back of it?|Would you mind waiting while I check with a colleague?", "|")
	replies = strings.Split("Yes, that would be fine.|No, I have already tried that twice.|I am not sure, let me look.|The box looked all right from the outside.|"+
		"Honestly I would rather have the money back.|A new one please, but quickly, if that is possible.|It is the latest version, I updated it this morning.|"+
		"The number on the slip is {order}, if that helps.|I was home from {time} on and nobody rang the bell.|My neighbour has not seen anything either.|"+
		"Thanks, that is very kind of you.|I just want this to be over, to be honest.|It cost {price}, so I expect it to last longer than this.", "|")
	asides = strings.Split("By the way, the website is really slow today.|I have been a customer for {days} years and this never happened before.|My daughter is going to be disappointed.|"+
		"Please write to me rather than call, I am at work during the day.|I will be away after {date}, so it has to happen before that.|Last time {name} helped me and it was sorted out in no time.|"+
		"You can reach me until {time} today.|Sorry for the typos, I am writing on the train.|I hope that makes sense.|It is not the end of the world, but still.|"+
		"I read the reviews before buying and they were all very good.|The packaging was nice, I have to say.", "|")
	closings = strings.Split("All done, you will get a message as soon as it is on its way. Have a lovely day!|I have made a note of everything, it is case {order}, and we will come back to you within {days} days.|"+
		"Your refund of {price} has been started, please allow a few working days for it.|Thank you for chatting with us, take care!|"+
		"The new {thing} will be with you around {date}, and you may keep the old one.|I have extended your warranty as a small apology, enjoy the evening!", "|")
)
