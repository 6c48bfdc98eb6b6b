package proxy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/policy/s3bundle"
)

// PolicyBundle says where the operator's rules and document come from as a signed bundle,
// and whose signature counts.
type PolicyBundle struct {
	// URL is https://HOST/PATH, s3://BUCKET/KEY, or the path of a file or of a directory
	// with an unpacked bundle. Required. A placeholder may stand for it.
	URL string `json:"url"`
	// Keys are the public keys under whose signature a bundle counts. One at least; two
	// while a key is replaced.
	Keys []PolicyBundleKey `json:"keys"`
	// Scope must be the scope that was signed. Default none.
	Scope string `json:"scope,omitempty"`
	// Every is about how often HTTPS and S3 are asked, with a tenth of chance. Default 30
	// seconds, 1 second at least. Files are looked at four times a second.
	Every caddy.Duration `json:"every,omitempty"`
	// CA is a file of the certificates that vouch for the server, of HTTPS and of an
	// endpoint of S3. Default: those of the system.
	CA string `json:"ca,omitempty"`
	// Bearer is a reference to a token for HTTPS ({env.NAME} or {file./path}), read anew
	// for every call.
	Bearer string `json:"bearer,omitempty"`
	// Endpoint is the address of an S3 server that is not AWS; Region is that of the
	// bucket.
	Endpoint string `json:"endpoint,omitempty"`
	Region   string `json:"region,omitempty"`
}

// PolicyBundleKey is a key of PolicyBundle.
type PolicyBundleKey struct {
	// Key is the file of a public key in PEM, or a placeholder that stands for the file's
	// path or for the key itself.
	Key string `json:"key"`
	// ID is what signatures call it. Default: a fingerprint.
	ID string `json:"id,omitempty"`
}

const (
	defaultBundleEvery = 30 * time.Second
	minBundleEvery     = time.Second
	maxBundleEvery     = 24 * time.Hour
)

// parsePolicyBundle reads
//
//	policy bundle https://<host>/<path> | s3://<bucket>/<key> | <file> | <directory> {
//		key      <file|placeholder> [<id>]
//		scope    <name>
//		every    30s
//		ca       <file>
//		bearer   <reference>
//		endpoint <url>
//		region   <name>
//	}
func parsePolicyBundle(d *caddyfile.Dispenser, folder string) (*PolicyBundle, error) {
	c := new(PolicyBundle)
	if !d.Args(&c.URL) {
		return nil, d.Err("policy bundle wants an address and a key, for example: policy bundle https://policy.example.com/desk.tar.gz { key ./policy.pub }")
	}
	if !strings.Contains(c.URL, "://") {
		c.URL = absolute(folder, c.URL)
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		args := d.RemainingArgs()
		if len(args) == 0 || len(args) > 2 || len(args) == 2 && option != "key" {
			return nil, d.ArgErr()
		}
		switch option {
		case "key":
			k := PolicyBundleKey{Key: absolute(folder, args[0])}
			if len(args) == 2 {
				k.ID = args[1]
			}
			c.Keys = append(c.Keys, k)
		case "scope":
			c.Scope = args[0]
		case "every":
			if err := parseSpan(args[0], &c.Every); err != nil {
				return nil, d.Errf("policy bundle every: %v", err)
			}
		case "ca":
			c.CA = absolute(folder, args[0])
		case "bearer":
			c.Bearer = args[0]
		case "endpoint":
			c.Endpoint = args[0]
		case "region":
			c.Region = args[0]
		default:
			return nil, d.Errf("unknown option %s of policy bundle; it has key, scope, every, ca, bearer, endpoint, region", option)
		}
	}
	where := c.URL
	if strings.HasPrefix(where, "{") {
		where = "" // seen at the start
	}
	if err := c.validate(where); err != nil {
		return nil, d.Err(err.Error())
	}
	return c, nil
}

