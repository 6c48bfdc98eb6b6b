package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/tester"
)

// Limits of what an operator gives us. A policy of this size takes seconds to
// compile; what is larger is a mistake or an attack (hostile inputs 91).
const (
	maxRegoFile  = 1 << 20
	maxRegoFiles = 256
	maxOverlay   = 4 << 20
	// maxEntries bounds the search for rules in sub-directories.
	maxEntries = 4096
)

// operatorPackage is the only package an operator's rules may be in. The built-in
// packages are closed: a rule added to caregate.access could permit anything. So are
// packages below it, which nobody asks.
var operatorPackage = ast.MustParseRef("data.caregate.operator")

// testPackage is where tests of these rules may be.
var testPackage = ast.MustParseRef("data.caregate.operator_test")

// denyRule is the one rule that the built-in policy asks an operator's package for.
const denyRule = "deny"

// source is one file of the operator.
type source struct {
	name string
	src  []byte
}

// parse reads the rules of a file, which must be in one of some packages.
func (f source) parse(packages ...ast.Ref) (*ast.Module, error) {
	m, err := ast.ParseModule(f.name, string(f.src))
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	if m == nil {
		return nil, fmt.Errorf("%s:1: the file is empty; it wants a package clause and rules", f.name)
	}
	if !slices.ContainsFunc(packages, func(p ast.Ref) bool { return m.Package.Path.Equal(p) }) {
		return nil, fmt.Errorf("%s:%d: %s is closed to rules of a deployment; use package %s",
			f.name, m.Package.Loc().Row, strings.TrimPrefix(m.Package.Path.String(), "data."), strings.TrimPrefix(packages[len(packages)-1].String(), "data."))
	}
	return m, nil
}

// nameOf is the name of a rule, the first part of the reference that it defines.
func nameOf(r *ast.Rule) string {
	name, _ := r.Head.Ref()[0].Value.(ast.Var)
	return string(name)
}

// isTest tells whether a rule is a test, or one that is to become one.
func isTest(r *ast.Rule) bool {
	name := nameOf(r)
	return strings.HasPrefix(name, tester.TestPrefix) || strings.HasPrefix(name, tester.SkipTestPrefix)
}

// readOwn adds the rules of files, which came from place, to modules and returns their
// names. Rules that look like a denial and are none are refused: an operator would rely
// on them.
func readOwn(modules map[string]*ast.Module, place string, files []source) (own []string, err error) {
	denies := false
	for _, f := range files {
		m, err := f.parse(operatorPackage)
		if err != nil {
			return nil, err
		}
		for _, r := range m.Rules {
			at := fmt.Sprintf("%s:%d", f.name, r.Loc().Row)
			if isTest(r) {
				return nil, fmt.Errorf("%s: %s is a test; tests stand in files whose name ends with _test.rego", at, r.Head.Ref())
			}
			if nameOf(r) != denyRule {
				continue
			}
			if err := checkDenial(r); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
			denies = true
		}
		modules[f.name] = m
		own = append(own, f.name)
	}
	if len(files) > 0 && !denies {
		return nil, fmt.Errorf("%s: no rule named deny in it; nothing else is asked, so it denies nothing; write deny contains \"code_of_the_reason\" if CONDITION", place)
	}
	return own, nil
}

// checkDenial looks at a rule of the name deny: its form, and the code where it is
// written out. Codes that a rule makes are looked at in each decision.
func checkDenial(r *ast.Rule) error {
	if len(r.Head.Ref()) != 1 || r.Head.RuleKind() != ast.MultiValue {
		return errors.New("deny is a set of codes; write deny contains \"code_of_the_reason\" if CONDITION")
	}
	if code, ok := r.Head.Key.Value.(ast.String); (ok && !isCode(ownPrefix+string(code))) || (!ok && ast.IsConstant(r.Head.Key.Value)) {
		return fmt.Errorf("the code of a reason is 1 to %d lower-case letters, digits, dots and underscores", maxCode-len(ownPrefix))
	}
	return nil
}

// checkAsked refuses an operator's rule that no decision ever asks, because deny does not
// use it, neither directly nor through others: a misspelled denial would be one.
func checkAsked(c *ast.Compiler, own []string) error {
	asked := make(map[*ast.Rule]bool)
	var queue []*ast.Rule
	for _, name := range own {
		for _, r := range c.Modules[name].Rules {
			if nameOf(r) == denyRule {
				queue = append(queue, r)
			}
		}
	}
	for len(queue) > 0 {
		r := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if asked[r] {
			continue
		}
		asked[r] = true
		for dep := range c.Graph.Dependencies(r) {
			queue = append(queue, dep.(*ast.Rule))
		}
	}
	for _, name := range own {
		for _, r := range c.Modules[name].Rules {
			if !asked[r] {
				return fmt.Errorf("%s:%d: %s is never asked: only deny is, and it does not use it", name, r.Loc().Row, r.Head.Ref())
			}
		}
	}
	return nil
}

// operatorFiles reads *.rego of one directory, either the rules or their tests, in order
// of name. Names that begin with a dot are left out: editors and mounted volumes of
// clusters keep their own things under them. Rules in a sub-directory are refused, since
// nobody would read them.
func operatorFiles(dir string, tests bool) ([]source, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the policy directory: %w", err)
	}
	var files []source
	seen := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		fi, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("reading the policy directory: %w", err)
		}
		if fi.IsDir() {
			if err := refuseNested(name, &seen); err != nil {
				return nil, err
			}
			continue
		}
		if filepath.Ext(e.Name()) != ".rego" || strings.HasSuffix(e.Name(), "_test.rego") != tests {
			continue
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
	if len(files) == 0 && !tests {
		return nil, fmt.Errorf("%s: no *.rego file in it", dir)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no *_test.rego file in it", dir)
	}
	return files, nil
}

// refuseNested looks for rules below a sub-directory. seen counts what was looked at.
func refuseNested(dir string, seen *int) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		*seen++
		switch {
		case err != nil:
			return fmt.Errorf("reading the policy directory: %w", err)
		case *seen > maxEntries:
			return fmt.Errorf("%s: more than %d files and directories; a directory of rules has nothing else in it", dir, maxEntries)
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && filepath.Ext(name) == ".rego":
			return fmt.Errorf("%s: rules in a sub-directory are not read; put them beside the others", name)
		}
		return nil
	})
}
