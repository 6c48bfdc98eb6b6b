package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
)

// Numbers that everybody may print: the card schemes' own examples, and a made-up
// social security number, the one of the sample helpdesk's historic tickets.
const (
	demoCard      = "4111 1111 1111 1111"
	demoCardMask  = "XXXX XXXX XXXX 1111"
	demoCard2     = "5555-5555-5555-4444"
	demoCard2Mask = "XXXX-XXXX-XXXX-4444"
	demoSSN       = "536-22-8145"
	demoSSNMask   = "XXX-XX-XXXX"
	demoField     = "360001234567"
)

// clearNumbers are the numbers that must not pass.
var clearNumbers = []string{demoCard, demoCard2, demoSSN, "4111111111111111", "5555555555554444"}

// step is one call of the story.
type step struct {
	Name string `json:"name"`
	// Sent is the body of the call, or its method and path when it has none.
	Sent string `json:"sent"`
	// Stored is the body that the helpdesk received, empty when it received none.
	Stored string `json:"stored"`
	// Returned is the body of the answer.
	Returned string `json:"returned"`
	Status   int    `json:"status"`
	Receipt  string `json:"receipt"`

	method, path string
	reason       string // Caregate-Error
	forwarded    bool
	note         string // for people
}

// story plays the conversation and collects what is not as it should be.
type story struct {
	stage  *stage
	client *http.Client
	steps  []*step
	wrong  []string
}

func newStory(s *stage) *story { return &story{stage: s, client: s.client()} }

// complain notes what is not as it should be.
func (s *story) complain(st *step, format string, args ...any) {
	s.wrong = append(s.wrong, st.Name+": "+fmt.Sprintf(format, args...))
}

// play makes all calls, each with its checks. An error means that the story
// could not go on.
func (s *story) play(ctx context.Context) error {
	ticket, err := s.create(ctx)
	if err != nil {
		return err
	}
	if err := s.reply(ctx, ticket); err != nil {
		return err
	}
	historic, err := s.historic(ctx)
	if err != nil {
		return err
	}
	if err := s.writeBack(ctx, historic); err != nil {
		return err
	}
	if err := s.malformed(ctx); err != nil {
		return err
	}
	return s.export(ctx)
}

// create: a customer's card and social security number arrive in a new ticket.
func (s *story) create(ctx context.Context) (ticket string, err error) {
	st, err := s.call(ctx, "a new ticket with a card and a social security number", "POST", "/api/v2/tickets.json",
		`{"ticket":{"subject":"Refund please","comment":{"body":"You charged my card `+demoCard+` twice. My number for the form is below."},`+
			`"requester":{"name":"Maria Keller","email":"maria@customer.example"},"custom_fields":[{"id":`+demoField+`,"value":"`+demoSSN+`"}]}}`)
	if err != nil {
		return "", err
	}
	st.note = "masked before the helpdesk saw it"
	s.want(st, http.StatusCreated, "")
	s.wantStored(st, demoCardMask, demoSSNMask)
	var made struct {
		Ticket struct {
			ID json.Number `json:"id"`
		} `json:"ticket"`
	}
	if err := json.Unmarshal([]byte(st.Returned), &made); err != nil || made.Ticket.ID == "" {
		return "", fail("", "the helpdesk made no ticket (status %d)", st.Status)
	}
	return made.Ticket.ID.String(), nil
}

// reply: an agent repeats another card in a public answer.
func (s *story) reply(ctx context.Context, ticket string) error {
	st, err := s.call(ctx, "an agent's reply that repeats a card", "PUT", "/api/v2/tickets/"+ticket+".json",
		`{"ticket":{"status":"pending","comment":{"public":true,"body":"Is it the card `+demoCard2+`, valid until 12/29?"}}}`)
	if err != nil {
		return err
	}
	st.note = "masked in the other direction too"
	s.want(st, http.StatusOK, "")
	s.wantStored(st, demoCard2Mask)
	return nil
}

// historic: a bot reads tickets that are older than the gateway.
func (s *story) historic(ctx context.Context) (ticket string, err error) {
	st, err := s.call(ctx, "a bot reads tickets from before the gateway", "GET", "/api/v2/tickets.json", "")
	if err != nil {
		return "", err
	}
	st.note = "in clear in the helpdesk, masked on the way out"
	s.want(st, http.StatusOK, "")
	var list struct {
		Tickets []struct {
			ID           json.Number `json:"id"`
			CustomFields []struct {
				Value any `json:"value"`
			} `json:"custom_fields"`
		} `json:"tickets"`
	}
	if err := json.Unmarshal([]byte(st.Returned), &list); err != nil {
		return "", fail("", "the helpdesk's list of tickets is not JSON (status %d)", st.Status)
	}
	for _, text := range []string{demoCardMask, demoSSNMask} {
		if !strings.Contains(st.Returned, text) {
			s.complain(st, "the answer lacks %q", text)
		}
	}
	if len(list.Tickets) < 3 {
		return "", fail("", "the helpdesk returned %d tickets, want its historic ones", len(list.Tickets))
	}
	return list.Tickets[2].ID.String(), nil
}

