package console

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// replayPagePath is where people try a draft of the policy in a browser.
const replayPagePath = "/console/policy/replay"

//go:embed replay.html
var replayPage string

// replayPolicyHeader lets the page run its own script, use its own style and call this
// origin, and nothing else.
var replayPolicyHeader = "default-src 'none'; script-src " + inlined(replayPage, "script") + "; style-src " + inlined(replayPage, "style") +
	"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// inlined is the source expression (CSP Level 3) of the one element of a name in a page.
func inlined(page, element string) string {
	_, text, _ := strings.Cut(page, "<"+element+">")
	text, _, _ = strings.Cut(text, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// replayDraft serves the page on which a draft of the policy is replayed. It is the same for
// everybody and holds nothing: what it shows comes from POST /api/v1/policy/replay, by the
// session of whoever looks at it.
func (a *api) replayDraft(w http.ResponseWriter, r *http.Request) {
	if ref := a.checkHost(r); ref != nil {
		a.writeProblem(w, r, ref, "")
		return
	}
	if !a.isRead(w, r) {
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", replayPolicyHeader)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(replayPage)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(replayPage)) // the client may be gone
	}
}
