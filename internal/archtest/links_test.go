package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// link finds the targets of Markdown links; code fences are cut out before.
var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

// TestLinks follows every link of the documents that stays in the repository,
// to the heading where one is named.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := root(t)
	files(t, func(name string, content []byte) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, m := range link.FindAllSubmatch(fence.ReplaceAll(content, nil), -1) {
			target := string(m[1])
			if strings.Contains(target, ":") { // a URL
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			linked, err := os.ReadFile(filepath.Join(dir, to))
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, target)
				continue
			}
			if anchor != "" && !hasHeading(linked, anchor) {
				t.Errorf("%s: the link %s names a heading that %s does not have", name, target, to)
			}
		}
	})
}

// hasHeading tells whether a document has a heading that becomes anchor: lower
// case, spaces as hyphens, everything else but letters and digits left out.
func hasHeading(doc []byte, anchor string) bool {
	for _, m := range heading.FindAllSubmatch(fence.ReplaceAll(doc, nil), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, string(m[1]))
		if slug == anchor {
			return true
		}
	}
	return false
}