// writeBack: a sync job writes back what it read, masks and all.
func (s *story) writeBack(ctx context.Context, ticket string) error {
	st, err := s.call(ctx, "a sync job writes a masked value back", "PUT", "/api/v2/tickets/"+ticket+".json",
		`{"ticket":{"priority":"high","custom_fields":[{"id":`+demoField+`,"value":"`+demoSSNMask+`"}]}}`)
	if err != nil {
		return err
	}
	st.note = "the mask was taken out of the write, or the write refused: the original stands"
	if st.Status != http.StatusOK && st.reason != "masked_write" {
		s.complain(st, "status %d %s, want 200 or masked_write", st.Status, st.reason)
	}
	if strings.Contains(st.Stored, demoSSNMask) {
		s.complain(st, "the mask reached the helpdesk")
	}
	if original, err := s.original(ctx, ticket); err != nil {
		return err
	} else if !strings.Contains(original, demoSSN) {
		s.complain(st, "the original in the helpdesk is gone")
	}
	return nil
}

// malformed: a body that two programs would read differently.
func (s *story) malformed(ctx context.Context) error {
	st, err := s.call(ctx, "a body that can be read in two ways", "POST", "/api/v2/tickets.json",
		`{"ticket":{"subject":"Hello"},"ticket":{"subject":"Hello","comment":{"body":"card `+demoCard+`"}}}`)
	if err != nil {
		return err
	}
	st.note = "refused, nothing was forwarded"
	s.want(st, http.StatusBadRequest, "json_duplicate_key")
	return nil
}

// export: everything at once, first without and then with a grant.
func (s *story) export(ctx context.Context) error {
	const path = "/api/v2/incremental/tickets/cursor.json?start_time=0"
	st, err := s.call(ctx, "an export without a grant", "GET", path, "")
	if err != nil {
		return err
	}
	st.note = "denied by policy, nothing was forwarded"
	s.want(st, http.StatusForbidden, "export_needs_grant")

	ch, err := channel.Load("zendesk")
	if err != nil {
		return err
	}
	grant := ch.Name + ":" + ch.Match("GET", "/api/v2/incremental/tickets/cursor.json").Op.Name
	var key made
	if _, err := newGateway(s.stage.data).call(ctx, "POST", "/apikeys", map[string]any{"name": "export of the demo", "roles": []string{"service"}, "grants": []string{grant}}, &key); err != nil {
		return err
	}
	if st, err = s.call(ctx, "the same export with a key that has the grant", "GET", path, "", "Caregate-Key", key.Secret); err != nil {
		return err
	}
	st.note = "allowed, and masked"
	s.want(st, http.StatusOK, "")
	return nil
}

// events is the least number of entries that the log must have after the story:
// its beginning, the loaded configuration, two for the key that was made, two
// for each call that was forwarded and one for each that was refused.
func (s *story) events() int64 {
	n := int64(4)
	for _, st := range s.steps {
		n++
		if st.forwarded {
			n++
		}
	}
	return n
}

// call makes one call through the gateway and notes what the helpdesk received
// of it.
func (s *story) call(ctx context.Context, name, method, path, body string, headers ...string) (*step, error) {
	st := &step{Name: name, Sent: body, method: method, path: path}
	if body == "" {
		st.Sent = method + " " + path
	}
	before := len(s.stage.helpdesk.Received())
	resp, err := s.do(ctx, s.stage.gatewayURL, method, path, body, headers...)
	if err != nil {
		return nil, fail("", "calling the gateway (%s): %w", name, err)
	}
	defer resp.Body.Close()
	returned, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's answer (%s): %w", name, err)
	}
	st.Returned, st.Status = string(returned), resp.StatusCode
	st.Receipt, st.reason = resp.Header.Get("Caregate-Receipt"), resp.Header.Get("Caregate-Error")
	if got := s.stage.helpdesk.Received(); len(got) > before {
		st.Stored, st.forwarded = string(got[len(got)-1].Body), true
	}
	s.steps = append(s.steps, st)
	s.check(st)
	return st, nil
}

// check holds for every step.
func (s *story) check(st *step) {
	if len(st.Receipt) != 32 {
		s.complain(st, "there is no receipt")
	}
	for _, number := range clearNumbers {
		if strings.Contains(st.Stored, number) {
			s.complain(st, "a clear number reached the helpdesk")
		}
		if strings.Contains(st.Returned, number) {
			s.complain(st, "a clear number came back")
		}
	}
	if st.reason != "" && st.forwarded {
		s.complain(st, "it was refused, and reached the helpdesk")
	}
}

// want compares the outcome.
func (s *story) want(st *step, status int, reason string) {
	if st.Status != status || st.reason != reason {
		s.complain(st, "status %d %s, want %d %s", st.Status, st.reason, status, reason)
	}
}

func (s *story) wantStored(st *step, texts ...string) {
	for _, text := range texts {
		if !strings.Contains(st.Stored, text) {
			s.complain(st, "the helpdesk did not store %q", text)
		}
	}
}

// original reads a ticket past the gateway, straight from the helpdesk.
func (s *story) original(ctx context.Context, ticket string) (string, error) {
	resp, err := s.do(ctx, s.stage.helpdeskURL, "GET", "/api/v2/tickets/"+ticket+".json", "")
	if err != nil {
		return "", fmt.Errorf("calling the helpdesk: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return string(body), err
}

func (s *story) do(ctx context.Context, base, method, path, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(demoUser, demoToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return s.client.Do(req)
}

// storyResult is the story as JSON.
type storyResult struct {
	Steps []*step    `json:"steps"`
	Audit storyAudit `json:"audit"`
}

type storyAudit struct {
	Entries  int64 `json:"entries"`
	Verified bool  `json:"verified"`
}

func (s *story) result(r audit.Report) storyResult {
	return storyResult{Steps: s.steps, Audit: storyAudit{Entries: r.Entries, Verified: r.Outcome == audit.Valid}}
}