// validate checks what can be checked without a start. where is the address, "" while it
// is not known. Nothing of it is repeated but scheme, host and path.
func (c *PolicyBundle) validate(where string) error {
	fail := func(text string) error { return errors.New("policy bundle: " + text) }
	if where != "" {
		u, err := url.Parse(where)
		web := err == nil && strings.HasPrefix(where, "https://")
		bucket := err == nil && strings.HasPrefix(where, "s3://")
		switch {
		case strings.Contains(where, "://") && !web && !bucket:
			return fail("want https://HOST/PATH, s3://BUCKET/KEY, a file or a directory")
		case web && (u.Host == "" || u.User != nil || u.Fragment != ""):
			return fail("want https://HOST/PATH; a credential is given by bearer")
		case bucket:
			if _, _, err := s3bundle.ParseURL(where); err != nil {
				return fail(err.Error())
			}
		}
		switch {
		case c.Bearer != "" && !web:
			return fail("bearer goes with https://")
		case (c.Endpoint != "" || c.Region != "") && !bucket:
			return fail("endpoint and region go with s3://")
		case c.CA != "" && !web && !bucket, c.Every != 0 && !web && !bucket:
			return fail("ca and every go with https:// and s3://; files are watched")
		}
	}
	every := time.Duration(c.Every)
	switch {
	case len(c.Keys) == 0:
		return fail("want the public key of whoever signs: key ./policy.pub")
	case c.Bearer != "" && !isReference(c.Bearer):
		return fail("bearer: " + errNotReference.Error())
	case every != 0 && (every < minBundleEvery || every > maxBundleEvery):
		return fail(fmt.Sprintf("every is from %v to %v", minBundleEvery, maxBundleEvery))
	}
	return nil
}

// bundleSource is where a bundle comes from. One goroutine at a time uses it.
type bundleSource interface {
	// fetch reads the bundle, with at most one byte more than policy.MaxBundle, and names
	// its state by a tag, "" when it cannot. With the tag of a bundle that is in hand,
	// errUnchanged says that there is no other; errUnsettled, that it is being written.
	// Errors have no content and no credential in them.
	fetch(ctx context.Context, tag string) (archive []byte, newTag string, err error)
}

// errUnchanged says that the source has what it had.
var errUnchanged = errors.New("the policy bundle has not changed")

// bundleFollower follows the bundle of one configuration.
type bundleFollower struct {
	name   string // for messages: the address without what could be a credential
	trust  policy.BundleTrust
	source bundleSource
	every  time.Duration
	local  bool

	// What follows belongs to Start, and then to watchBundle.

	// tag and sum are of what was read last, refused says why it is not in force.
	tag     string
	sum     [sha256.Size]byte
	refused error
	// again is when it is tried again although it has not changed; zero: never.
	again time.Time

	mu      sync.Mutex // guards what follows
	checked time.Time  // when the source was last seen to have what is in force
}

// errBundleBeside refuses two sources: who signs would not know what decides.
var errBundleBeside = errors.New("policy bundle is the whole of your policy, and builtin names documents or rules beside it: put them into the bundle")

// prepareBundle makes what Start uses, so that a configuration that cannot work is refused
// before anything of it runs. It asks no server.
func (a *App) prepareBundle(ctx context.Context) error {
	c := a.PolicyBundle
	if c == nil {
		return nil
	}
	if len(a.PolicyDocuments) > 0 || a.PolicyRules != "" {
		return errBundleBeside
	}
	repl := caddy.NewReplacer()
	where := strings.TrimSpace(repl.ReplaceKnown(c.URL, ""))
	if where == "" {
		return fmt.Errorf("policy bundle %s: the placeholder stands for nothing", c.URL)
	}
	if err := c.validate(where); err != nil {
		return err
	}
	f := &bundleFollower{name: where, every: time.Duration(c.Every), trust: policy.BundleTrust{Scope: c.Scope}}
	if f.every == 0 {
		f.every = defaultBundleEvery
	}
	ids := make(map[string]bool)
	for _, k := range c.Keys {
		key, err := k.read(repl)
		if err != nil {
			return fmt.Errorf("policy bundle key %s: %w", k.Key, err)
		}
		if ids[key.ID()] {
			return fmt.Errorf("policy bundle: two keys are called %s", key.ID())
		}
		ids[key.ID()] = true
		f.trust.Keys = append(f.trust.Keys, key)
	}
	var err error
	switch {
	case strings.HasPrefix(where, "s3://"):
		f.source, err = newS3Bundle(ctx, c, where, repl)
	case strings.HasPrefix(where, "https://"):
		f.name, f.source, err = newHTTPSBundle(c, where, repl)
	default:
		f.local, f.source = true, &localBundle{place: where}
	}
	a.bundle = f
	return err
}

