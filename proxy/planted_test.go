package proxy_test

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // what others would store is searched for
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/objectlock"
	"github.com/caregate/caregate/audit/objectlock/objectlocktest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy/proxytest"
)

// planted knows the values that were sent through the gateway, and finds them again:
// their digits, however they are set apart, and what anybody gets who hashes or encodes
// them without a key.
type planted struct {
	cards, ssns map[string]bool
	// traces are by their first eight bytes.
	traces map[uint64][][]byte
	tried  int64 // bytes that were searched
}

// trace is how many bytes of a hash or an encoding are compared: chance finds none.
const trace = 16

func (p *planted) add(set map[string]bool, digits string, written ...string) {
	set[digits] = true
	note := func(b []byte) {
		if len(b) >= trace {
			key := binary.BigEndian.Uint64(b)
			p.traces[key] = append(p.traces[key], b[:trace])
		}
	}
	for _, text := range append(written, digits) {
		in := []byte(text)
		m, s1, s2, s5 := md5.Sum(in), sha1.Sum(in), sha256.Sum256(in), sha512.Sum512(in) //nolint:gosec // see the imports
		for _, sum := range [][]byte{m[:], s1[:], s2[:], s5[:]} {
			note(sum)
			note([]byte(base64.StdEncoding.EncodeToString(sum)))
			note([]byte(hex.EncodeToString(sum)))
			note([]byte(strings.ToUpper(hex.EncodeToString(sum))))
		}
		note([]byte(hex.EncodeToString(in)))
		note([]byte(base64.StdEncoding.EncodeToString(in)))
	}
}

// digitRuns are digits with single marks between them.
var digitRuns = regexp.MustCompile(`[0-9](?:[ ./-]?[0-9]){8,}`)

// search says what of the planted is in data; it never says which.
func (p *planted) search(data []byte) (found []string) {
	p.tried += int64(len(data))
	for i := 0; i+trace <= len(data); i++ {
		for _, t := range p.traces[binary.BigEndian.Uint64(data[i:])] {
			if bytes.Equal(data[i:i+trace], t) {
				found = append(found, fmt.Sprintf("a hash or an encoding at byte %d", i))
			}
		}
	}
	for _, at := range digitRuns.FindAllIndex(data, -1) {
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, string(data[at[0]:at[1]]))
		for i := 0; i+16 <= len(digits); i++ {
			if p.cards[digits[i:i+16]] {
				found = append(found, fmt.Sprintf("a card number at byte %d", at[0]))
			}
		}
		// Nine digits in a longer row are chance: times and random ids are full of them.
		if len(digits) == 9 && p.ssns[digits] && !inWord(data, at) {
			found = append(found, fmt.Sprintf("a social security number at byte %d", at[0]))
		}
	}
	return found
}

// inWord says that a run is a part of a longer word.
func inWord(data []byte, at []int) bool {
	letter := func(i int) bool {
		return i >= 0 && i < len(data) && (data[i]|0x20 >= 'a' && data[i]|0x20 <= 'z' || data[i] >= '0' && data[i] <= '9')
	}
	return letter(at[0]-1) || letter(at[1])
}

// plant makes n values, half of them cards.
func plant(n int) (p *planted, texts []string) {
	p = &planted{cards: map[string]bool{}, ssns: map[string]bool{}, traces: map[uint64][][]byte{}}
	r := rand.New(rand.NewPCG(19, 19))
	for len(p.cards)+len(p.ssns) < n {
		if len(texts)%2 == 0 {
			digits := withCheckDigit(fmt.Sprintf("4%014d", r.Int64N(1e14)))
			text := digits[:4] + " " + digits[4:8] + " " + digits[8:12] + " " + digits[12:]
			p.add(p.cards, digits, text)
			texts = append(texts, "my credit card number is "+text)
			continue
		}
		area, group, serial := 1+r.IntN(665), 1+r.IntN(99), 1+r.IntN(9999)
		text := fmt.Sprintf("%03d-%02d-%04d", area, group, serial)
		p.add(p.ssns, strings.ReplaceAll(text, "-", ""), text)
		texts = append(texts, "my social security number is "+text)
	}
	return p, texts
}

// withCheckDigit appends Luhn's.
func withCheckDigit(digits string) string {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + string(rune('0'+(10-sum%10)%10))
}

