package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/policy/s3bundle"
)

const (
	// bundleTimeout bounds a call with its answer: MaxBundle over a slow line.
	bundleTimeout = 60 * time.Second
	// maxBundleTag is the longest tag that is kept, in bytes.
	maxBundleTag = 1 << 10
	// maxBundleHops is how many redirects within its host are followed.
	maxBundleHops = 3
	// maxKeyFile is more than any public key has, in bytes.
	maxKeyFile = 64 << 10
)

// readSmall reads a file that cannot be large.
func readSmall(name string) (_ []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}

// roots are the certificates that vouch for the server; nil for those of the system.
func (c *PolicyBundle) roots(repl *caddy.Replacer) (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	pool, err := certificates(repl.ReplaceKnown(c.CA, ""))
	if err != nil {
		return nil, fmt.Errorf("policy bundle: %w", err)
	}
	return pool, nil
}

// bundleClient makes the calls for bundles. It speaks TLS to whom the configuration names
// and follows no redirect to anybody else.
func bundleClient(c *PolicyBundle, repl *caddy.Replacer) (*http.Client, error) {
	roots, err := c.roots(repl)
	if err != nil {
		return nil, err
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &http.Client{
		Timeout: bundleTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute,
			DisableCompression: true, // a bundle is compressed, and its limit counts what is sent
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			first := via[0].URL
			if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme || len(via) > maxBundleHops {
				return errRedirected
			}
			return nil
		},
	}, nil
}

var errRedirected = errors.New("it sends callers elsewhere, and a bundle comes from the host that the configuration names")

// httpsBundle is a bundle on a web server.
type httpsBundle struct {
	client *http.Client
	url    string
	bearer string // a reference
}

// newHTTPSBundle prepares the calls, and says how messages call the bundle: a query may be
// a credential.
func newHTTPSBundle(c *PolicyBundle, where string, repl *caddy.Replacer) (name string, _ *httpsBundle, err error) {
	u, err := url.Parse(where)
	if err != nil {
		return "", nil, errors.New("policy bundle: want https://HOST/PATH")
	}
	client, err := bundleClient(c, repl)
	return "https://" + u.Host + u.EscapedPath(), &httpsBundle{client: client, url: where, bearer: c.Bearer}, err
}

func (h *httpsBundle) fetch(ctx context.Context, tag string) (archive []byte, newTag string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return nil, "", errors.New("the address cannot be called")
	}
	req.Header.Set("User-Agent", "caregate")
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	if h.bearer != "" {
		token, err := ResolveSecret(h.bearer)
		if err != nil {
			return nil, "", fmt.Errorf("bearer: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	res, err := h.client.Do(req)
	if err != nil {
		return nil, "", withoutAddress(err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusNotModified && tag != "":
		return nil, "", errUnchanged
	case res.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("the server answered %d", res.StatusCode)
	case res.ContentLength > policy.MaxBundle:
		return nil, "", fmt.Errorf("the server has %d bytes; the limit of a bundle is %d", res.ContentLength, policy.MaxBundle)
	}
	if archive, err = io.ReadAll(io.LimitReader(res.Body, policy.MaxBundle+1)); err != nil {
		return nil, "", fmt.Errorf("reading the answer: %w", withoutAddress(err))
	}
	if newTag = res.Header.Get("Etag"); len(newTag) > maxBundleTag {
		newTag = ""
	}
	return archive, newTag, nil
}

// withoutAddress is an error of net/http without the address that was called, whose query
// may be a credential, without where a redirect pointed and without what the server said:
// net/http quotes an answer that it cannot read.
func withoutAddress(err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errRedirected):
		return errRedirected
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &network):
		return network
	case errors.Is(err, http.ErrSchemeMismatch):
		return http.ErrSchemeMismatch
	}
	return errors.New("no whole answer")
}

// s3Bundle is a bundle in a bucket.
type s3Bundle struct{ object *s3bundle.Object }

func newS3Bundle(ctx context.Context, c *PolicyBundle, where string, repl *caddy.Replacer) (*s3Bundle, error) {
	roots, err := c.roots(repl)
	if err != nil {
		return nil, err
	}
	object, err := s3bundle.Open(ctx, s3bundle.Config{
		URL: where, Endpoint: repl.ReplaceKnown(c.Endpoint, ""), Region: repl.ReplaceKnown(c.Region, ""), Roots: roots,
	})
	if err != nil {
		return nil, fmt.Errorf("policy bundle: %w", err)
	}
	return &s3Bundle{object}, nil
}

func (s *s3Bundle) fetch(ctx context.Context, tag string) ([]byte, string, error) {
	archive, newTag, err := s.object.Fetch(ctx, tag, policy.MaxBundle)
	if errors.Is(err, s3bundle.ErrUnchanged) && tag != "" {
		return nil, "", errUnchanged
	}
	return archive, newTag, err
}

// localBundle is a bundle in a file, or unpacked in a directory.
type localBundle struct {
	place string
	seen  string // at the last look
}

// fetch reads what two looks in a row saw the same, so that half of what is being copied
// does not count.
func (l *localBundle) fetch(_ context.Context, tag string) ([]byte, string, error) {
	stamp := bundleStamp(l.place)
	settled := stamp == l.seen
	l.seen = stamp
	switch {
	case !settled:
		return nil, "", errUnsettled
	case stamp == tag:
		return nil, "", errUnchanged
	}
	archive, err := policy.ReadBundle(l.place)
	if bundleStamp(l.place) != stamp {
		return nil, "", errUnsettled
	}
	return archive, stamp, err
}

// mostStamped bounds what is looked at below a directory. What has more is refused when it
// is read.
const mostStamped = 8 << 10

// bundleStamp says what the files of a bundle look like. It follows links, by which
// clusters replace mounted files.
func bundleStamp(place string) string {
	var b strings.Builder
	left := mostStamped
	var look func(name string, depth int)
	look = func(name string, depth int) {
		if left--; left < 0 || depth > 16 {
			return
		}
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(&b, "%q gone\n", name)
			return
		}
		b.WriteString(fileStamp(name, info))
		if !info.IsDir() {
			return
		}
		entries, _ := os.ReadDir(name)
		for _, e := range entries {
			// What is hidden is no part of a bundle, but for two files at its top; a
			// repository's own folder is larger than any bundle.
			if strings.HasPrefix(e.Name(), ".") && (depth > 0 || e.Name() != ".manifest" && e.Name() != ".signatures.json") {
				continue
			}
			look(filepath.Join(name, e.Name()), depth+1)
		}
	}
	look(place, 0)
	return b.String()
}
