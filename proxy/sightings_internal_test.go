package proxy

import (
	"testing"

	"github.com/caregate/caregate/channel"
)

// A webhook's records stand in the account of its channel if that has one, and nobody is
// linked in a channel that has two.
func TestAccounts(t *testing.T) {
	t.Parallel()
	desk, other := &channel.Channel{Name: "desk"}, &channel.Channel{Name: "other"}
	hooks := &Handler{ch: desk, Webhooks: true, Upstream: "http://app.internal"}
	api := &Handler{ch: desk, Upstream: "https://Acme.example"}
	for name, test := range map[string]struct {
		routes []*Handler
		of     *Handler
		want   string
		alone  bool
	}{
		"the route's own":            {[]*Handler{api, hooks}, api, "acme.example", true},
		"webhooks of one account":    {[]*Handler{api, {ch: desk, Upstream: "https://acme.example"}, hooks}, hooks, "acme.example", true},
		"webhooks of two accounts":   {[]*Handler{api, {ch: desk, Upstream: "https://beta.example:8443"}, hooks}, hooks, accountUnknown, false},
		"one of two accounts":        {[]*Handler{api, {ch: desk, Upstream: "https://beta.example:8443"}}, api, "acme.example", false},
		"webhooks of no account":     {[]*Handler{hooks, {ch: other, Upstream: "https://beta.example"}}, hooks, accountUnknown, true},
		"accounts of other channels": {[]*Handler{api, {ch: other, Upstream: "https://beta.example"}}, api, "acme.example", true},
	} {
		a := &App{routes: test.routes}
		if got, alone := a.account(test.of), a.alone(test.of); got != test.want || alone != test.alone {
			t.Errorf("%s: got %q, alone %v, want %q, %v", name, got, alone, test.want, test.alone)
		}
	}
}

// Times of vendors are read in each of their forms.
func TestVendorTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"2026-01-05T10:00:00Z": 1767607200, "1767607200": 1767607200, "1767607200000": 1767607200,
		"": -1, "null": -1, "yesterday": -1, "-5": -1, "99999999999999999999": -1,
	} {
		got := channel.Instant([]byte(text))
		if want < 0 != got.IsZero() || want >= 0 && got.Unix() != want {
			t.Errorf("%q: got %v, want %d", text, got, want)
		}
	}
}
