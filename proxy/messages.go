package proxy

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/conversation"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// headerIdempotency is the header with which a caller says that a call is the same
// as an earlier one (draft-ietf-httpapi-idempotency-key-header).
const headerIdempotency = "Idempotency-Key"

// maxConversations is to how many conversations one message may go: a vendor's bulk
// update takes a hundred records.
const maxConversations = 100

// message is what a body says in a conversation.
type message struct {
	*walk.Capture
	kind    string // type of the record that is the conversation
	id      string // of the record that the body names, "" where it names none
	object  string // path of the object that the message stands in
	field   string // its name in there
	speaker string
	at      time.Time // when it was said, as far as the body tells
	holds   int       // digits of a number; see exchange.holds
}

// uttered is a message of the request in one conversation, whose outcome is not
// known yet.
type uttered struct {
	name   string // of the conversation
	object string
	same   []byte // see conversation.Message.Same
	turn   conversation.Turn
}

// earlierPiece is a part of a value in a message of an earlier call. The upstream
// has it in clear.
type earlierPiece struct {
	class    redact.Class
	record   string // the conversation, as in details
	exchange string // the call that brought it
}

// messages returns what a body says in conversations, in its order; beside tells
// the rest of each.
func messages(doc *walk.Doc) []message {
	if doc == nil {
		return nil
	}
	var out []message
	for i := range doc.Captures {
		c := &doc.Captures[i]
		if !isMessage(doc, c) {
			continue
		}
		m := message{Capture: c, kind: c.Label[len(channel.LabelMessage):]}
		if at := strings.LastIndexByte(c.Path, '/'); at >= 0 {
			m.object, m.field = c.Path[:at], c.Path[at+1:]
		}
		out = append(out, m)
	}
	return out
}

// isMessage tells whether a capture is something that is said: a text or a number.
func isMessage(doc *walk.Doc, c *walk.Capture) bool {
	return strings.HasPrefix(c.Label, channel.LabelMessage) && c.Start < c.End && (c.Place == redact.PlaceText || doc.Value(*c)[0]-'0' <= 9)
}

// beside reads what stands beside messages: the record, who says it and when.
func beside(doc *walk.Doc, all []message) {
	type place struct {
		unit int
		kind string
	}
	records, speakers, times := map[place]string{}, map[string]string{}, map[string]time.Time{}
	for _, c := range doc.Captures {
		object := c.Path[:max(0, strings.LastIndexByte(c.Path, '/'))]
		if kind, ok := strings.CutPrefix(c.Label, channel.LabelRecord); ok {
			if p := (place{c.Unit, kind}); records[p] == "" {
				records[p] = recordID(string(doc.Value(c)))
			}
			continue
		}
		switch c.Label {
		case channel.LabelSpeaker:
			speakers[object] = string(doc.Value(c))
		case channel.LabelTimeCreated:
			times[object], _ = time.Parse(time.RFC3339, string(doc.Value(c)))
		}
	}
	for i := range all {
		m := &all[i]
		m.id, m.speaker, m.at = records[place{m.Unit, m.kind}], speakers[m.object], times[m.object]
	}
}

// recordID brings an id to the one form that all its spellings have.
func recordID(id string) string {
	if id == "null" || len(id) > maxRecordName {
		return ""
	}
	if short := strings.TrimLeft(id, "0"); short != "" {
		return short
	}
	return id
}

// conversationsOf returns the ids of the records that a message of the request
// belongs to. An element of a list has its own; otherwise the address is what the
// upstream goes by.
func (x *exchange) conversationsOf(m *message, r *http.Request) []string {
	if c := x.inner.at(m.Start); c != nil {
		return conversationsIn(m, c.match, c.RawQuery, false)
	}
	return conversationsIn(m, x.match, r.URL.RawQuery, m.Unit != 0)
}

// conversationsIn is conversationsOf for one call, alone or in a composite one; own says
// that the message stands in an element of a list that goes by its own id.
func conversationsIn(m *message, match channel.Match, rawQuery string, own bool) []string {
	if own && m.id != "" {
		return []string{m.id}
	}
	label := channel.LabelRecord + m.kind
	for _, p := range match.Params {
		if id := recordID(p.Value); p.Label == label && id != "" {
			return []string{id}
		}
	}
	if m.id != "" {
		return []string{m.id}
	}
	if rawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil
	}
	var out []string
	for name, values := range query {
		if match.Op.Query(name).Label != label {
			continue
		}
		for id := range strings.SplitSeq(strings.Join(values, ","), ",") {
			if id = recordID(strings.TrimSpace(id)); id != "" && len(out) < maxConversations {
				out = append(out, id)
			}
		}
	}
	return out
}

