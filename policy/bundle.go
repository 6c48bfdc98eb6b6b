package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v4"

	"github.com/caregate/caregate/rego"
)

// bundle is a policy: rules and the documents they read.
type bundle struct {
	modules map[string]*ast.Module
	own     []string // the names of the operator's among them
	data    map[string]any
	builtin []string // the names of the built-in documents in data
	reasons []Reason
	digest  string
	// networks and hours are what the operator's documents call by a name.
	networks []network
	hours    []hours
	// rollouts are those of all documents, enforced what counts without one.
	rollouts []Rollout
	enforced []string
	views    []viewRow
	// neverShown are classes that no view shows.
	neverShown []string
	// revealers are roles that may see what stands behind tokens, revealUnused after how long
	// without use that right lapses; zero for never.
	revealers    map[string]bool
	revealUnused time.Duration
	changes      []Statement
	// changeRule is what all documents want of changes, ownAgreed the operations that are such.
	changeRule changeRule
	overlays   []*Overlay
	ownAgreed  map[string]bool
}

// readBundle reads the built-in rules, and the operator's rules and documents: those in a
// directory and beside it, or those of a signed bundle.
func readBundle(c Config) (*bundle, error) {
	modules := make(map[string]*ast.Module)
	sum := sha256.New()
	add := func(name string, src []byte) {
		fmt.Fprintf(sum, "%d %s %d\n", len(name), name, len(src))
		sum.Write(src)
	}
	builtin, err := builtinFiles()
	if err != nil {
		return nil, err
	}
	data := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(builtin)) {
		src := builtin[name]
		add("builtin/"+name, src)
		if path.Ext(name) == ".yaml" {
			var doc any
			if err := yaml.Unmarshal(src, &doc); err != nil {
				return nil, fmt.Errorf("reading built-in data %s: %w", name, err)
			}
			data[strings.TrimSuffix(path.Base(name), ".yaml")] = doc
			continue
		}
		m, err := ast.ParseModule("builtin/"+name, string(src))
		if err != nil {
			return nil, fmt.Errorf("reading built-in rules: %w", err)
		}
		modules["builtin/"+name] = m
	}
	files, err := operatorFiles(c.Dir, false)
	if err != nil {
		return nil, err
	}
	place, overlays, named := c.Dir, c.Overlays, filepath.Base
	if c.Bundle != nil {
		if c.Dir != "" || len(c.Overlays) > 0 {
			return nil, errors.New("a signed bundle is the whole of an operator's policy; there is nothing beside it")
		}
		place, files, overlays = "the bundle", c.Bundle.rules, c.Bundle.overlays()
		named = func(name string) string { return name }
	}
	own, err := readOwn(modules, place, files)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		add("operator/"+named(f.name), f.src)
	}
	for _, o := range overlays {
		add("overlay/"+o.name, o.source)
	}
	known := slices.Collect(maps.Keys(data))
	data["enforcement"] = enforcementIndex(overlays)
	data["undo"] = undoIndex(overlays)
	data["approvals"] = approvalIndex(overlays)
	data["logins"] = loginIndex(overlays)
	data["conditions"] = conditionIndex(overlays)
	data["changes"] = joinChanges(overlays).index()
	data["limits"] = limitIndex(overlays)
	data["flags"] = flagIndex(overlays)
	data["views"], data["guards"] = viewIndex(overlays), guardIndex(overlays)
	if err := checkViews(overlays); err != nil {
		return nil, err
	}
	rollouts, codes := joinRollouts(overlays), ownCodes(modules, own)
	if err := checkRollouts(rollouts, codes); err != nil {
		return nil, err
	}
	data["rollout"] = rolloutIndex(rollouts)
	t, err := builtinTables()
	if err != nil {
		return nil, err
	}

	b := &bundle{modules: modules, own: own, data: data, builtin: known, digest: hex.EncodeToString(sum.Sum(nil)), rollouts: rollouts, enforced: enforcedTargets(t, overlays, codes, rollouts)}
	b.neverShown, b.revealers, b.revealUnused = t.NeverShown, t.revealers(), revealUnused(t, overlays)
	b.changes, b.changeRule, b.ownAgreed, b.overlays = statements(overlays, files), joinChanges(overlays), t.OwnAgreed, overlays
	for _, o := range overlays {
		b.views = append(b.views, o.views...)
	}
	b.networks, b.hours = situations(overlays)
	if err := checkSituations(b.networks, b.hours); err != nil {
		return nil, err
	}
	b.reasons, err = readReasons(builtin["data/reasons.yaml"])
	return b, err
}

