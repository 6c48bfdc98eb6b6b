package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

const appName = "caregate"

func init() { caddy.RegisterModule(App{}) }

// App is the Caddy app that owns what governed routes share: the data directory
// with log, vault and keys, the policy engine, and who may call.
type App struct {
	// Name is the deployment's name, part of the audit log's origin. Default
	// "caregate".
	Name string `json:"name,omitempty"`
	// Data is the data directory. Default "data" in the working directory.
	Data string `json:"data,omitempty"`
	// Keys is the directory of key files. Default "keys" in the data directory.
	Keys string `json:"keys,omitempty"`
	// PolicyDocuments are the operator's own documents, later ones winning.
	PolicyDocuments []string `json:"policy_documents,omitempty"`
	// Detect is the file of what to find and what to allow beside the built-in classes
	// (redact/lists). It is read again when it changes. Default none.
	Detect string `json:"detect,omitempty"`
	// Identities are issuers whose tokens prove who calls.
	Identities []Identity `json:"identities,omitempty"`

	logger  *zap.Logger
	config  DataConfig
	grants  map[string][]string
	engine  *policy.Engine
	metrics *metrics
	// ready is closed when Start is done. What follows is set by Start.
	ready chan struct{}
	// over is closed by end, when this configuration failed to start or was given up.
	over     <-chan struct{}
	end      context.CancelFunc
	gen      *generation
	resolver *policy.Resolver
	// local and remote are the API for the command line and for programs.
	local, remote http.Handler
	// detection is replaced as a whole when the lists change.
	detection *atomic.Pointer[detection]
	// refreshing is held while the lists are read again.
	refreshing *sync.Mutex
	routes     []*Handler
	now        func() time.Time
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appName, New: func() caddy.Module { return new(App) }}
}

// Provision prepares what needs no data directory, beside what is running, so
// that `caregate validate` works anywhere.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.now = time.Now
	a.metrics = processMetrics
	if err := a.metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if a.Data == "" {
		a.Data = "data"
	}
	// Placeholders are resolved here and not while parsing, so that what they stand
	// for is never part of the configuration.
	repl := caddy.NewReplacer()
	dir, err := filepath.Abs(repl.ReplaceKnown(a.Data, ""))
	if err != nil {
		return err
	}
	a.config = DataConfig{Dir: dir, Keys: repl.ReplaceKnown(a.Keys, ""), Name: a.Name, Logger: processLogger()}
	a.ready = make(chan struct{})
	over, end := context.WithCancel(context.Background())
	a.over, a.end = over.Done(), end
	if a.grants, err = a.loadPolicy(ctx); err != nil {
		return err
	}
	a.Detect = repl.ReplaceKnown(a.Detect, "")
	det, err := a.loadDetection(a.now())
	if err != nil {
		return err
	}
	a.detection, a.refreshing = new(atomic.Pointer[detection]), new(sync.Mutex)
	a.detection.Store(det)
	return nil
}

// startWait is how long a call waits for a configuration that is starting. Caddy
// stops a configuration that failed only when its calls have ended, so a call
// that waited for ever would hold up the rejection of a reload for ever.
const startWait = 10 * time.Second

// started waits until Start has opened what calls need. Caddy starts apps in no
// order, so the first calls can arrive before; a configuration that fails to
// start turns them away.
func (a *App) started(ctx context.Context) bool {
	select {
	case <-a.ready:
		return true
	default:
	}
	wait, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	select {
	case <-a.ready:
		return true
	case <-a.over:
	case <-wait.Done():
	}
	return false
}

// AllowCreate makes a gateway create a missing data directory instead of
// refusing to start. Only `caregate run --create` sets it, before Caddy loads a
// configuration.
var AllowCreate bool

func openOrCreate(ctx context.Context, c DataConfig) (*Data, error) {
	d, err := OpenData(ctx, c)
	if errors.Is(err, ErrNoData) && AllowCreate {
		if _, err := CreateData(ctx, c); err != nil {
			return nil, err
		}
		return OpenData(ctx, c)
	}
	return d, err
}

// processLogger is for services that outlive the configuration that opened them.
func processLogger() *slog.Logger {
	return slog.New(zapslog.NewHandler(caddy.Log().Named(appName).Core()))
}

// policyTimeout bounds one evaluation. The rules take well under a millisecond; a
// second is for a machine that is starved of processor time, where a denial
// would be the wrong answer, and still ends a rule that never would.
const policyTimeout = time.Second

// loadPolicy compiles the built-in policy with the operator's documents, and
// returns the grants that the documents give to actors, later ones winning.
func (a *App) loadPolicy(ctx context.Context) (grants map[string][]string, err error) {
	c := policy.Config{Logger: processLogger(), Timeout: policyTimeout}
	grants = make(map[string][]string)
	for _, file := range a.PolicyDocuments {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a policy document: %w", err)
		}
		o, err := policy.ParseOverlay(file, src)
		if err != nil {
			return nil, err
		}
		c.Overlays = append(c.Overlays, o)
		maps.Copy(grants, o.Grants())
	}
	if a.engine, err = policy.NewEngine(ctx, c); err != nil {
		return nil, fmt.Errorf("loading the policy: %w", err)
	}
	return grants, nil
}

