package proxy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/syslog"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/internal/store"
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
	// Database is the URL of a PostgreSQL database that takes the place of the SQLite
	// files in the data directory. A placeholder keeps its password out of the
	// configuration. Default: the files.
	Database string `json:"database,omitempty"`
	// Gateway names one of several gateways that share Database, each with an audit log of
	// its own in its data directory. Default: there is one.
	Gateway string `json:"gateway,omitempty"`
	// Keys is the directory of key files. Default "keys" in the data directory.
	Keys string `json:"keys,omitempty"`
	// KeySeal says how the vault's key files are sealed. Default: not at all.
	KeySeal KeySealConfig `json:"key_seal,omitzero"`
	// PolicyDocuments are the operator's own documents, later ones winning. One that a
	// placeholder stands for may also be the directory of PolicyRules.
	PolicyDocuments []string `json:"policy_documents,omitempty"`
	// PolicyRules is the directory of the operator's own rules in Rego. It is read again
	// when it changes, and so are the documents. Default none.
	PolicyRules string `json:"policy_rules,omitempty"`
	// PolicyBundle is a signed bundle with rules and document, in place of PolicyDocuments
	// and PolicyRules. Default none.
	PolicyBundle *PolicyBundle `json:"policy_bundle,omitempty"`
	// Detect is the file of what to find and what to allow beside the built-in classes
	// (redact/lists). It is read again when it changes. Default none.
	Detect string `json:"detect,omitempty"`
	// Vault says what is kept behind tokens.
	Vault VaultConfig `json:"vault,omitzero"`
	// Identities are issuers whose tokens prove who calls.
	Identities []Identity `json:"identities,omitempty"`
	// ActorSigner is who may say in Caregate-Actor who calls. Default nobody.
	ActorSigner *ActorSigner `json:"actor_signer,omitempty"`
	// OIDC is the provider at which people log in with a browser. Default none.
	OIDC *OIDC `json:"oidc,omitempty"`
	// Certificates is the authority whose client certificates prove who calls. Default
	// none.
	Certificates *Certificates `json:"certificates,omitempty"`
	// Syslog are collectors that the audit log is sent to.
	Syslog []Syslog `json:"syslog,omitempty"`
	// Trails are logs of vendors that are read into ours.
	Trails []Trail `json:"trails,omitempty"`
	// Archive is where the audit log is copied to, locked against deletion. Default
	// nowhere.
	Archive *ArchiveConfig `json:"archive,omitempty"`
	// Change says who changed the configuration last. Default: nothing.
	Change *policy.Authorship `json:"change,omitempty"`

	// Details says how long the sealed details of events are kept. Default: 30 days for
	// the part about the persons, 12 months for the part about who looked.
	Details *DetailsConfig `json:"details,omitempty"`

	logger  *zap.Logger
	config  DataConfig
	metrics *metrics
	// ready is closed when Start is done. What follows is set by Start.
	ready chan struct{}
	// over is closed by end, when this configuration failed to start or was given up.
	over <-chan struct{}
	end  context.CancelFunc
	gen  *generation
	// configured is when that began.
	configured time.Time
	// resolver knows who may call, with the grants of the policy at the start.
	resolver *policy.Resolver
	// login lets people log in; nil without OIDC.
	login *policy.Login
	// local and remote are the API for the command line and for programs.
	local, remote http.Handler
	// detection is replaced as a whole when the lists or the policy change.
	detection *atomic.Pointer[detection]
	// refreshing is held while either is read again.
	refreshing *sync.Mutex
	// policyTrouble says why the policy on disk is not in force, nil while it is.
	policyTrouble *atomic.Pointer[string]
	// policyPlaces are PolicyDocuments and PolicyRules with their placeholders resolved.
	policyPlaces []string
	// bundle follows PolicyBundle; nil without one.
	bundle *bundleFollower
	routes []*Handler
	// transports are those of the routes that they name, while these are provisioned and after.
	transports map[string]*Transport
	ships      []syslog.Config
	passing    bool // permitGaps was done
	pollers    []*poller
	farewell   *farewell
	// clock holds what tests take for the time while this configuration runs, and nothing
	// otherwise.
	clock *atomic.Pointer[func() time.Time]
}

// now is the time.
func (a *App) now() time.Time {
	if a.clock != nil {
		if set := a.clock.Load(); set != nil {
			return (*set)()
		}
	}
	return time.Now()
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appName, New: func() caddy.Module { return new(App) }}
}

// joinApp is the configuration's app, which what needs.
func joinApp(ctx caddy.Context, what string) (*App, error) {
	app, err := ctx.AppIfConfigured(appName)
	if err != nil {
		return nil, fmt.Errorf("%s needs the caregate app: %w", what, err)
	}
	return app.(*App), nil
}

