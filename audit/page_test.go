package audit

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/chromiumtest"
)

// D2, F17: the page works in a browser, from a file and without a network: it
// proves the receipts when it opens, and reads the folder that it is given.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	x := exportLog(t, 300)
	b := chromiumtest.Start(t)
	trust, err := x.trust.MarshalText()
	if err != nil {
		t.Fatal(err)
	}

	b.Open("file://" + filepath.Join(x.dir, pageFile))
	if got := b.Eval(`document.body.dataset.first`); got != "right" {
		t.Errorf("at first: got %v, %v", got, b.Eval(`document.getElementById("first").textContent`))
	}
	if got := b.Eval(`document.querySelectorAll("#receipts tr").length + " " + document.getElementById("receipts").textContent.split("proven").length`); got != "3 4" {
		t.Errorf("receipts: got %v, want 3 rows, each proven", got)
	}
	if got := b.Eval(chooseFolder(b, x.dir)); got != "incomplete" {
		t.Errorf("without a key: got %v", got)
	}
	b.Eval(fmt.Sprintf(`document.getElementById("trust").value = %q; document.getElementById("trust").dispatchEvent(new Event("input"))`, trust))
	if got := b.Eval(pageOutcome); got != "valid" {
		t.Errorf("with the trust file: got %v, %v", got, b.Eval(`document.getElementById("result").textContent`))
	}
	if got := b.Eval(`document.getElementById("gaps")`); got != nil {
		t.Errorf("a log without gaps: got %v", got)
	}
	bad := copyFolder(t, x.dir)
	path := filepath.Join(bad, "tree", shardName(time.Now()), "tile/entries/000")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	write(t, path, data)
	if got := b.Eval(chooseFolder(b, bad)); got != "invalid" {
		t.Errorf("one bit: got %v", got)
	}
	b.Eval(`document.getElementById("trust").value = "acme/audit/x+00000000+AQ=="; document.getElementById("trust").dispatchEvent(new Event("input"))`)
	if got := b.Eval(`document.body.dataset.first`); got != "wrong" {
		t.Errorf("a key that is none: got %v", got)
	}
	if n := b.Eval(`performance.getEntriesByType("resource").length`); n != 0.0 {
		t.Errorf("the page fetched %v things, want none", n)
	}
}

// A18: whoever checks the folder in a browser reads of the same gaps as whoever checks
// it with the program: from when to when, why, and what passed.
func TestPageGaps(t *testing.T) {
	t.Parallel()
	x := gappy(t)
	r := x.verify(t, x.dir)
	if r.Outcome != Valid || len(r.Gaps) != 2 {
		t.Fatalf("got %s, %v, %+v", r.Outcome, r.Problems, r.Gaps)
	}
	var want []string
	for _, g := range r.Gaps {
		want = append(want, g.ID.String(), fmt.Sprintf("(entry %d), %s: from %s to %s", g.Index, g.Cause, pageTime(g.From), pageTime(g.To)))
	}
	want = append(want, "route <b>desk</b>: 2 requests forwarded, 1 answers released, 0 calls refused", "credit_card: 3 masked, 1 not inspected", "lost.index: nothing")
	b := chromiumtest.Start(t)
	b.Open("file://" + filepath.Join(x.dir, pageFile))
	b.Eval(chooseFolder(b, x.dir))
	got, _ := b.Eval(`document.getElementById("gaps").textContent`).(string)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("the page does not say %q: %s", w, got)
		}
	}
	if n := b.Eval(`document.querySelectorAll("#gaps > li").length`); n != 2.0 {
		t.Errorf("got %v gaps", n)
	}
	if said, _ := b.Eval(`document.getElementById("result").textContent`).(string); !strings.Contains(said, ", with 2 gaps: ") {
		t.Errorf("the outcome does not say so: %s", said)
	}
}

// pageTime is how the page writes a time.
func pageTime(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// gappy is the export of a log with two gaps: one of a route, one of a repair.
func gappy(t *testing.T) exported {
	t.Helper()
	l, data := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 10)
	mustClose(t, l)
	now := time.Now().UnixMilli()
	path := filepath.Join(data, gapFileName)
	if err := errors.Join(makeGapFile(path), writeGapFile(path, 1, &gapState{Gaps: []*gapRecord{
		{
			ID: NewID().String(), Cause: GapDisk, From: now - 60_000, Last: now - 50_000, To: now - 40_000,
			Routes: []*GapRoute{{Route: "<b>desk</b>", Requests: 2, Responses: 1}}, Released: map[string]Count{"credit_card": {Masked: 3, NotInspected: 1}},
		},
		{ID: NewID().String(), Cause: GapRepair, From: now - 30_000, Last: now, To: now, Attrs: map[string]string{"lost.index": "nothing"}},
	}})); err != nil {
		t.Fatal(err)
	}
	mustClose(t, reopen(t, data, Config{Checkpoint: 2 * time.Millisecond}))
	x := exported{data: data, dir: filepath.Join(t.TempDir(), "evidence")}
	if _, err := ExportEvidence(t.Context(), EvidenceOptions{Dir: data, Out: x.dir}); err != nil {
		t.Fatal(err)
	}
	var err error
	if x.trust, err = TrustOf(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	return x
}

// chooseFolder chooses a folder in the page, and returns the expression that waits for
// the outcome.
func chooseFolder(b *chromiumtest.Browser, dir string) string {
	// The outcome of the folder before must not be taken for this one's.
	b.Eval(`document.body.dataset.outcome = ""`)
	doc := b.Must("DOM.getDocument", nil)
	root, _ := doc["root"].(map[string]any)
	input := b.Must("DOM.querySelector", map[string]any{"nodeId": root["nodeId"], "selector": "#folder"})
	b.Must("DOM.setFileInputFiles", map[string]any{"files": []string{dir}, "nodeId": input["nodeId"]})
	return pageOutcome
}

// pageOutcome waits for the outcome of the folder.
const pageOutcome = `new Promise((done) => {
	const look = () => { const o = document.body.dataset.outcome; if (o) done(o); return Boolean(o); };
	if (!look()) new MutationObserver(look).observe(document.body, { attributes: true });
})`

// The page may not load anything: its policy says so, and names no address.
func TestPagePolicy(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"http://", "https://", "fetch(", "XMLHttpRequest", "import(", "WebSocket", "<link", "<img", "src="} {
		if strings.Contains(pageHTML+pageScript(), s) {
			t.Errorf("the page holds %q", s)
		}
	}
	if !strings.Contains(pageHTML, "default-src 'none'") {
		t.Error("the page has no content security policy")
	}
	if got := http.DetectContentType([]byte(pageHTML)); !strings.HasPrefix(got, "text/html") {
		t.Errorf("the page is %s", got)
	}
}
