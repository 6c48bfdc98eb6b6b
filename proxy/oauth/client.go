package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caregate/caregate/policy"
)

// Client is the gateway as a vendor's OAuth server knows it.
type Client struct {
	// Name is what its tokens are kept under. A name has one client.
	Name string
	// TokenURL is asked for tokens.
	TokenURL string
	// ID and Secret are the client's. Secret may be empty for a public client that refreshes.
	ID     string
	Secret policy.Secret
	// Post sends ID and Secret in the body, and not by HTTP Basic (RFC 6749 section 2.3.1).
	Post bool
	// Scopes are asked for, by client credentials; a refresh keeps those there are.
	Scopes []string
	// Refresh has tokens refreshed, the first time with Seed. Without it they are asked for
	// by client credentials.
	Refresh bool
	Seed    policy.Secret
	// HTTP carries the questions. It must follow no redirect.
	HTTP *http.Client
}

// same tells whether two clients need no sources of their own.
func (c *Client) same(d *Client) bool {
	a, b := *c, *d
	a.HTTP, b.HTTP, a.Scopes, b.Scopes = nil, nil, nil, nil
	return a.Name == b.Name && a.TokenURL == b.TokenURL && a.ID == b.ID && a.Secret == b.Secret && a.Post == b.Post &&
		a.Refresh == b.Refresh && a.Seed == b.Seed && slices.Equal(c.Scopes, d.Scopes)
}

// of names whose tokens they are: with another server, client or scope a stored one is
// somebody else's.
func (c *Client) of(digest func(purpose string, b []byte) []byte) []byte {
	kind := "client_credentials"
	if c.Refresh {
		kind = "refresh_token"
	}
	return digest("upstream client", []byte(strings.Join([]string{kind, c.TokenURL, c.ID, strings.Join(c.Scopes, " ")}, "\x00")))
}

// Errors of questions to a vendor.
var (
	// errRefused: the vendor does not take the refresh token, and never will (RFC 6749
	// section 5.2, invalid_grant).
	errRefused = errors.New("the vendor does not take the refresh token")
	errType    = errors.New("the vendor gave a token of a type other than Bearer")
	errEmpty   = errors.New("the vendor gave no token")
)

// knownErrors are the codes of RFC 6749 section 5.2 and OAuth's registry that may stand in a
// log: what a server says beside them may repeat the question.
var knownErrors = []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "access_denied"}

// ask asks the vendor for a token, with a refresh token where the client has one. sure says
// of an error that the vendor answered it: nothing was rotated.
func (c *Client) ask(ctx context.Context, refresh string, now time.Time) (_ *pair, sure bool, _ error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.HTTP)
	style := oauth2.AuthStyleInHeader
	if c.Post || c.Secret == "" {
		style = oauth2.AuthStyleInParams
	}
	var t *oauth2.Token
	var err error
	if c.Refresh {
		o := oauth2.Config{ClientID: c.ID, ClientSecret: string(c.Secret), Endpoint: oauth2.Endpoint{TokenURL: c.TokenURL, AuthStyle: style}}
		t, err = o.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	} else {
		o := clientcredentials.Config{ClientID: c.ID, ClientSecret: string(c.Secret), TokenURL: c.TokenURL, Scopes: c.Scopes, AuthStyle: style}
		t, err = o.Token(ctx)
	}
	switch {
	case err != nil:
		var answered *oauth2.RetrieveError
		return nil, errors.As(err, &answered) && status(answered)/100 == 4, quiet(err)
	case t.AccessToken == "":
		return nil, false, errEmpty
	case !strings.EqualFold(t.Type(), "Bearer"):
		return nil, false, errType
	}
	p := &pair{Access: t.AccessToken, Refresh: t.RefreshToken, Got: now.UnixMilli()}
	// Not all of the library's grants hand expires_in on; its Expiry is by its own clock.
	if !t.Expiry.IsZero() {
		p.Expires = now.Add(time.Until(t.Expiry).Round(time.Second)).UnixMilli()
	}
	return p, false, nil
}

// quiet is an error about an answer without what the answer said.
func quiet(err error) error {
	var answered *oauth2.RetrieveError
	var failed *url.Error
	switch {
	case errors.As(err, &answered) && answered.ErrorCode == "invalid_grant":
		return errRefused
	case errors.As(err, &answered) && slices.Contains(knownErrors, answered.ErrorCode):
		return fmt.Errorf("the vendor's token endpoint answered %d, %s", status(answered), answered.ErrorCode)
	case errors.As(err, &answered):
		return fmt.Errorf("the vendor's token endpoint answered %d", status(answered))
	case errors.As(err, &failed) && failed.Timeout():
		return errors.New("the vendor's token endpoint did not answer in time")
	case errors.As(err, &failed):
		return fmt.Errorf("asking the vendor's token endpoint: %T", failed.Err)
	}
	return errors.New("the vendor's token endpoint gave no answer that holds a token")
}

func status(err *oauth2.RetrieveError) int {
	if err.Response == nil {
		return 0
	}
	return err.Response.StatusCode
}
