package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Defaults of Config.
const (
	// A decision takes a tenth of a millisecond. This tells a rule that loops from a
	// machine that is busy: time on the wall also passes while others have the processor,
	// and half a second of that was seen to refuse calls of a desk.
	defaultTimeout = 2 * time.Second
	// About 1 KiB each. A desk's traffic has some hundreds of different inputs.
	defaultCache = 8192
)

// query is the one question. It has no default: undefined is an error.
const query = "data.caregate.decision"

// ErrUndecided is wrapped by every error of Decide that is not ErrInput: the
// rules failed, took too long or had no answer. The caller denies.
var ErrUndecided = errors.New("the policy gave no decision")

// trialPatience is how many times Config.Timeout the trial decision of NewEngine may
// take: on a machine that is just starting everything takes longer.
const trialPatience = 5

// Config builds an Engine. The zero value is the built-in policy.
type Config struct {
	// Overlays are the operator's documents, later ones winning.
	Overlays []*Overlay
	// Dir is a directory with the operator's own rules, *.rego in package
	// caregate.operator. *_test.rego are left out, see RunTests. Empty: none.
	Dir string
	// Bundle is a signed bundle with the operator's rules and document, in place of Dir and
	// Overlays. nil: none.
	Bundle *SignedBundle
	// Timeout bounds one evaluation; zero means 2 s.
	Timeout time.Duration
	// Cache is the number of decisions kept; zero means 8,192.
	Cache int
	// Logger gets one line per failed evaluation; nil discards.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Cache <= 0 {
		c.Cache = defaultCache
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Engine evaluates the policy. It never changes after NewEngine, so one engine is
// one policy with one digest: a new policy is a new engine, and an exchange uses
// the one it began with. It is safe for concurrent use.
type Engine struct {
	query   rego.PreparedEvalQuery
	docs    documents
	words   vocabulary
	found   *sync.Pool // of *found
	timeout time.Duration
	digest  string
	reasons []Reason
	log     *slog.Logger
	cache   *lru.Cache[string, *Decision]
	// networks and hours are what the operator's documents call by a name.
	networks []network
	hours    []hours
	// rollouts and enforced are what Rollouts and Enforced answer.
	rollouts []Rollout
	enforced []string
	views    []viewRow
	// neverShown are the classes that NeverShown is about.
	neverShown []string
	// revealers and revealUnused are what Reveals and RevealsUnusedFor answer.
	revealers    map[string]bool
	revealUnused time.Duration
	// changes are what Changes answers.
	changes []Statement
	// changeRule, overlays and ownAgreed are what CheckChanges and WantsTicket answer from.
	changeRule changeRule
	overlays   []*Overlay
	ownAgreed  map[string]bool
}

// NewEngine compiles the built-in rules with the operator's documents. A broken
// rule or document is refused with its file and line, and so is a policy that
// gives no decision on a plain call.
func NewEngine(ctx context.Context, c Config) (*Engine, error) {
	c.setDefaults()
	b, err := readBundle(c)
	if err != nil {
		return nil, err
	}
	compiler, err := b.compile()
	if err != nil {
		return nil, err
	}
	// Documents are kept as OPA's values: converting them at each read would cost more than
	// the decision.
	store := inmem.NewFromObjectWithOpts(b.documents(compiler), inmem.OptReturnASTValuesOnRead(true))
	docs, err := readDocuments(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("preparing the policy: %w", err)
	}
	q, err := rego.New(
		rego.Query(query),
		rego.Compiler(compiler),
		rego.Capabilities(capabilities()),
		rego.Store(store),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(asTerm),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing the policy: %w", err)
	}
	cache, err := lru.New[string, *Decision](c.Cache)
	if err != nil {
		return nil, fmt.Errorf("preparing the policy: %w", err)
	}
	// A machine that starts is busy with more than this, so the trial has longer.
	e := &Engine{
		query: q, docs: docs, words: readVocabulary(docs.all), found: &sync.Pool{New: func() any { return new(found) }},
		timeout: trialPatience * c.Timeout, digest: b.digest, reasons: b.reasons, log: c.Logger, cache: cache,
		networks: b.networks, hours: b.hours, rollouts: b.rollouts, enforced: b.enforced, views: b.views, neverShown: b.neverShown, revealers: b.revealers, revealUnused: b.revealUnused, changes: b.changes, changeRule: b.changeRule, overlays: b.overlays, ownAgreed: b.ownAgreed,
	}
	// Anonymous callers exist everywhere, so rules that cannot judge one are broken.
	trial := Input{Direction: Request, Effect: "read", Scope: "one", Method: "safe", Actor: InputActor{Kind: KindAnonymous, Strength: StrengthNone}}
	if _, err := e.Decide(ctx, trial); err != nil {
		return nil, fmt.Errorf("trying the policy: %w", err)
	}
	e.timeout = c.Timeout
	return e, nil
}

// Decide evaluates the rules on in, or returns what they answered to an equal
// input. Every error means deny: ErrInput for an input outside its bounds,
// ErrUndecided otherwise. The Decision is shared; do not change it.
func (e *Engine) Decide(ctx context.Context, in Input) (*Decision, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	in.normalise()
	var buf [512]byte
	key := string(in.appendKey(buf[:0]))
	if d, ok := e.cache.Get(key); ok {
		return d, nil
	}
	asked := in // which only then needs the heap
	d, err := e.evaluate(ctx, &asked)
	if err != nil {
		// The input holds no personal data, but the line stays small.
		e.log.LogAttrs(ctx, slog.LevelError, "policy evaluation failed",
			slog.String("channel", in.Channel), slog.String("operation", in.Operation), slog.Any("error", err))
		return nil, err
	}
	e.cache.Add(key, d)
	return d, nil
}

// evaluate asks the rules. A panic inside a built-in function is an error of this
// one decision.
func (e *Engine) evaluate(ctx context.Context, in *Input) (d *Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = nil, fmt.Errorf("%w: a rule made the evaluator panic", ErrUndecided)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	ended := topdown.NewCancel()
	defer context.AfterFunc(ctx, ended.Cancel)()
	f := e.found.Get().(*found)
	rs, err := e.query.Eval(ctx, rego.EvalParsedInput(in.value(e.words)), rego.EvalExternalCancel(ended),
		rego.EvalBaseCache(e.docs), rego.EvalVirtualCache(f), rego.EvalMetrics(metrics.NoOp()))
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w within %v: %w", ErrUndecided, e.timeout, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecided, err)
	}
	if len(rs) != 1 || len(rs[0].Expressions) != 1 {
		return nil, fmt.Errorf("%w: it is undefined for this input", ErrUndecided)
	}
	answer, _ := rs[0].Expressions[0].Value.(ast.Value)
	if d, err = readDecision(answer, in); err != nil {
		return nil, err
	}
	f.clear() // after whatever fails, it is left to the garbage collector
	e.found.Put(f)
	doc := *in
	if doc.Findings == nil {
		doc.Findings = []Finding{} // equal inputs have equal documents
	}
	seen, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecided, err)
	}
	d.input = string(seen)
	return d, nil
}

