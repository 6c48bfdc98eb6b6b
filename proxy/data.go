package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/policy/review"
	"github.com/caregate/caregate/proxy/oauth"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/incident"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/purge"
	"github.com/caregate/caregate/retention/request"
	"github.com/caregate/caregate/vault"
)

// DataConfig names a data directory and the deployment that lives in it.
type DataConfig struct {
	// Dir is the directory; Keys the directory of key files, "" for Dir/keys.
	Dir, Keys string
	// Database is the URL of a PostgreSQL database that holds the tables of log, vault
	// and state in place of SQLite files in Dir; "" for the files.
	Database string
	// Gateway names one of several gateways that share Database. The log of each is in files
	// of its Dir, with an origin of its own. "" for a gateway that is alone.
	Gateway string
	// Seal says how the vault's key files are sealed.
	Seal KeySealConfig
	// Name is the deployment's name. It is part of the log's origin and cannot be
	// changed later without starting a new log.
	Name string
	// Logger receives what operators should know; nil is silent. It outlives the
	// configuration that opened the directory.
	Logger *slog.Logger
}

// DefaultName is the deployment's name where none is configured.
const DefaultName = "caregate"

func (c DataConfig) withDefaults() DataConfig {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Keys == "" {
		c.Keys = filepath.Join(c.Dir, "keys")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c DataConfig) audit() audit.Config {
	database := c.Database
	if c.Gateway != "" {
		database = "" // each has its log on its own disk
	}
	return audit.Config{Deployment: c.logName(), Database: database, KeyDir: c.Keys, Logger: c.Logger}
}

// vault opens the seal, which may take a while and needs its secret.
func (c DataConfig) vault(ctx context.Context) (vault.Config, error) {
	seal, err := c.Seal.Open(ctx, c.Name)
	if err != nil {
		return vault.Config{}, err
	}
	return vault.Config{Database: c.Database, Log: c.Gateway, Keys: c.Keys, Seal: seal, Logger: c.Logger}, nil
}

// Created says what CreateData made.
type Created struct {
	// Origin is the name of the first shard of the log.
	Origin string
	// PublicKey is the verifier key of the log, to be kept outside the machine.
	PublicKey string
}

// ErrNoData is returned by OpenData for a directory that CreateData never made.
// A gateway must not begin a new log because a volume was not mounted.
var ErrNoData = errors.New("this directory holds no Caregate data")

// stateFile is the database of API keys, sessions, webhook deliveries, and later of everything that is neither
// log nor vault.
const stateFile = "state.db"

// holdsData tells whether CreateData has made dir, and in which kind of store. Its
// last step is state.db, or the note that the databases are elsewhere.
func holdsData(dir string) (files, postgres bool, err error) {
	if _, err = os.Stat(filepath.Join(dir, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	files = err == nil
	noted, err := store.Place(dir)
	return files, noted != "", err
}

// CreateData makes keys, vault, state and the log's first shard in an empty or
// missing directory. It stops at the first thing that exists already; a creation
// that was interrupted is repeated after the directory was removed, and on PostgreSQL
// with an empty database. With c.Gateway it makes a log for one more of the gateways on a
// database; vault and state are made by the first, and the others bring its key files.
func CreateData(ctx context.Context, c DataConfig) (Created, error) {
	c = c.withDefaults()
	files, postgres, err := holdsData(c.Dir)
	if err != nil {
		return Created{}, fmt.Errorf("creating the data directory: %w", err)
	}
	if files || postgres {
		return Created{}, fmt.Errorf("%s holds data already: %w", c.Dir, fs.ErrExist)
	}
	if c.Gateway != "" {
		if err := validGateway(c.Gateway); err != nil {
			return Created{}, err
		}
		if c.Database == "" {
			return Created{}, errors.New("several gateways share a PostgreSQL database: files have one")
		}
		if err := mayJoin(ctx, c.Database); err != nil {
			return Created{}, fmt.Errorf("creating the data directory: %w", err)
		}
	}
	keys, err := c.vault(ctx)
	if err != nil {
		return Created{}, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return Created{}, fmt.Errorf("creating the data directory: %w", err)
	}
	// A vault that is there already belongs to the gateways before this one, and to the key
	// files that were brought: Create has proven it.
	if err := vault.Create(ctx, c.Dir, keys); err != nil && (c.Gateway == "" || !errors.Is(err, vault.ErrExists)) {
		return Created{}, fmt.Errorf("creating the vault: %w", err)
	}
	if err := audit.Create(ctx, c.Dir, c.audit()); err != nil {
		return Created{}, fmt.Errorf("creating the audit log: %w", err)
	}
	// The state last, because its presence says that the directory is whole.
	d, err := openData(ctx, c, true)
	if err != nil {
		return Created{}, err
	}
	made := Created{Origin: d.Log.Origin(), PublicKey: d.Log.PublicKey()}
	return made, d.Close()
}

// Data is an open data directory: what lives longer than one configuration. All
// its parts are safe for concurrent use.
type Data struct {
	Dir   string
	Log   *audit.Log
	Vault *vault.Vault
	Keys  *policy.Keys
	// Sessions are the people who logged in with a browser.
	Sessions *policy.Sessions
	// Approvals are calls that wait for others to agree.
	Approvals *policy.Approvals
	// Reviews are reviews of who has access.
	Reviews *review.Store
	// Holds are legal holds.
	Holds *hold.Store
	// Purges are runs that carry schedules of retention out.
	Purges *purge.Store
	// Duties are what is owed by law, Incidents suspicions of breaches.
	Duties    *retention.Store
	Incidents *incident.Store
	// Requests are what persons ask for by law.
	Requests *request.Store
	// Limits count what is taken of them.
	Limits *policy.Limits
	// RevealRights know when rights to see what stands behind tokens were last used.
	RevealRights *policy.RevealRights
	// Vouchers remember which headers Caregate-Actor were used.
	Vouchers *policy.Vouchers
	// Statements remember what was changed by whom and under which ticket.
	Statements *policy.Statements
	// Rollbacks know which rollouts of the policy went back.
	Rollbacks *policy.Rollbacks
	// Index knows which records stand where, and of whom.
	Index *index.Index

	database string     // as configured
	gateway  string     // as configured
	gateways *gateways  // nil for one that is alone
	expiring sync.Mutex // held while details expire
	// passing counts the routes that go on while the log takes no events.
	passing       atomic.Int64
	state         *store.DB
	locks         *store.DB // of the deliveries under way, with several gateways
	deliveries    *deliveries
	conversations *conversations
	trails        *trailCursors
	imports       *imports
	budgets       *budgets
	upstream      *oauth.Keeper // tokens for vendors
	observed      *observed
	alarms        alarms
	socket
	// bundles keep the policy bundle that was taken last, for each scope.
	bundles *bundleShelves
	// replaying is held while a draft of the policy is tried on the log: one at a time.
	replaying chan struct{}
	// planning is held while a purge is planned: one at a time.
	planning chan struct{}
	// life ends with end, which Close calls; keeping is what keep began.
	life    context.Context
	end     context.CancelFunc
	keeping sync.WaitGroup
	// rewrap asks for keys to be wrapped again at once; it holds one wish.
	rewrap chan struct{}
	// dutiful asks for duties to be looked at at once; it holds one wish.
	dutiful chan struct{}
	// reviewing is held while a review is carried out.
	reviewing sync.Mutex
	// revealers are actors who were noted to hold a right to reveal.
	revealers seenRevealers
}

// OpenData opens a directory made by CreateData, after the log has checked
// itself. It returns ErrNoData when there is nothing.
func OpenData(ctx context.Context, c DataConfig) (d *Data, err error) {
	c = c.withDefaults()
	files, postgres, err := holdsData(c.Dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the data directory: %w", err)
	case files && c.Database != "":
		return nil, fmt.Errorf("%s holds its databases as files, and the configuration names one in PostgreSQL: what is in the files does not move by itself", c.Dir)
	case postgres && c.Database == "":
		return nil, fmt.Errorf("the databases of %s are in PostgreSQL: the configuration must say store postgres, with their URL", c.Dir)
	case !files && !postgres:
		return nil, fmt.Errorf("%s: %w; create it with: caregate init --data %s", c.Dir, ErrNoData, c.Dir)
	}
	return openData(ctx, c, false)
}

// openData opens what OpenData found; with create it makes the state.
func openData(ctx context.Context, c DataConfig, create bool) (d *Data, err error) {
	d = &Data{Dir: c.Dir, database: c.Database, gateway: c.Gateway, observed: newObserved(), bundles: newBundleShelves(c.Dir), replaying: make(chan struct{}, 1), planning: make(chan struct{}, 1)}
	d.life, d.end = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
			d = nil
		}
	}()
	keys, err := c.vault(ctx)
	if err != nil {
		return d, err
	}
	if d.Log, err = audit.Open(ctx, c.Dir, c.audit()); err != nil {
		return d, fmt.Errorf("opening the audit log: %w", err)
	}
	keys.Recorded = d.Log.Has
	if d.Vault, err = vault.Open(ctx, c.Dir, keys); err != nil {
		return d, fmt.Errorf("opening the vault: %w", err)
	}
	where := c.Database
	if where == "" {
		where = filepath.Join(c.Dir, stateFile)
	}
	if d.state, err = store.Open(ctx, where, store.Options{Create: create}); err != nil {
		return d, fmt.Errorf("opening the state database: %w", err)
	}
	if d.Keys, err = policy.OpenKeys(ctx, d.state, policy.KeysConfig{Digest: d.Vault.Digest, Logger: c.Logger}); err != nil {
		return d, fmt.Errorf("opening the API keys: %w", err)
	}
	if d.Sessions, err = policy.OpenSessions(ctx, d.state, policy.KeysConfig{Digest: d.Vault.Digest, Logger: c.Logger}); err != nil {
		return d, fmt.Errorf("opening the sessions: %w", err)
	}
	if d.Approvals, err = policy.OpenApprovals(ctx, d.state, nil); err != nil {
		return d, fmt.Errorf("opening the approvals: %w", err)
	}
	if d.Reviews, err = review.New(ctx, d.state, reviewSealer(d.Vault), nil); err != nil {
		return d, fmt.Errorf("opening the reviews: %w", err)
	}
	if err := d.openDuties(ctx); err != nil {
		return d, err
	}
	if d.Limits, err = policy.OpenLimits(ctx, d.state, nil); err != nil {
		return d, fmt.Errorf("opening the limits: %w", err)
	}
	if d.RevealRights, err = policy.OpenRevealRights(ctx, d.state, nil); err != nil {
		return d, fmt.Errorf("opening the rights to reveal: %w", err)
	}
	if d.Vouchers, err = policy.OpenVouchers(ctx, d.state, nil); err != nil {
		return d, fmt.Errorf("opening the vouchers: %w", err)
	}
	if d.Statements, err = policy.OpenStatements(ctx, d.state, d.Vault.Digest); err != nil {
		return d, fmt.Errorf("opening who changed what: %w", err)
	}
	if d.Rollbacks, err = policy.OpenRollbacks(ctx, d.state); err != nil {
		return d, fmt.Errorf("opening the rollouts: %w", err)
	}
	if d.Index, err = index.Open(ctx, d.state); err != nil {
		return d, fmt.Errorf("opening the index of records: %w", err)
	}
	if d.Holds, err = hold.Open(ctx, d.state, holdSealer(d.Vault)); err != nil {
		return d, fmt.Errorf("opening the legal holds: %w", err)
	}
	if d.Purges, err = purge.NewStore(ctx, d.state, d.Index, d.Holds); err != nil {
		return d, fmt.Errorf("opening the runs of retention: %w", err)
	}
	if err := d.openRequests(ctx); err != nil {
		return d, err
	}
	if d.deliveries, err = openDeliveries(ctx, d.state); err != nil {
		return d, fmt.Errorf("opening the deliveries of webhooks: %w", err)
	}
	if c.Gateway != "" {
		if d.gateways, err = joinGateways(ctx, d.state, c.Gateway, c.Dir); err != nil {
			return d, err
		}
		// With a connection of its own, which it keeps.
		if d.locks, err = store.Open(ctx, c.Database, store.Options{MaxConns: 1}); err != nil {
			return d, fmt.Errorf("opening the state database: %w", err)
		}
		d.deliveries.shared = newDeliveryLocks(d.locks)
	}
	d.trails = newTrailCursors(d.state)
	d.imports, d.budgets = &imports{d.state}, &budgets{d.state}
	if d.upstream, err = oauth.Open(ctx, d.state, oauth.KeeperConfig{Sealer: tokenSealer(d.Vault), Digest: d.Vault.Digest, Logger: c.Logger, Asked: processMetrics.tokenAsked, Youngest: youngestToken}); err != nil {
		return d, err
	}
	if d.conversations, err = newConversations(); err != nil {
		return d, err
	}
	if c.Database != "" { // also when it has moved to another server
		if err := store.WritePlace(c.Dir, c.Database); err != nil {
			return d, err
		}
	}
	d.rewrap, d.dutiful = make(chan struct{}, 1), make(chan struct{}, 1)
	d.keep(d.conversations.keepSwept)
	d.keep(func(ctx context.Context) { keepRenewed(ctx, d.Vault, c.Logger) })
	d.keep(func(ctx context.Context) { keepVault(ctx, d.Vault, d.rewrap, c.Logger) })
	d.keep(func(ctx context.Context) { d.expireApprovals(ctx, c.Logger) })
	d.keep(func(ctx context.Context) { d.carryOutReviews(ctx, c.Logger) })
	if err := d.startDuties(c.Logger); err != nil {
		return d, err
	}
	if d.gateways != nil {
		d.keep(func(ctx context.Context) { d.keepName(ctx, c.Logger) })
	}
	go d.watch(c.Logger) // which may call what closes the directory
	return d, nil
}

// keep runs work until the directory is closed, which waits for it.
func (d *Data) keep(work func(ctx context.Context)) {
	d.keeping.Go(func() { work(d.life) })
}

// next waits and reports whether ctx is still there.
func next(ctx context.Context, wait time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// OnLogFailure, when set, is called once after the audit log has failed for good
// and the calls that were under way have had drainTime to be answered. The
// program sets it before it loads a configuration and ends itself in it: a log
// that failed takes no event until its recovery has run (invariant A6).
var OnLogFailure func()

// drainTime is for the answers of calls that met the failure.
const drainTime = 2 * time.Second

// probeTime is how often a gateway that goes on without its log asks whether a new
// process could open it.
const probeTime = 10 * time.Second

// watch waits for the log to fail.
func (d *Data) watch(logger *slog.Logger) {
	select {
	case <-d.life.Done():
		return
	case <-d.Log.Failed():
	}
	logger.Error("the audit log has failed: every call is refused but those of routes with audit_down pass; look at the disk, then start the gateway again")
	for wait := drainTime; next(d.life, wait); wait = probeTime {
		// A gateway that ends while nobody could start it again would take the routes
		// along that are to go on.
		if d.passing.Load() > 0 {
			ctx, cancel := context.WithTimeout(context.Background(), probeTime)
			err := d.Log.Recoverable(ctx)
			cancel()
			if err != nil {
				logger.Error("the audit log cannot be opened again yet; routes with audit_down pass go on", "error", err)
				continue
			}
		}
		if OnLogFailure != nil {
			OnLogFailure()
		}
		return
	}
}

// Close closes everything, the log last so that whatever the others do can still
// be recorded.
func (d *Data) Close() error {
	if d.end != nil {
		d.end()
		d.keeping.Wait()
	}
	err := d.socket.close()
	if d.Keys != nil {
		err = errors.Join(err, d.Keys.Close())
	}
	if d.Sessions != nil {
		err = errors.Join(err, d.Sessions.Close())
	}
	if d.Rollbacks != nil {
		ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
		err = errors.Join(err, d.Rollbacks.Flush(ctx))
		cancel()
	}
	if d.Index != nil {
		err = errors.Join(err, d.Index.Close())
	}
	if d.upstream != nil {
		err = errors.Join(err, d.upstream.Close()) // waits for answers that come once
	}
	if d.locks != nil {
		d.deliveries.shared.close()
		err = errors.Join(err, d.locks.Close())
	}
	if d.state != nil {
		err = errors.Join(err, d.state.Close())
	}
	if d.Vault != nil {
		err = errors.Join(err, d.Vault.Close())
	}
	if d.Log != nil {
		err = errors.Join(err, d.Log.Close())
	}
	return err
}

// Destruct implements caddy.Destructor for the pool of generation.go.
func (d *Data) Destruct() error {
	defer held.add(-1)
	return d.Close()
}
