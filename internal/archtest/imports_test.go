package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// rule says what of ours one room may import. It holds for the room and all
// folders below it that have no rule of their own.
type rule struct {
	// imports lists rooms; "redact" covers redact/walk and the like. A room may
	// always import what lies inside itself.
	imports []string
	why     string
	// tests lists rooms that only its tests may import.
	tests []string
}

// everything stands for all rooms of ours, except the command.
const everything = "*"

// rules is the import table of docs/design/0001-tree-and-flow.md. Imports go one
// way: from rooms that know much to rooms that know one thing.
var rules = map[string]rule{
	"redact":                          {why: "detection and rewriting are pure: bytes in, bytes out"},
	"rego":                            {why: "rules and data only; Go logic about them lives in policy"},
	"internal/store":                  {why: "opening a database knows nothing of what is kept in it", tests: []string{"internal/pgtest"}},
	"channel":                         {imports: []string{"redact"}, why: "channel files name data classes and places, and decide nothing"},
	"audit":                           {imports: []string{"internal/store"}, tests: []string{"internal/pgtest", "internal/callwatch", "internal/leaks", "internal/rights", "internal/chromiumtest"}, why: "the log must be checkable without the gateway around it"},
	"audit/objectlock/objectlocktest": {imports: []string{"internal/loopback"}, why: "a server of tests needs a port and nothing else of ours"},
	"vault":                           {imports: []string{"internal/store"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "plaintext and keys meet nothing but their own tables"},
	"policy":                          {imports: []string{"rego", "internal/store"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "policy sees names and counts, never bodies, so it has no use for redact or channel"},
	"retention":                       {imports: []string{"channel", "vault", "audit", "internal/store"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "duties act on vendors, keys and the log, never on traffic"},
	"retention/index":                 {imports: []string{"internal/store"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "which records there are, and of whom, is asked by duties and told by traffic: it knows neither"},
	"retention/hold":                  {imports: []string{"internal/store", "retention/index"}, tests: []string{"internal/leaks", "internal/pgtest", "retention"}, why: "what must stay is decided from holds and from where records are known to be, by whoever destroys"},
	"retention/request":               {imports: []string{"internal/store", "retention", "retention/clock", "retention/index"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "who asked for what is kept beside duties and flags; what carries it out asks here first"},
	"retention/clock":                 {why: "a date must come out the same whatever is stored, and wherever: arithmetic knows nothing of us"},
	"retention/schedule":              {imports: []string{"channel", "internal/store", "redact", "retention/clock", "retention/hold", "retention/index"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "what is due is told by ages, rules and holds: it reads no log and no configuration"},
	"retention/purge":                 {imports: []string{"channel", "internal/store", "retention/hold", "retention/index", "retention/schedule"}, tests: []string{"internal/leaks", "internal/pgtest"}, why: "what is due is carried out by calls that somebody else makes: it holds no credential and no connection"},
	"retention/ropa":                  {imports: []string{"redact", "retention/clock"}, why: "a record of processing is made of what was declared and of counts: it reads no log and no configuration"},
	"console":                         {why: "handlers reach the rest through interfaces that console declares"},
	"proxy":                           {imports: []string{everything}, why: "the pipeline ties the rooms together, and is below the command"},
	"proxy/oauth":                     {imports: []string{"policy", "internal/store"}, tests: []string{"internal/pgtest"}, why: "tokens for vendors are asked for and kept without knowing what they are used for"},
	"cmd":                             {imports: []string{everything}, why: "the command may use every room"},
	"bench":                           {imports: []string{everything}, why: "benchmarks measure every room"},
	"test":                            {imports: []string{everything}, why: "tests with other people's clients use every room"},

	"internal/rights":       {why: "what a machine permits does not depend on what is tested"},
	"internal/callwatch":    {why: "it sees calls and files, and knows nothing of what is in them"},
	"internal/sample":       {why: "a sample system plays the vendor and must not share code with what is tested against it"},
	"internal/leaks":        {why: "it counts goroutines, whatever they do"},
	"internal/loopback":     {why: "a port knows nothing of who listens on it"},
	"internal/nodetest":     {why: "a library for Node is driven without knowing what it does"},
	"internal/chromiumtest": {why: "a browser is driven without knowing what it shows"},
	"internal/pgtest":       {imports: []string{"internal/store"}, why: "a database for tests knows nothing of what is tested on it"},
	"internal/archtest":     {why: "it reads the tree from outside"},
}

// outside lists libraries that only some rooms may import, tests included. A
// prefix covers all packages below it.
var outside = []struct {
	prefix string
	rooms  []string
	why    string
}{
	{"github.com/caddyserver/", []string{"proxy", "cmd", "bench"}, "only proxy and cmd know that Caddy is the server; libraries take *slog.Logger"},
	{"go.uber.org/zap", []string{"proxy", "cmd", "bench"}, "zap is Caddy's logger; libraries take *slog.Logger"},
	{"github.com/open-policy-agent/", []string{"policy", "bench"}, "only policy talks to OPA"},
	{"github.com/tink-crypto/", []string{"vault", "bench"}, "only vault holds keys"},
	{"github.com/aws/aws-sdk-go-v2/service/kms", []string{"vault"}, "only vault holds keys"},
	{"github.com/aws/aws-sdk-go-v2/service/s3", []string{"audit/objectlock", "policy/s3bundle"}, "only the archive's bucket and the bundle's object speak to S3"},
	{"modernc.org/sqlite", []string{"internal/store", "bench"}, "only internal/store imports database drivers"},
	{"github.com/jackc/pgx", []string{"internal/store", "bench"}, "only internal/store imports database drivers"},
	{"github.com/pressly/goose", []string{"internal/store"}, "migrations run through internal/store, with one rule for both databases"},
}

// impure lists what the rooms that promise to be pure may not import outside of
// their tests.
var impure = struct {
	rooms, imports []string
}{
	rooms:   []string{"redact", "rego", "retention/clock", "retention/ropa"},
	imports: []string{"os", "os/exec", "net", "net/http", "database/sql", "log", "log/slog", "syscall"},
}

// ruleFor finds the rule of the nearest folder at or above the room.
func ruleFor(room string) (string, rule, bool) {
	for dir := room; dir != "."; dir = path.Dir(dir) {
		if r, ok := rules[dir]; ok {
			return dir, r, true
		}
	}
	return "", rule{}, false
}

// within tells whether room is one of rooms or lies below one.
func within(room string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool {
		return room == r || strings.HasPrefix(room, r+"/") || (r == everything && room != "cmd" && !strings.HasPrefix(room, "cmd/"))
	})
}

// breaches returns one sentence for each import that the table does not allow.
func breaches(p pkg) []string {
	room := p.room()
	top, r, ok := ruleFor(room)
	if !ok {
		return []string{room + " has no rule: give it one in internal/archtest, with the reason, or put the code into a room that exists"}
	}
	var found []string
	check := func(imports []string, testing bool) {
		for _, imp := range imports {
			if ours, ok := strings.CutPrefix(imp, module+"/"); ok {
				allowed := within(ours, r.imports) || within(ours, []string{top}) || testing && within(ours, r.tests)
				if !allowed {
					found = append(found, room+" imports "+ours+": "+top+" may import "+list(r.imports)+" of ours, because "+r.why)
				}
				continue
			}
			for _, o := range outside {
				if strings.HasPrefix(imp, o.prefix) && !within(room, o.rooms) {
					found = append(found, room+" imports "+imp+": "+o.why)
				}
			}
			if !testing && within(room, impure.rooms) && slices.Contains(impure.imports, imp) {
				found = append(found, room+" imports "+imp+": "+top+" is pure and does no input or output")
			}
		}
	}
	check(p.Imports, false)
	check(p.TestImports, true)
	check(p.XTestImports, true)
	slices.Sort(found)
	return slices.Compact(found)
}

func list(rooms []string) string {
	switch {
	case len(rooms) == 0:
		return "nothing"
	case slices.Contains(rooms, everything):
		return "everything but cmd"
	}
	return strings.Join(rooms, ", ")
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, b := range breaches(p) {
			t.Error(b)
		}
	}
}

// TestImportsCanFail proves that the table catches what it is there for.
func TestImportsCanFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		p    pkg
		want string // part of the only breach; empty for none
	}{
		{"a walker uses the detector", pkg{ImportPath: module + "/redact/walk", Imports: []string{module + "/redact/detect"}}, ""},
		{"a walker asks policy", pkg{ImportPath: module + "/redact/walk", Imports: []string{module + "/policy"}}, "detection and rewriting are pure"},
		{"a walker opens files", pkg{ImportPath: module + "/redact/walk", Imports: []string{"os"}}, "does no input or output"},
		{"a walker's test opens files", pkg{ImportPath: module + "/redact/walk", TestImports: []string{"os"}}, ""},
		{"policy sees classes as Go values", pkg{ImportPath: module + "/policy", Imports: []string{module + "/redact"}}, "never bodies"},
		{"policy's test does", pkg{ImportPath: module + "/policy", XTestImports: []string{module + "/redact"}}, "never bodies"},
		{"the log uses Caddy's logger", pkg{ImportPath: module + "/audit", Imports: []string{"go.uber.org/zap"}}, "*slog.Logger"},
		{"the log opens SQLite itself", pkg{ImportPath: module + "/audit", TestImports: []string{"modernc.org/sqlite"}}, "database drivers"},
		{"the log starts a server", pkg{ImportPath: module + "/audit", Imports: []string{module + "/internal/pgtest"}}, "without the gateway"},
		{"the log's test does", pkg{ImportPath: module + "/audit", TestImports: []string{module + "/internal/pgtest"}}, ""},
		{"the pipeline seals by itself", pkg{ImportPath: module + "/proxy", Imports: []string{"github.com/tink-crypto/tink-go/v2/aead"}}, "only vault"},
		{"the pipeline uses the command", pkg{ImportPath: module + "/proxy", Imports: []string{module + "/cmd/caregate"}}, "below the command"},
		{"the pipeline uses a room", pkg{ImportPath: module + "/proxy/proxytest", Imports: []string{module + "/internal/sample"}}, ""},
		{"a room nobody planned", pkg{ImportPath: module + "/internal/plumbing"}, "has no rule"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := breaches(tt.p)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("got breaches %q, want none", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("got breaches %q, want one with %q", got, tt.want)
			}
		})
	}
}