// addRoute is called by every governed route while it is provisioned.
func (a *App) addRoute(h *Handler) error {
	for _, other := range a.routes {
		if other.Route == h.Route && (other.Channel != h.Channel || other.Upstream != h.Upstream || other.Webhooks != h.Webhooks) {
			return fmt.Errorf("two governed routes are called %s: give one of them a name of its own with `route`", h.Route)
		}
	}
	a.routes = append(a.routes, h)
	return nil
}

// Start opens the data directory, or joins the configuration that has it open,
// records which configuration takes over, with the exceptions from fail-closed
// that it makes, and opens the socket for the command line.
func (a *App) Start() (err error) {
	defer func() {
		if err != nil {
			a.end()
		}
	}()
	// The log may have to check itself first, after an unclean stop.
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if a.gen, err = openGeneration(a.config.Dir, func() (*Data, error) { return openOrCreate(ctx, a.config) }); err != nil {
		return err
	}
	if a.resolver, err = a.newResolver(a.grants); err != nil {
		return err
	}
	a.local, a.remote = newConsole(a, true), newConsole(a, false)
	if err := a.recordConfig(ctx); err != nil {
		return fmt.Errorf("recording the configuration: %w", err)
	}
	if err := a.gen.data.socket.serve(filepath.Join(a.gen.data.Dir, SocketName), a, a.local, a.logger); err != nil {
		return err
	}
	a.logger.Info("governing", zap.String("data", a.gen.data.Dir), zap.String("log", a.gen.data.Log.Origin()), zap.Int("routes", len(a.routes)),
		zap.String("policy", a.engine.Digest()), zap.Strings("exceptions", a.exceptions()))
	a.logger.Warn("the audit log has no anchor outside this machine: an administrator of this machine could rewrite it unseen")
	close(a.ready)
	if a.Detect != "" {
		go a.watchDetection()
	}
	return nil
}

// openTimeout bounds the opening of a data directory. Checking a log after an
// unclean stop reads what no checkpoint covers yet, and the index; ten minutes
// are for a very large one on a slow disk.
const openTimeout = 10 * time.Minute

// Stop does nothing: what runs belongs to the data directory, and exchanges end
// by themselves.
func (a *App) Stop() error { return nil }

// Cleanup gives up this configuration's reference. Exchanges that still run hold
// their own.
func (a *App) Cleanup() error {
	if a.end != nil {
		a.end()
	}
	if a.gen == nil {
		return nil // it never started
	}
	a.gen.data.socket.withdraw(a)
	return a.gen.release()
}

// exceptions lists the settings that let bytes pass which would otherwise be
// refused, as "route: setting".
func (a *App) exceptions() []string {
	var out []string
	for _, h := range a.routes {
		for _, e := range h.exceptions() {
			out = append(out, h.Route+": "+e)
		}
	}
	slices.Sort(out)
	return out
}

func (h *Handler) exceptions() []string {
	out := []string{}
	if h.Observe {
		out = append(out, "observe")
	}
	if h.Uninspected == "pass" {
		out = append(out, "uninspected pass")
	}
	return out
}

// recordConfig writes the config.loaded leaf (decision D6: what fails open is a
// setting, and the setting is in the log).
func (a *App) recordConfig(ctx context.Context) error {
	digest, err := a.digest()
	if err != nil {
		return err
	}
	slot, err := a.gen.data.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return err
	}
	defer slot.Release()
	attrs := map[string]string{"config": digest, "version": Version()}
	if lists := a.detection.Load().digest(); lists != "" {
		attrs["detect"] = lists
	}
	if e := a.exceptions(); len(e) > 0 {
		attrs["exceptions"] = strings.Join(e, ", ")
	}
	_, err = slot.Append(audit.Event{Type: "config.loaded", Tenant: tenant, Policy: a.engine.Digest(), Attrs: attrs, Retention: "administration"}).Wait(ctx)
	return err
}

// digest names the governing part of the configuration.
func (a *App) digest() (string, error) {
	raw, err := json.Marshal(struct {
		App    *App
		Routes []*Handler
	}{a, a.routes})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// loadChannel finds a built-in channel by name, or reads a channel file.
func loadChannel(name string) (*channel.Channel, error) {
	if !strings.ContainsAny(name, "/.") {
		return channel.Load(name)
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the channel file: %w", err)
	}
	return channel.Parse(name, src)
}

// Version is the gateway's version as `caregate version` prints it.
func Version() string {
	simple, _ := caddy.Version()
	return simple
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