// Provision prepares what needs no data directory, beside what is running, so
// that `caregate validate` works anywhere.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.clock = new(atomic.Pointer[func() time.Time])
	a.metrics = processMetrics
	if err := a.sayFarewell(ctx); err != nil {
		return err
	}
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
	database, err := a.DatabaseURL(repl)
	if err != nil {
		return err
	}
	gateway, err := a.GatewayName(repl)
	if err != nil {
		return err
	}
	a.config = DataConfig{Dir: dir, Database: database, Gateway: gateway, Keys: repl.ReplaceKnown(a.Keys, ""), Seal: a.KeySeal, Name: a.Name, Logger: processLogger()}
	a.ready = make(chan struct{})
	over, end := context.WithCancel(context.Background())
	a.over, a.end = over.Done(), end
	if err := errors.Join(a.validateGateway(), a.Archive.validate(), a.Vault.validate(), a.KeySeal.validate()); err != nil {
		return err
	}
	if _, err := a.Details.periods(); err != nil {
		return err
	}
	if err := a.checkChange(); err != nil {
		return err
	}
	if err := a.OIDC.provision(); err != nil {
		return err
	}
	if err := a.Certificates.validate(); err != nil {
		return err
	}
	if err := a.prepareBundle(ctx); err != nil {
		return err
	}
	// With a bundle this is the built-in policy alone, until Start has the bundle; before,
	// no call is served.
	rules, err := a.loadPolicy(ctx)
	if err != nil {
		return err
	}
	if err := a.shipments(dir); err != nil {
		return err
	}
	a.Detect = repl.ReplaceKnown(a.Detect, "")
	det, err := a.loadDetection(rules, a.now())
	if err != nil {
		return err
	}
	a.detection, a.refreshing, a.policyTrouble = new(atomic.Pointer[detection]), new(sync.Mutex), new(atomic.Pointer[string])
	a.detection.Store(det)
	return a.prepareTrails()
}

// GatewayName is Gateway with its placeholders resolved.
func (a *App) GatewayName(repl *caddy.Replacer) (string, error) {
	if a.Gateway == "" {
		return "", nil
	}
	name := repl.ReplaceKnown(a.Gateway, "")
	if err := validGateway(name); err != nil {
		return "", fmt.Errorf("store postgres gateway %s: %w", a.Gateway, err)
	}
	return name, nil
}

// validateGateway refuses what several gateways on one database cannot do.
func (a *App) validateGateway() error {
	switch {
	case a.Gateway == "":
		return nil
	case a.Database == "":
		return errors.New("gateway: several gateways share a PostgreSQL database, see store postgres")
	case len(a.Trails) > 0:
		return errors.New("trail: a log of a vendor is read by a gateway that is alone on its database; with store postgres { gateway } there is none")
	}
	return nil
}

// DatabaseURL is Database with its placeholders resolved. Errors repeat nothing of it.
func (a *App) DatabaseURL(repl *caddy.Replacer) (string, error) {
	if a.Database == "" {
		return "", nil
	}
	where := strings.TrimSpace(repl.ReplaceKnown(a.Database, "")) // a file ends with a newline
	if !store.IsURL(where) {
		return "", errors.New("store postgres wants the URL of a database, postgres://user@host/database, or a placeholder that stands for one")
	}
	return where, nil
}

// startWait is how long a call waits for a configuration that is starting. Caddy
// stops a configuration that failed only when its calls have ended, so a call
// that waited for ever would hold up the rejection of a reload for ever.
var startWait = 10 * time.Second

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

// clashes tells whether another route has the same name and governs something else.
func (h *Handler) clashes(other *Handler) error {
	name := cmp.Or(h.Route, h.defaultRoute())
	if cmp.Or(other.Route, other.defaultRoute()) == name && (other.Channel != h.Channel || other.Upstream != h.Upstream || other.Webhooks != h.Webhooks) {
		return fmt.Errorf("two governed routes are called %s: give one of them a name of its own with `route`", name)
	}
	return nil
}

