package proxy

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact/detect"
)

// Trail is a log that a vendor keeps of what happens on its own side, which is read
// into ours.
type Trail struct {
	// Channel is a built-in channel or the path of a channel file, Log the name of one
	// of its trails.
	Channel string `json:"channel"`
	Log     string `json:"log"`
	// Upstream is the vendor's URL, scheme and host.
	Upstream string `json:"upstream"`
	// Bearer is a reference to an access token ({env.NAME} or {file./path}), read anew
	// for every call, so that a file may be replaced by whoever refreshes the token.
	Bearer string `json:"bearer,omitempty"`
	// User and Password are for HTTP Basic instead. Password is a reference, User may be
	// one.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// CA is a file of the certificates that vouch for the vendor. Default: those of the
	// system.
	CA string `json:"ca,omitempty"`
	// Every is the time between two readings. Default 5 minutes.
	Every caddy.Duration `json:"every,omitempty"`
	// History is how far back the first reading begins. Default 24 hours.
	History caddy.Duration `json:"history,omitempty"`
	// Only lists effects and scopes: entries with none of them are counted and not
	// recorded one by one. Entries that the channel file does not know are recorded
	// always. Default all.
	Only []string `json:"only,omitempty"`
}

// Times of a trail that are not set.
const (
	defaultTrailEvery   = 5 * time.Minute
	defaultTrailHistory = 24 * time.Hour
	// minTrailEvery: each reading asks again for the last minutes, and vendors limit
	// calls for these logs to about one a second.
	minTrailEvery = 30 * time.Second
	maxTrailSpan  = 10 * 366 * 24 * time.Hour
)

// trailOnly are the words of `only`.
var trailOnly = []string{"read", "write", "delete", "admin", "one", "bulk", "export"}

// parseTrail reads
//
//	trail <channel>/<log> <upstream> {
//		bearer  <reference>
//		basic   <user> <reference>
//		every   5m
//		history 24h
//		only    <effect|scope> ...
//		ca      <file>
//	}
func parseTrail(d *caddyfile.Dispenser, folder string) (Trail, error) {
	const example = "trail wants a channel with one of its logs, and the vendor's address, for example: trail zendesk/audit https://acme.zendesk.com"
	var t Trail
	var what string
	if !d.Args(&what, &t.Upstream) {
		return t, d.Err(example)
	}
	slash := strings.LastIndexByte(what, '/')
	if slash <= 0 {
		return t, d.Err(example)
	}
	if t.Channel, t.Log = what[:slash], what[slash+1:]; strings.ContainsAny(t.Channel, "/.") {
		t.Channel = absolute(folder, t.Channel)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		option := d.Val()
		args := d.RemainingArgs()
		want := 1
		if option == "basic" {
			want = 2
		}
		if len(args) < want || len(args) > want && option != "only" {
			return t, d.ArgErr()
		}
		switch option {
		case "bearer":
			t.Bearer = args[0]
		case "basic":
			t.User, t.Password = args[0], args[1]
		case "ca":
			t.CA = absolute(folder, args[0])
		case "only":
			t.Only = append(t.Only, args...)
		case "every":
			err = parseSpan(args[0], &t.Every)
		case "history":
			err = parseSpan(args[0], &t.History)
		default:
			return t, d.Errf("unknown option %s of trail; it has bearer, basic, every, history, only, ca", option)
		}
		if err != nil {
			return t, d.Errf("trail %s: %v", option, err)
		}
	}
	if _, err := t.resolve(); err != nil {
		return t, d.Err(err.Error())
	}
	return t, nil
}

func parseSpan(s string, to *caddy.Duration) error {
	v, err := caddy.ParseDuration(s)
	*to = caddy.Duration(v)
	return err
}