// asTerm leaves an answer as it is: readDecision reads OPA's values.
func asTerm(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }

// documents are the data of the policy, in place of what an evaluation keeps of its reads.
// They never change, so that evaluations share them; what is not in them the store is asked
// for, which knows nothing more.
type documents struct{ all ast.Value }

func readDocuments(ctx context.Context, store storage.Store) (documents, error) {
	read, err := storage.ReadOne(ctx, store, storage.RootPath)
	if err != nil {
		return documents{}, err
	}
	all, ok := read.(ast.Value)
	if !ok {
		return documents{}, errors.New("documents are not kept as values")
	}
	return documents{all}, nil
}

// Get is the document at a reference into data, nil for none.
func (d documents) Get(ref ast.Ref) ast.Value {
	v, err := d.all.Find(ref[1:])
	if err != nil {
		return nil
	}
	return v
}

// Put does nothing: all there is can be got.
func (documents) Put(ast.Ref, ast.Value) {}

// Digest names the policy: SHA-256 over rules and documents, 64 lower-case hex
// digits.
func (e *Engine) Digest() string { return e.digest }

// Reasons is the catalogue of the codes that a Decision can carry, the weightiest
// first. Codes of a deployment's own rules start with "operator." and are not in
// it.
func (e *Engine) Reasons() []Reason { return slices.Clone(e.reasons) }