// addRoute is called by every governed route while it is provisioned.
func (a *App) addRoute(h *Handler) error {
	for _, other := range a.routes {
		if err := cmp.Or(h.clashes(other), h.clashesGrant(other)); err != nil {
			return err
		}
	}
	a.routes = append(a.routes, h)
	return checkViews(a.rules(), h)
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
	guardStdLog()
	// The log may have to check itself first, after an unclean stop.
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	archive, compared, err := a.openArchive(ctx)
	if err != nil {
		return err
	}
	opened := false
	a.gen, err = openGeneration(a.config.Dir, func() (*Data, error) {
		opened = true
		return openOrCreate(ctx, a.config)
	})
	if err != nil {
		return err
	}
	if a.gen.data.database != a.config.Database || a.gen.data.gateway != a.config.Gateway {
		return fmt.Errorf("%s is open with another database, or as another gateway: stop the gateway and start it with this configuration", a.config.Dir)
	}
	if !opened {
		if err := a.useSeal(ctx); err != nil {
			return err
		}
	}
	if err := a.startBundle(ctx); err != nil {
		return err
	}
	rules := a.rules()
	if rules.bundle == nil {
		if err := a.checkRows(rules); err != nil {
			return fmt.Errorf("loading the policy: %w", err)
		}
	}
	if a.login, err = a.newLogin(); err != nil {
		return err
	}
	if a.resolver, err = a.newResolver(rules.grants); err != nil {
		return err
	}
	rules.resolver = a.resolver
	a.metrics.log.of.Store(a.gen.data.Log)
	a.gaugePolicy()
	if err := a.gen.data.Rollbacks.NoteEnforced(ctx, rules.engine, a.now()); err != nil {
		return err
	}
	if a.bundle == nil { // that of a bundle is checked
		if err := a.checkChanges(ctx, rules, nil); err != nil {
			return fmt.Errorf("loading the policy: %w", err)
		}
	}
	a.configured = time.Now()
	a.local, a.remote = newConsole(a, true), newConsole(a, false)
	if err := a.recordConfig(ctx, a.detection.Load()); err != nil {
		return fmt.Errorf("recording the configuration: %w", err)
	}
	if opened {
		d := a.gen.data
		if err := d.ReplayErasures(ctx, a.config.Logger); err != nil {
			return err
		}
		left, err := d.Holds.Unended(ctx, d.gateway)
		if err != nil {
			return err
		}
		d.keep(func(ctx context.Context) { d.replaySoon(ctx, left, a.config.Logger) })
	}
	if err := a.permitGaps(); err != nil {
		return err
	}
	if err := a.gen.data.socket.serve(filepath.Join(a.gen.data.Dir, SocketName), a, a.local, a.logger); err != nil {
		return err
	}
	a.logger.Info("governing", zap.String("data", a.gen.data.Dir), zap.String("log", a.gen.data.Log.Origin()), zap.Int("routes", len(a.routes)),
		zap.String("policy", rules.engine.Digest()), zap.Strings("exceptions", a.exceptions()))
	if a.Vault.Cards {
		a.logger.Warn("vault cards is on: " + CardsScope)
	}
	if a.Archive == nil {
		a.logger.Warn("the audit log has no anchor outside this machine: an administrator of this machine could rewrite it unseen")
	}
	a.startArchive(archive, compared)
	periods, err := a.Details.periods()
	if err != nil {
		return err
	}
	checked, err := a.Details.clockChecked()
	if err != nil {
		return err
	}
	close(a.ready)
	go a.askForTokens()
	if a.Detect != "" {
		go a.watchDetection(time.NewTicker(refreshEvery))
	}
	if len(a.policyPlaces) > 0 {
		go a.watchPolicy()
	}
	if a.bundle != nil {
		go a.watchBundle()
	}
	go a.watchRollouts(time.NewTicker(rolloutEvery), rules.engine)
	go a.watchRevealRights(time.NewTicker(lapseEvery))
	a.ship()
	a.followTrails()
	go a.keepExpiring(periods, checked)
	go a.lookAgain(time.NewTimer(lookAgainEvery))
	return nil
}

// running ends when this configuration is given up.
func (a *App) running() context.Context {
	ctx, end := context.WithCancel(context.Background())
	go func() {
		<-a.over
		end()
	}()
	return ctx
}

// useSeal has a vault that was open before go on with this configuration's seal.
func (a *App) useSeal(ctx context.Context) error {
	seal, err := a.KeySeal.Open(ctx, a.config.withDefaults().Name)
	if err == nil {
		err = a.gen.data.Vault.UseSeal(ctx, seal)
	}
	if err != nil {
		return fmt.Errorf("opening the key files: %w", err)
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
	guardStdLog() // the configuration that ends may have set the output back
	if a.end != nil {
		a.end()
	}
	if a.gen == nil {
		return nil // it never started
	}
	a.withdrawGaps()
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
	if h.AuditDown == auditPass {
		out = append(out, "audit_down pass")
	}
	if h.VaultDown == vaultMask {
		out = append(out, "vault_down mask")
	}
	return out
}

// recordConfig writes the config.loaded leaf (decision D6: what fails open is a
// setting, and the setting is in the log). det is what takes effect with it.
func (a *App) recordConfig(ctx context.Context, det *detection) error {
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
	if lists := det.digest(); lists != "" {
		attrs["detect"] = lists
	}
	if a.Vault.Cards {
		attrs["vault"] = "cards"
	}
	if b := det.policy.bundle; b != nil {
		attrs["bundle"], attrs["bundle_revision"], attrs["bundle_key"] = b.Digest, strconv.FormatInt(b.Revision, 10), b.Key
	}
	if e := a.exceptions(); len(e) > 0 {
		attrs["exceptions"] = strings.Join(e, ", ")
	}
	if err := a.noteChange(ctx, attrs, det.policy.engine.Changes()); err != nil {
		return err
	}
	_, err = slot.Append(audit.Event{Type: "config.loaded", Tenant: tenant, Policy: det.policy.engine.Digest(), Attrs: attrs, Retention: retentionAdministration}).Wait(ctx)
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