// read reads a key, from a file or from what a placeholder stands for.
func (k PolicyBundleKey) read(repl *caddy.Replacer) (*policy.BundleKey, error) {
	src := []byte(repl.ReplaceKnown(k.Key, ""))
	if !strings.HasPrefix(strings.TrimSpace(string(src)), "-----BEGIN") {
		var err error
		if src, err = readSmall(strings.TrimSpace(string(src))); err != nil {
			return nil, err
		}
	}
	return policy.ParseBundleKey(k.ID, src)
}

// bundleStart and bundleStartKept are how long a start waits for the source, without and
// with a bundle from before: a source that hangs must not keep a gateway down that can work.
const (
	bundleStart     = bundleTimeout
	bundleStartKept = 5 * time.Second
)

// startBundle puts the bundle of the source in force, or the one that was kept when the
// source has none that can be taken. Without either the gateway does not start.
func (a *App) startBundle(ctx context.Context) error {
	f := a.bundle
	if f == nil {
		return nil
	}
	shelf := a.bundleShelf()
	keptArchive, errKept := shelf.kept()
	var kept *rulesInForce
	if errKept == nil {
		kept, errKept = a.openBundle(ctx, keptArchive)
	}
	wait := bundleStart
	if errKept == nil {
		wait = bundleStartKept
	}
	ask, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	archive, tag, err := f.source.fetch(ask, "")
	if errors.Is(err, errUnsettled) {
		archive, tag, err = f.source.fetch(ask, "") // it has been looked at once now
	}
	var rules *rulesInForce
	if err == nil {
		if rules, err = a.openBundle(ctx, archive); err == nil {
			err = shelf.keep(archive, rules.bundle)
		}
		f.read(tag, archive, err)
	}
	if err != nil {
		err = fmt.Errorf("policy bundle %s: %w", f.name, err)
		if errKept != nil {
			return fmt.Errorf("there is no policy: %w; and none is kept from before: %w", err, errKept)
		}
		// Its mark may be behind it after a crash.
		if errKeep := shelf.keep(keptArchive, kept.bundle); errKeep != nil {
			return errKeep
		}
		rules = kept
	} else {
		f.seen(a.now())
	}
	a.detection.Store(a.detection.Load().under(rules))
	a.tellTrouble(err)
	return nil
}

// bundleShelf keeps what this configuration takes.
func (a *App) bundleShelf() *bundleShelf { return a.gen.data.bundles.shelf(a.bundle.trust.Scope) }

// KeptBundle is the policy bundle that the gateway of a data directory took last, nil where
// the configuration follows none.
func (a *App) KeptBundle(ctx context.Context, dir string) (*policy.SignedBundle, error) {
	if err := a.prepareBundle(ctx); err != nil || a.bundle == nil {
		return nil, err
	}
	archive, err := newBundleShelf(dir, a.bundle.trust.Scope).kept()
	if err != nil {
		return nil, err
	}
	return policy.OpenBundle(archive, a.bundle.trust)
}

// openBundle makes a policy of a bundle that may be taken.
func (a *App) openBundle(ctx context.Context, archive []byte) (rules *rulesInForce, err error) {
	defer func() {
		if recover() != nil { // its value may quote the bundle
			rules, err = nil, errors.New("reading the bundle made its reader panic")
		}
	}()
	b, err := policy.OpenBundle(archive, a.bundle.trust)
	if err != nil {
		return nil, err
	}
	if err := a.bundleShelf().check(b); err != nil {
		return nil, err
	}
	engine, err := policy.NewEngine(ctx, policy.Config{Bundle: b, Logger: processLogger(), Timeout: policyTimeout})
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", b.Revision, err)
	}
	rules = &rulesInForce{engine: engine, grants: b.Grants(), named: b.Named(), bundle: b}
	if err := cmp.Or(a.checkRows(rules), checkViews(rules, a.routes...)); err != nil {
		return nil, fmt.Errorf("revision %d: %w", b.Revision, err)
	}
	if err := a.checkChanges(ctx, rules, a.rules()); err != nil { // last, as in takePolicy
		return nil, fmt.Errorf("revision %d: %w", b.Revision, err)
	}
	return rules, nil
}

