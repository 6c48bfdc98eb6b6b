package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// vague are names that say nothing about what is inside, for folders and for Go
// files alike.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "models", "types", "manager", "managers"}

// skipped are folders that are not part of the repository: .gitignore has them.
// Paths from the root, except node_modules, which may be anywhere.
var skipped = []string{".git", "data", "bin", ".tools"}

// forbidden is text that ties the repository to one machine. The expressions are
// written so that they do not match themselves.
var forbidden = []struct {
	re  *regexp.Regexp
	why string
}{
	{regexp.MustCompile(`(^|[^\w./-])/(work|root)/[a-z.]`), "a path of the machine it was written on"},
	{regexp.MustCompile(`/home/[a-z]+/(src|go|code|dev)\b`), "a path of the machine it was written on"},
	{regexp.MustCompile(`/(tmp|var/folders)/[w]/`), "a path of the machine it was written on"},
	{regexp.MustCompile(`\.\./[s]hared\b`), "notes that are not in the repository"},
	{regexp.MustCompile(`proxy[.]golang[.]org|sum[.]golang[.]org|registry[.]npmjs[.]org|deb[.]debian[.]org`), "a registry's host: registries are named by the clients' own settings"},
}

// files calls f for each regular text file of the repository with its path from
// the root.
func files(t *testing.T, f func(name string, content []byte)) {
	t.Helper()
	dir := root(t)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if d.Name() == "node_modules" || slices.Contains(skipped, name) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || name == ".git" || name == "caregate" || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof") {
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.IndexByte(content[:min(len(content), 8<<10)], 0) >= 0 {
			return nil // not text
		}
		f(name, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestForbiddenText(t *testing.T) {
	t.Parallel()
	files(t, func(name string, content []byte) {
		for i, line := range bytes.Split(content, []byte("\n")) {
			if why := forbids(line); why != "" {
				t.Errorf("%s:%d: %s", name, i+1, why)
			}
		}
	})
}

func forbids(line []byte) string {
	for _, f := range forbidden {
		if f.re.Match(line) {
			return f.why
		}
	}
	return ""
}

func TestForbiddenTextCanFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string
		want       bool
	}{
		{"a work tree", "see /" + "work/main/redact", true},
		{"a root home", "GOPATH=/" + "root/go", true},
		{"notes elsewhere", "as .." + "/shared/design.md says", true},
		{"a registry", `"resolved": "https://registry` + `.npmjs.org/x"`, true},
		{"a path of an API", "GET /api/v2/work/items and /rooted", false},
		{"a URL with the word", "https://example.com/work/1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := forbids([]byte(tt.line)) != ""; got != tt.want {
				t.Errorf("forbidden: got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for part := range strings.SplitSeq(p.room(), "/") {
			if slices.Contains(vague, part) {
				t.Errorf("folder %s: %q names no room; use a word of the domain", p.room(), part)
			}
		}
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			name := strings.TrimSuffix(strings.TrimSuffix(file, ".go"), "_test")
			if slices.Contains(vague, name) {
				t.Errorf("file %s: %q says nothing about what is inside; use a word of the domain", path.Join(p.room(), file), name)
			}
		}
	}
}
