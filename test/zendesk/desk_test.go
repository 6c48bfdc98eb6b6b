package zendesk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy/proxytest"
)

// What must not be seen where it does not belong. Public test numbers and one
// social security number that was never issued.
const (
	card       = "4111 1111 1111 1111"
	maskedCard = "XXXX XXXX XXXX 1111"
	ssn        = "536-22-8145"
	maskedSSN  = "XXX-XX-XXXX"
)

// Credentials of the helpdesk.
const (
	apiToken = "zd-api-token"
	bearer   = "zd-oauth-bearer"
	agent    = "ana@helpdesk.example"
	other    = "bo@helpdesk.example"
)

// field is the id of a custom field.
const field = 360001234567

// basic is the client of an integration with an API token, oauth of one with an
// access token. The gateway's address is added by setup.
var (
	basic = options{"username": agent, "token": apiToken}
	oauth = options{"token": bearer, "oauth": true}
)

// desk is a sample helpdesk behind a gateway.
type desk struct {
	*sample.Helpdesk
	t       *testing.T
	gateway *proxytest.Gateway
}

// setup starts the helpdesk with its historic tickets, a gateway in front of it
// and a client that knows nothing but the gateway. govern is the inside of the
// govern block.
func setup(t *testing.T, o options, govern string) (*desk, *client) {
	t.Helper()
	return setupWith(t, o, proxytest.Options{Govern: govern})
}

// setupWith is setup with more options of the gateway.
func setupWith(t *testing.T, o options, gateway proxytest.Options) (*desk, *client) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	helpdesk := sample.NewHelpdesk(sample.Options{
		APITokens: []string{apiToken}, Bearers: []sample.Bearer{{Token: bearer, Email: agent, Client: 77}}, BaseURL: address, Seed: true,
	})
	server.Config.Handler = helpdesk
	server.Start()
	t.Cleanup(server.Close)
	gateway.Upstream = address
	d := &desk{Helpdesk: helpdesk, t: t, gateway: proxytest.Start(t, gateway)}
	return d, startClient(t, o.with("endpointUri", d.gateway.URL+"/api/v2"))
}

// stored is a ticket as the helpdesk has it.
type stored struct {
	ID           int64
	URL          string
	Subject      string
	RawSubject   string `json:"raw_subject"`
	Description  string
	Status       string
	Priority     string
	Tags         []string
	RequesterID  int64       `json:"requester_id"`
	SubmitterID  int64       `json:"submitter_id"`
	CustomFields []fieldData `json:"custom_fields"`
	Comments     []comment
}

type fieldData struct {
	ID    int64
	Value string
}

type comment struct {
	ID       int64
	AuthorID int64 `json:"author_id"`
	Body     string
	HTMLBody string `json:"html_body"`
	Public   bool
}

// ticket reads a ticket from behind the gateway.
func (d *desk) ticket(id int64) stored {
	d.t.Helper()
	raw, ok := d.Ticket(id)
	if !ok {
		d.t.Fatalf("the helpdesk has no ticket %d", id)
	}
	var out stored
	if err := json.Unmarshal(raw, &out); err != nil {
		d.t.Fatal(err)
	}
	return out
}

// behind calls the helpdesk itself, past the gateway, as its administrator would.
func (d *desk) behind(method, path, body string, want int, into any) {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("User-Agent", behindAgent)
	r.SetBasicAuth(agent+"/token", apiToken)
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != want {
		d.t.Fatalf("%s %s at the helpdesk: got status %d, want %d", method, path, w.Code, want)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			d.t.Fatal(err)
		}
	}
}

const behindAgent = "behind the gateway"

// fill stores n more tickets from before the gateway, each with a card number.
func (d *desk) fill(n int) {
	d.t.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"ticket":{"subject":"historic %d","comment":{"body":"paid with %s"}}}`, i, card)
		d.behind(http.MethodPost, "/api/v2/tickets.json", body, http.StatusCreated, nil)
	}
}

// user is the e-mail address of a user of the helpdesk.
func (d *desk) user(id int64) string {
	d.t.Helper()
	var got struct{ User struct{ Email string } }
	d.behind(http.MethodGet, fmt.Sprintf("/api/v2/users/%d.json", id), "", http.StatusOK, &got)
	return got.User.Email
}

// key creates an API key of the gateway and returns its secret.
func (d *desk) key(name string, roles, grants []string) string {
	d.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "roles": roles, "grants": grants})
	if err != nil {
		d.t.Fatal(err)
	}
	var made struct{ Secret string }
	d.gateway.API(http.MethodPost, "/api/v1/apikeys", string(body), http.StatusCreated, &made)
	return made.Secret
}

// pages checks a call that went over several pages: each under the gateway's
// address, released, and with an event of its own.
func (d *desk) pages(r result, into any, operation string, want int) {
	d.t.Helper()
	if r.Error != nil {
		d.t.Fatalf("%s: %s", operation, r.Error.Message)
	}
	if len(r.Answers) != want {
		d.t.Errorf("%s: the client took %d pages, want %d", operation, len(r.Answers), want)
	}
	for _, a := range r.Answers {
		if a.Status != http.StatusOK || !strings.HasPrefix(a.URL, d.gateway.URL+"/api/v2/") {
			d.t.Errorf("%s: status %d of %s", operation, a.Status, a.URL)
		}
		if e := d.event(a, operation, "released"); e.Records == 0 {
			d.t.Errorf("%s: the event names no record", operation)
		}
	}
	if err := json.Unmarshal(r.Value, into); err != nil {
		d.t.Fatal(err)
	}
}

// arrived is what came to the helpdesk through the gateway.
func (d *desk) arrived() (found []sample.Received) {
	for _, r := range d.Received() {
		if r.Header.Get("User-Agent") != behindAgent {
			found = append(found, r)
		}
	}
	return found
}

// event checks that an answer has a receipt and that the log has its event.
func (d *desk) event(a answer, operation, outcome string) console.Event {
	d.t.Helper()
	if a.Receipt == "" {
		d.t.Fatalf("%s %s: no receipt", a.Method, a.URL)
	}
	e := d.gateway.Event(a.Receipt)
	if e.Operation != operation || e.Outcome != outcome || e.Channel != "zendesk" {
		d.t.Errorf("event of %s %s: got %s of %s, %s; want %s of zendesk, %s", a.Method, a.URL, e.Operation, e.Channel, e.Outcome, operation, outcome)
	}
	return e
}

// masked is how many values of a class an event counts as masked.
func masked(e console.Event, class string) int {
	for _, f := range e.Findings {
		if f.Class == class {
			return f.Masked
		}
	}
	return 0
}

// notInspected is how many bodies an event counts as passed unread.
func notInspected(e console.Event) (n int) {
	for _, f := range e.Findings {
		n += f.NotInspected
	}
	return n
}

// clean fails the test when a value stands in clear where it must not.
func clean(t *testing.T, what string, text []byte) {
	t.Helper()
	squeezed := strings.NewReplacer(" ", "", "-", "", `\u002d`, "", "+", "", "%20", "").Replace(string(text))
	for name, value := range map[string]string{"card number": card, "social security number": ssn} {
		if strings.Contains(squeezed, strings.NewReplacer(" ", "", "-", "").Replace(value)) {
			t.Errorf("%s holds a %s in clear", what, name)
		}
	}
}