// text is a message without the tags of HTML, which become blanks of the same
// length, as do tokens: the digits in one are part of no number.
func (m *message) text(doc *walk.Doc, det *detect.Detector) []byte {
	value := doc.Value(*m.Capture)
	html := m.Flags&walk.HTMLValue != 0 && m.Place == redact.PlaceText
	tokens := det.Ours(value)
	if !html && tokens == nil {
		return value
	}
	out := slices.Clone(value)
	for _, t := range tokens {
		blank(out[t[0]:t[1]])
	}
	for i := 0; html; {
		start := bytes.IndexByte(out[i:], '<')
		if start < 0 {
			return out
		}
		end := bytes.IndexByte(out[i+start:], '>')
		if end < 0 {
			return out // it begins no tag
		}
		blank(out[i+start : i+start+end+1])
		i += start + end + 1
	}
	return out
}

func blank(b []byte) {
	for i := range b {
		b[i] = ' '
	}
}

// converse compares the messages of the request with those of the same
// conversations before. The last piece of a number becomes a finding of the body,
// the pieces before it are noted. Messages of a conversation that does not exist
// yet are compared with each other.
func (x *exchange) converse(r *http.Request) {
	doc := x.request.body.doc
	all := messages(doc)
	if all == nil {
		return
	}
	beside(doc, all)
	for i := range all {
		m := &all[i]
		m.holds = x.holds(doc, m.Capture)
		ids := x.conversationsOf(m, r)
		for _, id := range ids {
			x.utter(doc, m, id, r.Header.Get(headerIdempotency))
		}
		if len(ids) == 0 {
			x.unplaced = append(x.unplaced, *m)
		}
	}
	x.join(doc, x.unplaced)
}

// utter adds a message to the conversation that a record is.
func (x *exchange) utter(doc *walk.Doc, m *message, id, key string) {
	pool := x.gen.data.conversations
	text := m.text(doc, x.det.detector)
	u := uttered{name: pool.name(x.h.ch.Name, x.h.Route, m.kind, id), object: m.object, same: text}
	t := pool.tracker(u.name)
	if n := len(x.uttered); n > 0 && x.uttered[n-1].name == u.name && x.uttered[n-1].object == u.object {
		// The same message in another notation.
		t.End(x.uttered[n-1].turn, conversation.Unsaid)
		u.same = x.uttered[n-1].same
		x.uttered = x.uttered[:n-1]
	}
	var found []conversation.Found
	found, u.turn = t.Begin(conversation.Message{
		Conversation: u.name, ID: x.id.String(), Speaker: m.speaker, At: x.h.app.now(), Text: text, Found: doc.Within(*m.Capture), Detector: x.det.detector, Key: key, Same: u.same,
	})
	x.uttered = append(x.uttered, u)
	for _, f := range found {
		for _, p := range f.Pieces {
			if !p.Earlier {
				doc.Add(*m.Capture, pieceFinding(f, p))
				continue
			}
			e := earlierPiece{class: f.Class, record: m.kind + "/" + id, exchange: p.Message.ID}
			if !slices.Contains(x.earlier, e) {
				x.earlier = append(x.earlier, e)
			}
		}
	}
}

func pieceFinding(f conversation.Found, p conversation.Piece) redact.Finding {
	return redact.Finding{Class: f.Class, Start: p.Start, End: p.End, Confidence: f.Confidence, Rule: f.Rule, Evidence: f.Evidence, Strong: true}
}

// settle tells the conversations what became of the messages of the request. When
// the answer names a conversation that the call has begun, its messages are the
// first of it. It may be called again.
func (x *exchange) settle() {
	if len(x.uttered) == 0 && len(x.unplaced) == 0 {
		return
	}
	outcome := conversation.Unknown
	switch {
	case x.upstreamStatus/100 == 2 && x.released:
		outcome = conversation.Said
	case !x.forwarded, x.upstreamStatus >= 300 && x.upstreamStatus < 500:
		outcome = conversation.Unsaid
	}
	pool := x.gen.data.conversations
	for _, u := range x.uttered {
		pool.tracker(u.name).End(u.turn, outcome)
	}
	unplaced := x.unplaced
	x.uttered, x.unplaced = nil, nil
	if outcome != conversation.Said || len(unplaced) == 0 {
		return
	}
	id := x.begun(unplaced[0].kind)
	if id == "" {
		return
	}
	name := pool.name(x.h.ch.Name, x.h.Route, unplaced[0].kind, id)
	doc, object := x.request.body.doc, ""
	for i := range unplaced {
		m := &unplaced[i]
		if m.kind != unplaced[0].kind || i > 0 && m.object == object {
			continue // another notation
		}
		object = m.object
		pool.tracker(name).Add(conversation.Message{
			Conversation: name, ID: x.id.String(), Speaker: m.speaker, At: x.h.app.now(), Text: m.text(doc, x.det.detector), Found: doc.Within(*m.Capture), Detector: x.det.detector,
		})
	}
}

// begun is the id of the one record of a type that the answer names, "" where it
// names none or several.
func (x *exchange) begun(kind string) string {
	doc := x.response.body.doc
	if doc == nil {
		return ""
	}
	id := ""
	for _, c := range doc.Captures {
		if c.Label != channel.LabelRecord+kind {
			continue
		}
		switch other := recordID(string(doc.Value(c))); {
		case other == "" || other == id:
		case id != "":
			return ""
		default:
			id = other
		}
	}
	return id
}

