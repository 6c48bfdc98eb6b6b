package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

// rulesInForce is one policy: what is decided, and what its documents grant to whom. An
// exchange has one of it for everything.
type rulesInForce struct {
	engine *policy.Engine
	// resolver gives grants; Start sets it.
	resolver *policy.Resolver
	grants   map[string][]string
	// named is what rows of the documents name of channels and routes; see checkRows.
	named []policy.Named
	// bundle is the signed bundle that it comes from, nil for files of the operator's.
	bundle *policy.SignedBundle
	// stamp is what the files looked like before they were read.
	stamp string
	// views are what is looked for because of this policy.
	views views
}

// rules are what calls that begin now are decided by.
func (a *App) rules() *rulesInForce { return a.detection.Load().policy }

// PolicyConfig reads the operator's documents and says where the rules are: what
// [policy.NewEngine] compiles with the built-in policy. Placeholders are resolved here, so
// only here is it known which of them stands for the directory.
func (a *App) PolicyConfig() (policy.Config, error) {
	c := policy.Config{Logger: processLogger(), Timeout: policyTimeout}
	if err := a.findPolicy(); err != nil {
		return c, err
	}
	for _, name := range a.policyPlaces {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return c, fmt.Errorf("reading a policy document: %w", err)
		case !info.IsDir():
			o, err := readOverlay(name)
			if err != nil {
				return c, err
			}
			c.Overlays = append(c.Overlays, o)
		case c.Dir != "":
			return c, fmt.Errorf("policy takes one directory of rules, got %s too", name)
		default:
			c.Dir = name
		}
	}
	return c, a.checkAmongRules(c.Dir)
}

// checkAmongRules refuses a document that lies among the rules and is not named itself: it would
// be about nothing, and its author would not hear of it.
func (a *App) checkAmongRules(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the policy directory: %w", err)
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".yaml", ".yml":
		default:
			continue
		}
		name := filepath.Join(dir, e.Name())
		if !slices.ContainsFunc(a.policyPlaces, func(place string) bool { return filepath.Clean(place) == name }) {
			return fmt.Errorf("%s: a document among rules is not read; name it as well: policy builtin %s %s", name, name, dir)
		}
	}
	return nil
}

// findPolicy resolves the placeholders of the operator's documents and rules, once.
func (a *App) findPolicy() error {
	if a.policyPlaces != nil {
		return nil
	}
	repl := caddy.NewReplacer()
	places := a.PolicyDocuments
	if a.PolicyRules != "" {
		places = append(places[:len(places):len(places)], a.PolicyRules)
	}
	for _, place := range places {
		name := strings.TrimSpace(repl.ReplaceKnown(place, "")) // a file ends with a newline
		if name == "" {
			return fmt.Errorf("policy builtin %s: the placeholder stands for nothing", place)
		}
		a.policyPlaces = append(a.policyPlaces, name)
	}
	return nil
}

func readOverlay(name string) (*policy.Overlay, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading a policy document: %w", err)
	}
	return policy.ParseOverlay(name, src)
}

// loadPolicy compiles the built-in policy with the operator's documents and rules.
func (a *App) loadPolicy(ctx context.Context) (*rulesInForce, error) {
	if err := a.findPolicy(); err != nil {
		return nil, err
	}
	// Before reading: what changes meanwhile is read again.
	rules := &rulesInForce{stamp: a.policyStamp(), grants: make(map[string][]string)}
	c, err := a.PolicyConfig()
	if err != nil {
		return nil, err
	}
	for _, o := range c.Overlays {
		maps.Copy(rules.grants, o.Grants()) // later ones win
	}
	rules.named = policy.NamedBy(c.Overlays)
	if rules.engine, err = policy.NewEngine(ctx, c); err != nil {
		return nil, fmt.Errorf("loading the policy: %w", err)
	}
	if err := checkViews(rules, a.routes...); err != nil {
		return nil, fmt.Errorf("loading the policy: %w", err)
	}
	return rules, nil
}

// policyStamp says what the files of the policy look like. It follows links, by which
// clusters replace mounted files.
func (a *App) policyStamp() string {
	var b strings.Builder
	look := func(name string) {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(&b, "%q gone\n", name)
			return
		}
		b.WriteString(fileStamp(name, info))
	}
	for _, place := range a.policyPlaces {
		look(place)
		entries, _ := os.ReadDir(place) // a document has none
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), "_test.rego") {
				look(filepath.Join(place, e.Name()))
			}
		}
	}
	return b.String()
}

// fileStamp says what a file looks like: another one in its place has another number.
func fileStamp(name string, info fs.FileInfo) string {
	real, _ := filepath.EvalSymlinks(name)
	var number uint64
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		number = s.Ino
	}
	return fmt.Sprintf("%q %q %d %d %d %v\n", name, real, number, info.Size(), info.ModTime().UnixNano(), info.Mode())
}

// policyEvery is how often the files are looked at. What changed is taken when two looks
// in a row see the same, so that half of an edit over several files does not count: half
// a second, and the time to compile it, which for a thousand rules is a tenth of one.
const policyEvery = 250 * time.Millisecond

// policyAgain is when a policy that could not be put in force is tried again although no
// file has changed: what was in the way may have been the machine, or the log.
const policyAgain = 20 * time.Second

// policyTimeout bounds one decision; zero is what the policy package takes for a rule that
// loops.
var policyTimeout time.Duration

// errUnsettled says that files changed while they were read.
var errUnsettled = errors.New("the policy is being changed")

// restlessAfter is how long files may go on changing before that is trouble. A test makes
// it another.
var restlessAfter = 20 * time.Second