// resolve checks what can be checked without a start.
func (t *Trail) resolve() (*channel.Channel, error) {
	fail := func(format string, args ...any) (*channel.Channel, error) {
		return nil, fmt.Errorf("trail %s/%s: "+format, append([]any{t.Channel, t.Log}, args...)...)
	}
	c, err := loadChannel(t.Channel)
	if err != nil {
		return fail("%w", err)
	}
	if c.Trail(t.Log) == nil {
		names := []string{}
		for _, own := range c.Trails {
			names = append(names, own.Name)
		}
		if len(names) == 0 {
			return fail("channel %s has no trails", c.Name)
		}
		return fail("channel %s has no such trail; it has %s", c.Name, strings.Join(names, ", "))
	}
	u, err := url.Parse(t.Upstream)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http", u.Path != "" && u.Path != "/", u.RawQuery != "", u.User != nil:
		return fail("the upstream is a URL with scheme and host only, such as https://acme.zendesk.com")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return fail("the credential is not sent in the clear: want https://")
	case (t.Bearer == "") == (t.Password == ""):
		return fail("want one credential, bearer {env.NAME} or basic USER {env.NAME}")
	}
	for _, ref := range []string{t.Bearer, t.Password} {
		if ref != "" && !isReference(ref) {
			return fail("%w", errNotReference)
		}
	}
	if n := time.Duration(t.Every); n != 0 && n < minTrailEvery {
		return fail("every is at least %s", minTrailEvery)
	}
	if t.Every > caddy.Duration(maxTrailSpan) || t.History < 0 || t.History > caddy.Duration(maxTrailSpan) {
		return fail("every and history are at most ten years, and not in the future")
	}
	for _, word := range t.Only {
		if !slices.Contains(trailOnly, word) {
			return fail("only: unknown word %s; there are %s", word, strings.Join(trailOnly, ", "))
		}
	}
	return c, nil
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Authorization is the header of a call. Errors name the reference and never what it
// stands for.
func (t *Trail) Authorization() (string, error) {
	if t.Bearer != "" {
		token, err := ResolveSecret(t.Bearer)
		return "Bearer " + string(token), err
	}
	user := t.User
	if isReference(user) {
		resolved, err := ResolveSecret(user)
		if err != nil {
			return "", err
		}
		user = string(resolved)
	}
	password, err := ResolveSecret(t.Password)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+string(password))), err
}

// name is how leaves, metrics and messages call the trail of channel c.
func (t *Trail) name(c *channel.Channel) string { return c.Name + "/" + t.Log }

// trailTimeout bounds a call with its answer. An access log's page of 1,000 entries
// takes the vendor seconds.
const trailTimeout = 60 * time.Second

// client prepares the calls of a trail. It follows no redirect, because the
// credential is for one host.
func (t *Trail) client() (*http.Client, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		var err error
		if tlsConfig.RootCAs, err = certificates(t.CA); err != nil {
			return nil, err
		}
	}
	return &http.Client{
		Timeout: trailTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// prepareTrails makes what Start runs, so that a configuration that cannot work is
// refused before anything of it runs.
func (a *App) prepareTrails() error {
	seen := map[string]bool{}
	for i := range a.Trails {
		t := &a.Trails[i]
		c, err := t.resolve()
		if err != nil {
			return err
		}
		name := t.name(c)
		if seen[name] {
			return errors.New("trail " + name + " is configured twice")
		}
		seen[name] = true
		client, err := t.client()
		if err != nil {
			return fmt.Errorf("trail %s: %w", name, err)
		}
		if _, err := t.Authorization(); err != nil {
			return fmt.Errorf("trail %s: %w", name, err)
		}
		p := &poller{
			name: name, key: name + " " + strings.TrimSuffix(t.Upstream, "/"), upstream: strings.TrimSuffix(t.Upstream, "/"), ch: c, trail: c.Trail(t.Log),
			client: client, authorize: t.Authorization, every: time.Duration(t.Every), history: time.Duration(t.History), only: t.Only,
			metrics: a.metrics.following(name), logger: processLogger(), now: a.now, pause: pause,
			detector: func() *detect.Detector { return a.detection.Load().detector },
		}
		if p.every == 0 {
			p.every = defaultTrailEvery
		}
		if p.history == 0 {
			p.history = defaultTrailHistory
		}
		a.pollers = append(a.pollers, p)
	}
	return nil
}

// followTrails reads the vendors' logs until this configuration ends. Nothing waits
// for them.
func (a *App) followTrails() {
	ctx := a.running()
	for _, p := range a.pollers {
		p.data = a.gen.data
		go p.run(ctx, a.gen)
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
