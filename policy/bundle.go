package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v4"

	"github.com/caregate/caregate/rego"
)

// Limits of what an operator gives us. A policy of this size takes seconds to
// compile; what is larger is a mistake or an attack (hostile inputs 91).
const (
	maxRegoFile  = 1 << 20
	maxRegoFiles = 256
	maxOverlay   = 4 << 20
)

// operatorPackage is the only package an operator's rules may be in. The built-in
// packages are closed: a rule added to caregate.access could permit anything.
var operatorPackage = ast.MustParseRef("data.caregate.operator")

// bundle is a policy, parsed and compiled: rules and the documents they read.
type bundle struct {
	compiler *ast.Compiler
	data     map[string]any
	reasons  []Reason
	digest   string
}

// loadBundle reads the built-in rules, the operator's rules in dir, and the
// operator's documents.
func loadBundle(dir string, overlays []*Overlay) (*bundle, error) {
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
	own, err := operatorFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range own {
		m, err := ast.ParseModule(f.name, string(f.src))
		if err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
		if m == nil {
			return nil, fmt.Errorf("%s:1: the file is empty; it wants a package clause and rules", f.name)
		}
		if !m.Package.Path.HasPrefix(operatorPackage) {
			return nil, fmt.Errorf("%s:%d: %s is closed to rules of a deployment; use package caregate.operator",
				f.name, m.Package.Loc().Row, strings.TrimPrefix(m.Package.Path.String(), "data."))
		}
		add("operator/"+filepath.Base(f.name), f.src)
		modules[f.name] = m
	}
	for _, o := range overlays {
		add("overlay/"+o.name, o.source)
	}
	data["enforcement"] = enforcementIndex(overlays)

	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, fmt.Errorf("compiling the policy: %w", compiler.Errors)
	}
	b := &bundle{compiler: compiler, data: data, digest: hex.EncodeToString(sum.Sum(nil))}
	b.reasons, err = readReasons(builtin["data/reasons.yaml"])
	return b, err
}

// capabilities are OPA's own without every built-in function whose answer does
// not follow from its arguments: the network, the clock, randomness and the
// environment. A decision that used one could be neither cached nor replayed.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || slices.Contains(refusedBuiltins[:], b.Name)
	})
	c.AllowNet = []string{} // not nil, which would mean any host
	return c
}

// refusedBuiltins are named although OPA marks them as not deterministic, so that
// a change of that mark does not bring them back.
var refusedBuiltins = [...]string{
	"http.send", "net.lookup_ip_addr", "opa.runtime", "time.now_ns", "rand.intn", "uuid.rfc4122",
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

// source is one file of the operator.
type source struct {
	name string
	src  []byte
}

// operatorFiles reads *.rego of one directory, tests left out, in order of name.
func operatorFiles(dir string) ([]source, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the policy directory: %w", err)
	}
	var files []source
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".rego" || strings.HasSuffix(e.Name(), "_test.rego") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		fi, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("reading the policy directory: %w", err)
		}
		if fi.Size() > maxRegoFile {
			return nil, fmt.Errorf("%s: larger than %d bytes, the limit of a rules file", name, maxRegoFile)
		}
		if len(files) == maxRegoFiles {
			return nil, fmt.Errorf("%s: more than %d rules files", dir, maxRegoFiles)
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the policy directory: %w", err)
		}
		files = append(files, source{name, src})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no *.rego file in it", dir)
	}
	return files, nil
}

// tables are the parts of the built-in data that Go checks names against.
type tables struct {
	Classes   map[string]string `yaml:"classes"`
	Rank      map[string]int    `yaml:"rank"`
	NeverKept []string          `yaml:"never_kept"`
	Roles     map[string]struct {
		Assignable bool `yaml:"assignable"`
	} `yaml:"roles"`
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