// F19, VT5, V1, V6, A12, A16: 10,000 card and social security numbers go through the
// gateway, in both directions. Afterwards neither their digits nor a plain hash of them is anywhere: not
// on the disk, while it runs and after, not in the database, the bucket, the messages or
// the profiles.
func TestNothingPlantedRemains(t *testing.T) {
	n, perCall := 10_000, 40
	if testing.Short() || strings.HasPrefix(t.Name(), proxytest.OnPostgres+"/") {
		n = 1000
	}
	p, texts := plant(n)
	for what, control := range map[string]string{"digits": "x" + texts[0], "a hash": hex.EncodeToString(sumOf(texts[0]))} {
		if len(p.search([]byte(control))) == 0 {
			t.Fatalf("the search does not see %s", what)
		}
	}
	p.tried = 0
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		// The answer brings values that the call did not have.
		at := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("page"), "%d", &at)
		jsonUpstream(200, `{"comments":["`+strings.Join(texts[at:at+perCall/2], `","`)+`"]}`)(w, r)
	})
	messages := filepath.Join(t.TempDir(), "messages.log")
	o := proxytest.Options{Upstream: u.URL, Global: "log {\n output file " + messages + "\n level DEBUG\n}\nlog access {\n output file " + messages + "\n}"}
	archived := !testing.Short() && n == 10_000
	if archived {
		endpoint := objectlocktest.Start(t)
		objectlocktest.CreateBucket(t, endpoint, "acme-audit", true)
		for k, v := range objectlocktest.Environment() {
			t.Setenv(k, v)
		}
		o.Block = "archive s3://acme-audit {\n endpoint " + endpoint + "\n every 200ms\n}"
		defer func() { searchBucket(t, p, endpoint) }()
	}
	g := proxytest.Start(t, o)
	for at := 0; at < len(texts); at += perCall {
		body := `{"ticket":{"comments":["` + strings.Join(texts[at+perCall/2:at+perCall], `","`) + `"]}}`
		a := do(t, g, call{method: "PUT", path: fmt.Sprintf("/api/v2/tickets/1?page=%d", at), body: body})
		if a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.problem.Reason)
		}
		if got := p.search([]byte(a.body)); len(got) > 0 {
			t.Errorf("the answer holds %s", got[0])
		}
	}
	for _, r := range u.Requests() {
		if got := p.search(r.Body); len(got) > 0 {
			t.Fatalf("the helpdesk got %s", got[0])
		}
	}
	g.WaitForEntries(int64(2 * len(texts) / perCall))
	for _, profile := range pprof.Profiles() {
		var text bytes.Buffer
		if err := profile.WriteTo(&text, 2); err != nil {
			t.Fatal(err)
		}
		if got := p.search(text.Bytes()); len(got) > 0 {
			t.Errorf("profile %s holds %s", profile.Name(), got[0])
		}
	}
	if archived { // while the gateway runs: the archive ends with it
		waitArchived(t, g)
	}
	searchDatabases(t, p, g)
	searchFolder(t, p, g.Data)
	g.Stop()
	searchFolder(t, p, g.Data)
	searchFolder(t, p, filepath.Dir(messages))
	t.Logf("%d values in %d calls, %d MiB searched", n, len(texts)/perCall, p.tried>>20)
}

func sumOf(text string) []byte {
	s := sha256.Sum256([]byte(text[strings.LastIndex(text, " is ")+4:]))
	return s[:]
}

func searchFolder(t *testing.T, p *planted, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // partial tiles of a checkpoint that is over, with their folder
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		files++
		if got := p.search(content); len(got) > 0 {
			t.Errorf("%s holds %s", d.Name(), got[0])
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
}

// searchDatabases reads every column of every table of PostgreSQL as text; SQLite's are
// files.
func searchDatabases(t *testing.T, p *planted, g *proxytest.Gateway) {
	t.Helper()
	db, err := g.OpenDB("state.db", store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Dialect != store.Postgres {
		return
	}
	var tables []string
	collect(t, db, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()", func(name string) { tables = append(tables, name) })
	for _, table := range tables {
		collect(t, db, `SELECT t::text FROM "`+table+`" t`, func(row string) {
			if got := p.search([]byte(row)); len(got) > 0 {
				t.Errorf("table %s holds %s", table, got[0])
			}
		})
	}
	if len(tables) < 5 {
		t.Errorf("only %d tables", len(tables))
	}
}

func collect(t *testing.T, db *store.DB, query string, each func(string)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		each(s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// waitArchived waits until the archive has what is there now.
func waitArchived(t *testing.T, g *proxytest.Gateway) {
	t.Helper()
	want := g.WaitForEntries(1)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Minute); ; <-tick.C {
		if n, err := audit.ArchivedSize(g.Data); err == nil && n >= want {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d of %d entries are archived, %v", n, want, err)
		}
	}
}

func searchBucket(t *testing.T, p *planted, endpoint string) {
	t.Helper()
	bucket, _, err := objectlock.Open(t.Context(), objectlock.Config{URL: "s3://acme-audit", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	var versions []audit.ObjectVersion
	if err := bucket.Versions(t.Context(), "", func(v audit.ObjectVersion) error {
		if !v.Deleted {
			versions = append(versions, v)
		}
		return nil
	}); err != nil || len(versions) < 5 {
		t.Fatalf("%d objects: %v", len(versions), err)
	}
	for _, v := range versions {
		data, err := bucket.Version(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.search(data); len(got) > 0 {
			t.Errorf("%s holds %s", v.Key, got[0])
		}
	}
}