// documents are the data for decisions: without documents that have no rows, so that OPA's
// index of rules leaves out the built-in rules about them (see rego/decision.rego). To these
// an absent document is as good as an empty one. To rules of the operator it might not be, so
// if one of them reads data by itself, all are there.
func (b *bundle) documents(compiled *ast.Compiler) map[string]any {
	for _, name := range b.own {
		if readsData(compiled.Modules[name]) {
			return b.data
		}
	}
	docs := maps.Clone(b.data)
	maps.DeleteFunc(docs, func(_ string, doc any) bool { return hasNone(doc) })
	return docs
}

// readsData tells whether compiled rules refer to data that is not in package caregate or
// below it.
func readsData(m *ast.Module) (found bool) {
	ast.WalkRefs(m, func(r ast.Ref) bool {
		found = found || r.HasPrefix(ast.DefaultRootRef) && !r.HasPrefix(operatorPackage[:2])
		return found
	})
	return found
}

// hasNone tells whether a document is an object without members, or with such members only.
func hasNone(doc any) bool {
	m, ok := doc.(map[string]any)
	for _, x := range m {
		ok = ok && hasNone(x)
	}
	return ok
}

// newCompiler is the compiler of all our rules: strict, and with nothing that reaches out.
func newCompiler() *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
}

// compile checks the rules together.
func (b *bundle) compile() (*ast.Compiler, error) {
	compiler := newCompiler()
	if compiler.Compile(b.modules); compiler.Failed() {
		return nil, fmt.Errorf("compiling the policy: %w", compiler.Errors)
	}
	if err := b.checkReferences(compiler, b.own); err != nil {
		return nil, err
	}
	return compiler, checkAsked(compiler, b.own)
}

// builtinFiles are the embedded rules and data, without the tests.
func builtinFiles() (map[string][]byte, error) {
	files := make(map[string][]byte)
	err := fs.WalkDir(rego.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.rego") {
			return err
		}
		files[name], err = fs.ReadFile(rego.Files, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the built-in policy: %w", err)
	}
	return files, nil
}

// tables are the parts of the built-in data that Go checks names against.
type tables struct {
	Classes   map[string]string `yaml:"classes"`
	Rank      map[string]int    `yaml:"rank"`
	NeverKept []string          `yaml:"never_kept"`
	// NeverShown are classes that no view shows where they would be masked.
	NeverShown []string `yaml:"never_shown"`
	// NeverReverted are the classes whose rollouts never go back by themselves.
	NeverReverted []string `yaml:"never_reverted"`
	// EnforcedFrom is the rank from which on a class counts as enforced.
	EnforcedFrom int `yaml:"enforced_from"`
	Roles        map[string]struct {
		Assignable bool `yaml:"assignable"`
	} `yaml:"roles"`
	// OwnAgreed are operations of the gateway's own API that a document may want others
	// to agree to.
	OwnAgreed map[string]bool `yaml:"own_agreed"`
	// Own is the gateway's own API: by family of operations, role and effect.
	Own map[string]map[string]map[string]bool `yaml:"own"`
	// RevealUnusedAfterDays is after how many days without use a right to reveal lapses.
	RevealUnusedAfterDays int `yaml:"reveal_unused_after_days"`
}

// builtinTables reads the names that overlays and keys may use.
func builtinTables() (*tables, error) {
	var t tables
	for _, name := range []string{"data/treatment.yaml", "data/access.yaml"} {
		src, err := fs.ReadFile(rego.Files, name)
		if err != nil {
			return nil, fmt.Errorf("reading the built-in policy: %w", err)
		}
		if err := yaml.Unmarshal(src, &t); err != nil {
			return nil, fmt.Errorf("reading built-in data %s: %w", name, err)
		}
	}
	if len(t.Classes) == 0 || len(t.Rank) == 0 || len(t.Roles) == 0 {
		return nil, errors.New("the built-in policy has no classes, actions or roles")
	}
	return &t, nil
}

// assignable are the roles that a key or a token may have, sorted.
func (t *tables) assignable() []string {
	var roles []string
	for name, r := range t.Roles {
		if r.Assignable {
			roles = append(roles, name)
		}
	}
	slices.Sort(roles)
	return roles
}

func readReasons(src []byte) ([]Reason, error) {
	var doc struct {
		List []Reason `yaml:"list"`
	}
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, fmt.Errorf("reading the catalogue of reasons: %w", err)
	}
	return doc.List, nil
}