// takeBundle puts a bundle in force, for calls that begin from now on. One that is broken
// changes nothing, nor does one that the disk or the log does not take.
func (a *App) takeBundle(ctx context.Context, archive []byte) error {
	rules, err := a.openBundle(ctx, archive)
	if err != nil {
		return err
	}
	// Disk, log, force: killed after the first, the next start records it and begins with
	// it; killed after the second, it records it once more. What is in force was always on
	// disk and in the log before.
	if err := a.bundleShelf().keep(archive, rules.bundle); err != nil {
		return err
	}
	if rules.resolver, err = a.resolver.WithGrants(rules.grants); err != nil {
		return err
	}
	a.refreshing.Lock()
	defer a.refreshing.Unlock()
	old := a.detection.Load()
	if in := old.policy.bundle; in.Revision == rules.bundle.Revision && in.Digest == rules.bundle.Digest && in.Key == rules.bundle.Key {
		return nil
	}
	d := old.under(rules)
	if err := a.recordConfig(ctx, d); err != nil {
		return fmt.Errorf("recording the new policy: %w", err)
	}
	a.detection.Store(d)
	a.gaugePolicy()
	a.logger.Info("policy bundle taken", zap.Int64("revision", rules.bundle.Revision), zap.String("key", rules.bundle.Key), zap.String("policy", rules.engine.Digest()))
	return nil
}

// read notes what was read last and what became of it.
func (f *bundleFollower) read(tag string, archive []byte, err error) {
	f.tag, f.sum, f.refused, f.again = tag, sha256.Sum256(archive), err, time.Time{}
	if err != nil {
		f.again = time.Now().Add(policyAgain)
	}
}

// seen notes when the source had what is in force.
func (f *bundleFollower) seen(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked = now
}

// pause is the time until the source is asked again. Gateways that were started together do
// not go on asking together.
func (f *bundleFollower) pause() time.Duration {
	if f.local {
		return policyEvery
	}
	return time.Duration((0.9 + 0.2*rand.Float64()) * float64(f.every)) //nolint:gosec // it spreads calls and is no secret
}

// watchBundle keeps the policy current until this configuration is given up.
func (a *App) watchBundle() {
	ctx := a.running()
	var files restless
	for {
		timer := time.NewTimer(a.bundle.pause())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if !a.gen.acquire() { // so that the log is not closed meanwhile
			return
		}
		err := a.pollBundle(ctx)
		if errClose := a.gen.release(); errClose != nil {
			a.logger.Error("closing the data directory", errField(errClose))
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errUnsettled):
			if err = files.moved(); err == nil {
				continue
			}
		default:
			files.stood()
		}
		if err == nil {
			a.bundle.seen(a.now())
		} else {
			err = fmt.Errorf("policy bundle %s: %w", a.bundle.name, err)
		}
		a.tellTrouble(err)
	}
}

// pollBundle asks the source once and takes what is new. It returns why what the source has
// is not in force.
func (a *App) pollBundle(ctx context.Context) error {
	f := a.bundle
	tag := f.tag
	retry := !f.again.IsZero() && !time.Now().Before(f.again)
	if retry {
		tag = ""
	}
	archive, newTag, err := f.source.fetch(ctx, tag)
	switch {
	case errors.Is(err, errUnchanged):
		return f.refused
	case err != nil:
		return err
	case sha256.Sum256(archive) == f.sum && !retry:
		f.tag = newTag
		return f.refused
	}
	err = a.takeBundle(ctx, archive)
	if ctx.Err() == nil {
		f.read(newTag, archive, err)
	}
	return err
}

// bundleStatus is what the gateway's administrators are told of the bundle in force.
func (a *App) bundleStatus() *console.BundleStatus {
	b := a.rules().bundle
	if b == nil {
		return nil
	}
	a.bundle.mu.Lock()
	defer a.bundle.mu.Unlock()
	return &console.BundleStatus{Source: a.bundle.name, Revision: b.Revision, Digest: b.Digest, Key: b.Key, Scope: a.bundle.trust.Scope, Checked: a.bundle.checked}
}
