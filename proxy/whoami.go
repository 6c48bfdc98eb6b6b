package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// whoamiClient asks the upstream whom a bearer belongs to. The question carries
// the caller's own credential to the one host that the credential is for, and
// nothing of the answer is kept but two ids.
type whoamiClient struct {
	client *http.Client
	method string
	url    string
	user   []string // path of the user's id in the answer
	app    []string // path of the OAuth client's id
}

// whoamiTimeout keeps a slow vendor from holding the first call of a token.
const whoamiTimeout = 5 * time.Second

// maxWhoami bounds the answer; a profile has a few KiB.
const maxWhoami = 256 << 10

func newWhoami(ch *channel.Channel, upstream string) (whoamiClient, error) {
	if ch.Whoami == nil {
		return whoamiClient{}, nil
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return whoamiClient{}, errors.New("the default transport was replaced")
	}
	return whoamiClient{
		client: &http.Client{
			Transport: transport.Clone(),
			Timeout:   whoamiTimeout,
			// A credential follows no redirect.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		method: ch.Whoami.Method,
		url:    strings.TrimSuffix(upstream, "/") + ch.Whoami.Path,
		user:   pointer(ch.Whoami.User),
		app:    pointer(ch.Whoami.Client),
	}, nil
}

// ask implements policy.Whoami.
func (c whoamiClient) ask(ctx context.Context, bearer policy.Secret) (policy.Account, error) {
	if c.client == nil {
		return policy.Account{}, errors.New("this channel cannot be asked who a bearer is")
	}
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, nil)
	if err != nil {
		return policy.Account{}, err
	}
	req.Header.Set("Authorization", "Bearer "+string(bearer))
	req.Header.Set("Accept", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return policy.Account{}, fmt.Errorf("asking who a bearer is: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return policy.Account{}, fmt.Errorf("asking who a bearer is: the upstream answered %d", res.StatusCode)
	}
	var answer any
	d := json.NewDecoder(io.LimitReader(res.Body, maxWhoami))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return policy.Account{}, errors.New("asking who a bearer is: the answer is not JSON")
	}
	return policy.Account{User: lookup(answer, c.user), Client: lookup(answer, c.app)}, nil
}

// pointer splits a JSON Pointer (RFC 6901); nil for an empty one.
func pointer(p string) []string {
	if p == "" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i])
	}
	return parts
}

// lookup follows a pointer through objects to an id; empty when it is not there.
func lookup(v any, path []string) string {
	if path == nil {
		return ""
	}
	for _, name := range path {
		o, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = o[name]
	}
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