// converseBack compares the messages of an answer with each other. What is read
// twice was not said twice, so nothing of it is remembered.
func (x *exchange) converseBack() {
	doc := x.response.body.doc
	if doc == nil {
		return
	}
	digits, most := 0, 0
	for i := range doc.Captures {
		if c := &doc.Captures[i]; isMessage(doc, c) {
			n := x.holds(doc, c)
			digits, most = digits+n, max(most, n)
		}
	}
	if digits < fewestPieces && most < fewestCode {
		return
	}
	all := messages(doc)
	beside(doc, all)
	for i := range all {
		m := &all[i]
		m.holds = x.holds(doc, m.Capture)
		for _, p := range x.match.Params {
			if m.id == "" && p.Label == channel.LabelRecord+m.kind {
				m.id = recordID(p.Value)
			}
		}
	}
	x.join(doc, all)
}

// Messages that cannot hold a piece are passed over, in long pages nearly all.
const (
	longestPiece = 256     // bytes: nineteen digits in words and some more words
	longestHTML  = 1 << 10 // bytes, as they are written: tags and escapes among them
	mostWords    = 40      // number words and fillers among them
	mostBeside   = 20      // words beside digits
	heardBefore  = 5       // messages before one that matter for it
	fewestCode   = 3       // digits that a question may explain
	fewestPieces = 9       // digits of the shortest number that comes in pieces
)

// holds is how many digits of a number a message can hold: none when it is too long
// or has too many words, many when it has number words. It is a look at each byte,
// so that pages of prose cost no more.
func (x *exchange) holds(doc *walk.Doc, c *walk.Capture) int {
	if c.End-c.Start > longestHTML {
		return 0
	}
	value, html := doc.Value(*c), c.Flags&walk.HTMLValue != 0
	if !html && len(value) > longestPiece {
		return 0
	}
	words, digits, letter, tag, seen := 0, 0, false, false, 0
	for _, b := range value {
		if html && (b == '<' || b == '>') {
			tag, letter = b == '<', false
			continue
		}
		if tag {
			continue
		}
		seen++
		was := letter
		if letter = b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80; letter && !was {
			if words++; words > mostWords || digits > 0 && words > mostBeside {
				return 0
			}
		}
		if b-'0' <= 9 {
			digits++
		}
	}
	switch {
	case seen > longestPiece, digits > 0 && words > mostBeside:
		return 0
	case digits == 0 && words > 0 && !x.det.detector.Silent(value):
		return fewestPieces
	}
	return digits
}

// join compares messages of one body with each other. They belong together when
// they are of the same record, or of the same unit where no record is named, and
// stand in members of the same name.
func (x *exchange) join(doc *walk.Doc, all []message) {
	type sequence struct {
		kind, id, field string
		unit            int
	}
	var order []sequence
	members := map[sequence][]*message{}
	for i := range all {
		m := &all[i]
		s := sequence{kind: m.kind, id: m.id, field: m.field}
		if m.id == "" {
			s.unit = m.Unit
		}
		if members[s] == nil {
			order = append(order, s)
		}
		members[s] = append(members[s], m)
	}
	for _, s := range order {
		if len(members[s]) > 1 {
			x.joinSequence(doc, members[s])
		}
	}
}

// joinSequence finds what the messages of one conversation hold only together. All
// pieces are in this body, and all become findings.
func (x *exchange) joinSequence(doc *walk.Doc, messages []*message) {
	if first, last := messages[0].at, messages[len(messages)-1].at; !first.IsZero() && !last.IsZero() && first.After(last) {
		slices.Reverse(messages) // the newest came first
	}
	var t *conversation.Tracker
	var heard []*message // in the order in which the tracker counts them
	next := 0            // the first that it has not heard
	for first := 0; first < len(messages); {
		last, digits, most := first, 0, 0 // of messages that may hold pieces of one number
		for i := first; i < len(messages) && i <= last+heardBefore; i++ {
			if n := messages[i].holds; n > 0 {
				last, digits, most = i, digits+n, max(most, n)
			}
		}
		if digits < fewestPieces && most < fewestCode {
			first = last + 1
			continue
		}
		if t == nil {
			var err error
			if t, err = conversation.New(x.det.detector, conversation.Config{Conversations: 1}); err != nil {
				return // cannot be: the one of the data directory was made
			}
		}
		for next = max(next, first-heardBefore); next <= last; next++ {
			m := messages[next]
			heard = append(heard, m)
			for _, f := range t.Add(conversation.Message{Conversation: "one", Speaker: m.speaker, Text: m.text(doc, x.det.detector), Found: doc.Within(*m.Capture)}) {
				for _, p := range f.Pieces {
					doc.Add(*heard[p.Message.Index].Capture, pieceFinding(f, p))
				}
			}
		}
		first = last + 1
	}
	if t != nil {
		t.Forget("one")
	}
}