// restless tells of files that are never read because they never stand still.
type restless struct{ since time.Time }

// moved notes that they have changed, and says so once they have for long.
func (r *restless) moved() error {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if time.Since(r.since) < restlessAfter {
		return nil
	}
	return fmt.Errorf("its files have been changing since %s; they are read once nothing changes for %s", r.since.UTC().Format(time.RFC3339), policyEvery)
}

// stood notes that they stand still, and tells whether they were in trouble.
func (r *restless) stood() bool {
	was := r.since
	r.since = time.Time{}
	return !was.IsZero() && time.Since(was) >= restlessAfter
}

// takePolicy puts the policy on disk in force, for calls that begin from now on. A policy
// that is broken changes nothing, nor does one whose event the log does not take. stamp is
// what the files looked like.
func (a *App) takePolicy(ctx context.Context, stamp string) (err error) {
	defer func() {
		if recover() != nil { // its value may quote the file
			err = errors.New("reading the policy made its reader panic")
		}
	}()
	rules, err := a.loadPolicy(ctx)
	if a.policyStamp() != stamp {
		return errUnsettled
	}
	if err != nil {
		return err
	}
	if err := a.checkRows(rules); err != nil {
		return err
	}
	// Last: what is said of a document that is refused for anything else is used up by no one.
	if err := a.checkChanges(ctx, rules, a.rules()); err != nil {
		return err
	}
	if rules.resolver, err = a.resolver.WithGrants(rules.grants); err != nil {
		return err
	}
	a.refreshing.Lock()
	defer a.refreshing.Unlock()
	d := a.detection.Load().under(rules)
	if d.version != a.detection.Load().version {
		if err := a.recordConfig(ctx, d); err != nil {
			return fmt.Errorf("recording the new policy: %w", err)
		}
	}
	a.detection.Store(d)
	return nil
}

// watchPolicy keeps the policy current until this configuration is given up.
func (a *App) watchPolicy() {
	ctx := a.running()
	tick := time.NewTicker(policyEvery)
	defer tick.Stop()
	seen, tried := a.rules().stamp, a.rules().stamp
	var again time.Time // zero: what was tried last counts
	var files restless
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		stamp := a.policyStamp()
		settled := stamp == seen
		seen = stamp
		if !settled {
			if err := files.moved(); err != nil {
				a.tellTrouble(err)
			}
			continue
		}
		calmed := files.stood()
		if stamp == tried && (again.IsZero() || time.Now().Before(again)) {
			if calmed && again.IsZero() { // it is again what is in force
				a.tellTrouble(nil)
			}
			continue
		}
		if !a.gen.acquire() { // so that the log is not closed meanwhile
			return
		}
		err := a.takePolicy(ctx, stamp)
		if errClose := a.gen.release(); errClose != nil {
			a.logger.Error("closing the data directory", errField(errClose))
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errUnsettled):
			continue
		}
		if tried, again = stamp, (time.Time{}); err != nil {
			again = time.Now().Add(policyAgain)
		}
		a.tellPolicy(err)
	}
}

// maxTrouble bounds what is told of a broken policy, in bytes: each row of a document may
// be a mistake.
const maxTrouble = 4 << 10

// tellPolicy logs once what became of a change of the policy.
func (a *App) tellPolicy(err error) {
	if err == nil {
		a.policyTrouble.Store(nil)
		a.gaugePolicy()
		a.logger.Info("policy read again", zap.String("policy", a.rules().engine.Digest()))
		return
	}
	a.tellTrouble(err)
}

// tellTrouble logs once why what is new of the policy is not in force, nil for nothing.
func (a *App) tellTrouble(err error) {
	defer a.gaugePolicy()
	if err == nil {
		if a.policyTrouble.Swap(nil) != nil {
			a.logger.Info("the policy is in force again as it is offered", zap.String("policy", a.rules().engine.Digest()))
		}
		return
	}
	text := err.Error()
	text = text[:min(len(text), maxTrouble)]
	if old := a.policyTrouble.Swap(&text); old == nil || *old != text {
		a.logger.Error(a.notInForce(), zap.String("policy", a.rules().engine.Digest()), zap.String("error", text))
	}
}

// gaugePolicy keeps the metrics of the policy.
func (a *App) gaugePolicy() {
	behind, revision := 0.0, 0.0
	if a.policyTrouble.Load() != nil {
		behind = 1
	}
	if b := a.rules().bundle; b != nil {
		revision = float64(b.Revision)
	}
	a.metrics.policyBehind.Set(behind)
	a.metrics.bundleRevision.Set(revision)
}

// notInForce says what trouble with the policy means.
func (a *App) notInForce() string {
	if a.bundle != nil {
		return "the policy bundle of the source is not in force; the one before goes on deciding"
	}
	return "the policy on disk is not in force; the one before goes on deciding"
}

// policyStatus is what the gateway's administrators are told of the policy.
func (a *App) policyStatus() console.PolicyStatus {
	s := console.PolicyStatus{Digest: a.rules().engine.Digest(), Bundle: a.bundleStatus()}
	if trouble := a.policyTrouble.Load(); trouble != nil {
		s.Trouble = *trouble
	}
	return s
}

// policyCheck is what /readyz says of the policy. Everybody may ask it, and a rule's text
// is nobody's business, so the reason stands in the log. The policy before decides, so the
// gateway is ready.
func (a *App) policyCheck() console.Check {
	c := console.Check{Name: "policy", OK: true}
	if a.policyTrouble.Load() != nil {
		c.Text = a.notInForce()
	}
	return c
}
