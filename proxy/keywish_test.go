package proxy_test

import (
	"net/http"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// A key whose grants grant nothing, or whose name is data of a person, is not made.
func TestWishForAKey(t *testing.T) {
	g := proxytest.Start(t, proxytest.Options{Upstream: "http://" + proxytest.FreeAddr(t)})
	for name, test := range map[string]struct {
		wish string
		want int
	}{
		"operation":           {`"name":"a","grants":["zendesk:ticket.incremental"]`, http.StatusCreated},
		"family":              {`"name":"a","grants":["zendesk:ticket.*"]`, http.StatusCreated},
		"family with ending":  {`"name":"a","grants":["zendesk:ticket.*/export"]`, http.StatusCreated},
		"all of a channel":    {`"name":"a","grants":["zendesk:*/read"]`, http.StatusCreated},
		"every channel":       {`"name":"a","grants":["*:*"]`, http.StatusCreated},
		"channel of no route": {`"name":"a","grants":["stripe:*"]`, http.StatusCreated},
		"unmapped calls":      {`"name":"a","grants":["zendesk:unmapped.get"]`, http.StatusCreated},
		"unknown channel":     {`"name":"a","grants":["foo:bar"]`, http.StatusBadRequest},
		"whole values":        {`"name":"a","grants":["caregate:token.reveal_full"]`, http.StatusCreated},
		"our own channel":     {`"name":"a","grants":["caregate:apikey.create"]`, http.StatusBadRequest},
		"unknown operation":   {`"name":"a","grants":["zendesk:ticket.export"]`, http.StatusBadRequest},
		"unknown family":      {`"name":"a","grants":["zendesk:tick.*"]`, http.StatusBadRequest},
		"second of two":       {`"name":"a","grants":["zendesk:*","zendesk:nothing"]`, http.StatusBadRequest},
		"no grant":            {`"name":"a","grants":["zendesk"]`, http.StatusBadRequest},
		"card in the name":    {`"name":"for 4111 1111 1111 1111"`, http.StatusBadRequest},
		"SSN in the name":     {`"name":"ssn 219-09-9999"`, http.StatusBadRequest},
		"id in the name":      {`"name":"job 20261122"`, http.StatusCreated},
	} {
		t.Log(name) // which the helper's failure does not say
		g.API("POST", "/api/v1/apikeys", `{"roles":["service"],`+test.wish+`}`, test.want, nil)
	}
}
