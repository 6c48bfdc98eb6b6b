package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
)

// lowDisk is where free space becomes worth a word: a busy gateway writes about
// 1 GiB of log in a million calls.
const lowDisk = 2 << 30

// lookAtConfig repeats what each governed route reaches.
func (e *examination) lookAtConfig(p *place) {
	switch {
	case p.config == "":
		e.add("configuration", stateWarn, "there is no ./Caddyfile here", "name one with --config to have its routes and exceptions examined")
		return
	case p.app == nil:
		e.add("configuration", stateWarn, p.config+" has no caregate block", "add one at the top: { caregate { name acme-care } }")
		return
	case len(p.routes) == 0:
		e.add("configuration", stateWarn, p.config+" governs nothing", "add a route: govern zendesk https://acme.zendesk.com")
		return
	}
	e.add("configuration", stateOK, p.config+", "+counted(len(p.routes), "governed route"), "")
	if p.app.Vault.Cards {
		e.add("vault", stateWarn, "vault cards is on: "+proxy.CardsScope, "leave `vault cards` out unless refunds need the numbers")
	} else {
		e.add("vault", stateOK, "card numbers are never stored: they are masked, whatever policy says", "")
	}
	e.lookAtHeaders(p)
	for i := range p.app.Trails {
		e.lookAtTrail(&p.app.Trails[i])
	}
	if p.bareLogs {
		e.add("access log", stateWarn, "prints headers, Caregate-Key and Caregate-Token among them",
			"give `log` a filter that deletes request>headers and request>uri, see docs/caddyfile.md")
	}
	for _, h := range p.routes {
		r := routeReach{Route: h.Route, Channel: h.Channel, Upstream: h.Upstream, Webhooks: h.Webhooks, Exceptions: []string{}}
		if r.Route == "" {
			r.Route = h.Channel
			if h.Webhooks {
				r.Route += "/webhooks"
			}
		}
		if h.Observe {
			r.Exceptions = append(r.Exceptions, "observe")
		}
		if h.Uninspected == "pass" {
			r.Exceptions = append(r.Exceptions, "uninspected pass")
		}
		if h.AuditDown == "pass" {
			r.Exceptions = append(r.Exceptions, "audit_down pass")
		}
		if h.VaultDown == "mask" {
			r.Exceptions = append(r.Exceptions, "vault_down mask")
		}
		if len(r.Exceptions) > 0 {
			e.add("route "+r.Route, stateWarn, "lets pass what would otherwise be refused: "+strings.Join(r.Exceptions, ", "), "")
		}
		c, err := openChannel(h.Channel, !strings.ContainsAny(h.Channel, "/."))
		if err != nil {
			e.add("channel "+h.Channel, stateFail, err.Error(), "`caregate channel check` explains the mistakes")
			continue
		}
		r.Governed, r.NotGoverned = c.Reach.Governed, c.Reach.NotGoverned
		e.Routes = append(e.Routes, r)
		e.lookAtSecrets(r.Route, h)
		if strings.HasPrefix(h.Upstream, "http://") && !loopbackURL(h.Upstream) {
			e.add("route "+r.Route, stateWarn, "the upstream is called without TLS", "use https:// unless the network between is yours")
		}
	}
}

// lookAtSecrets tries the references to secrets of webhooks and of the credential that the
// route adds. The gateway may run with another environment and as another user than this
// command, so what is not found here is a warning.
func (e *examination) lookAtSecrets(route string, h *proxy.Handler) {
	if c := h.Credential; c != nil {
		if err := c.Try(); err != nil {
			e.add("route "+route, stateWarn, "credential: "+err.Error()+", as this command sees it",
				"give the gateway's own environment the secret, or the file; it does not start without")
		} else {
			e.add("route "+route, stateOK, "callers need a key or token of the gateway, which adds the vendor's credential; it is there", "")
		}
	}
	for _, ref := range h.WebhookSecrets {
		if _, err := proxy.ResolveSecret(ref); err != nil {
			e.add("route "+route, stateWarn, "webhook_secret: "+err.Error()+", as this command sees it",
				"give the gateway's own environment the secret, or the file; it does not start without")
		} else {
			e.add("route "+route, stateOK, "webhook_secret "+ref+" is there", "")
		}
	}
}

// lookAtTrail tries the references to the credential of a vendor's log.
func (e *examination) lookAtTrail(t *proxy.Trail) {
	name := "trail " + t.Channel + "/" + t.Log
	if _, err := t.Authorization(); err != nil {
		e.add(name, stateWarn, err.Error()+", as this command sees it", "give the gateway's own environment the credential, or the file; it does not start without")
		return
	}
	e.add(name, stateOK, "is read from "+t.Upstream+"; its credential is there", "")
}

// lostTokens say why a vendor gives no more tokens.
var lostTokens = map[string]string{
	"revoked":    "the vendor has taken the refresh token back",
	"unanswered": "the vendor gave a new pair, and the gateway ended or the network failed before it was kept: that pair is gone, and the one before no longer counts",
	"no_seed":    "there is no refresh token to begin with: the configured one was used before, or belonged to another client",
}

// lookAtTokens repeats what the gateway says of its tokens for vendors.
func (e *examination) lookAtTokens(tokens []console.VendorToken) {
	for _, t := range tokens {
		switch {
		case t.Lost != "":
			e.add("credential "+t.Name, stateFail, lostTokens[t.Lost], "authorise the gateway at the vendor again, put the new refresh token where `refresh_token` points, and run `caregate reload --force`")
		case t.Trouble != "":
			e.add("credential "+t.Name, stateWarn, t.Trouble, "it is asked again by itself; look at the token endpoint, the client's secret and the vault")
		case t.Expires.IsZero():
			e.add("credential "+t.Name, stateOK, "there is a token, and the vendor does not say until when it counts", "")
		default:
			e.add("credential "+t.Name, stateOK, "there is a token until "+instant(t.Expires), "")
		}
	}
}

// trailFixes say what to do about the troubles of a vendor's log.
var trailFixes = map[string]string{
	"credential":  "give it a credential of an administrator whose plan has the log (docs/vendor-trails.md); what the vendor keeps is read when it works again",
	"limited":     "nothing: the vendor wants fewer calls, and it is read on by itself; if it stays, raise `every`, or let other programs call less",
	"unreachable": "look at the network between, and at the vendor's status page",
	"refused":     "see whether the address is right, and whether the account has this log",
	"unreadable":  "compare an answer of the vendor with the channel file (docs/channel-files.md); after some hours the stretch is given up, which is recorded as a gap",
	"own":         "look at the gateway's log: its audit log, vault or database did not take what was read",
}

// lookAtTrails repeats what the gateway says of the vendors' logs.
func (e *examination) lookAtTrails(trails []console.Trail) {
	for _, t := range trails {
		until := "not read yet"
		if !t.Until.IsZero() {
			until = "read up to " + instant(t.Until)
		}
		if t.Gaps > 0 {
			until += fmt.Sprintf(", %d gaps recorded since the start (`caregate audit search --type vendor.gap`)", t.Gaps)
		}
		switch {
		case t.Trouble != "" && t.Status != 0:
			e.add("trail "+t.Name, stateWarn, fmt.Sprintf("%s (the vendor answered %d); %s", t.Trouble, t.Status, until), trailFixes[t.Trouble])
		case t.Trouble != "":
			e.add("trail "+t.Name, stateWarn, t.Trouble+"; "+until, trailFixes[t.Trouble])
		default:
			e.add("trail "+t.Name, stateOK, until, "")
		}
	}
}

// loopbackURL tells whether the plain URL stays on this machine.
func loopbackURL(u string) bool {
	for _, p := range []string{"http://127.", "http://localhost", "http://[::1]"} {
		if strings.HasPrefix(u, p) {
			return true
		}
	}
	return false
}

// lookAtData looks at the data directory: whole, private, writable, roomy.
func (e *examination) lookAtData(ctx context.Context, p *place) {
	info, err := os.Stat(p.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		e.add("data", stateFail, p.Dir+" does not exist", "create it with `caregate init`, or name another with --data")
		return
	}
	if err != nil || !info.IsDir() {
		e.add("data", stateFail, p.Dir+" cannot be read as a directory", "look at its owner and mode")
		return
	}
	var missing []string
	names := []string{"audit", "vault.db", "state.db"}
	if p.Database != "" {
		names = []string{"audit", "postgres"}
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(p.Dir, name)); err != nil {
			missing = append(missing, name)
		}
	}
	keys := p.Keys
	if keys == "" {
		keys = filepath.Join(p.Dir, "keys")
	}
	if _, err := os.Stat(keys); err != nil {
		missing = append(missing, keys)
	}
	switch {
	case len(missing) == len(names)+1:
		e.add("data", stateFail, p.Dir+" holds no Caregate data", "create it with `caregate init`; if it should hold some, a volume is not mounted")
		return
	case len(missing) > 0:
		e.add("data", stateFail, p.Dir+" lacks "+strings.Join(missing, ", "), "restore it from a backup; do not create a new one over it")
		return
	}
	e.add("data", stateOK, p.Dir, "")
	e.lookAtModes(p.Dir, keys)
	if free := store.FreeDisk(p.Dir); free >= 0 {
		state, fix := stateOK, ""
		if free < lowDisk {
			state, fix = stateWarn, "make room: when the disk is full, nothing passes the gateway"
		}
		e.add("disk", state, fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30)), fix)
	}
	kind, where, fix := store.SQLite, filepath.Join(p.Dir, "state.db"), "look at owner and mode of the files in "+p.Dir
	if p.Database != "" {
		kind, where, fix = store.Postgres, p.Database, "the gateway does not start before this is right"
	}
	version, err := databaseVersion(ctx, where, p.Database != "")
	if err != nil {
		e.add(string(kind), stateFail, err.Error(), fix)
		return
	}
	e.Versions[string(kind)] = version
	pub, err := os.ReadFile(filepath.Join(p.Dir, "audit", "log.pub"))
	if err != nil {
		e.add("log", stateFail, "the log's public key cannot be read", "restore audit/log.pub, or write it again from where the key is kept")
		return
	}
	public := strings.Split(strings.TrimSpace(string(pub)), "\n")
	newest := public[len(public)-1]
	if len(public) > 1 {
		newest += fmt.Sprintf("; the keys of %d half years before it are in audit/log.pub", len(public)-1)
	}
	e.add("log", stateOK, "public key "+newest, "")
	if log, err := audit.ExtentOf(p.Dir); err == nil && log.Over(time.Now()) {
		e.add("half year", stateWarn, "the half year of "+log.Last+" is over, and the next has not begun",
			"a running gateway goes over when its clock has been right for ten minutes; its messages say what holds it up")
	}
	e.lookAtAnchor(p)
}

// lookAtAnchor says what outside of this machine binds the log.
func (e *examination) lookAtAnchor(p *place) {
	if p.app == nil || p.app.Archive == nil {
		e.add("anchor", stateWarn, "none outside this machine", "keep what `caregate audit trust` writes elsewhere and run `caregate audit verify --trust` there, at times, on a copy; or configure an archive")
		return
	}
	size, err := audit.ArchivedSize(p.Dir)
	switch {
	case err != nil:
		e.add("anchor", stateWarn, "the archive in "+p.app.Archive.URL+" holds nothing of this log yet", "start the gateway, and look into its messages for why it cannot be written")
	default:
		e.add("anchor", stateOK, fmt.Sprintf("%d entries under a locked checkpoint in %s", size, p.app.Archive.URL), "")
		e.Proves = append(e.Proves, "that what the archive holds under a locked checkpoint is whole, as long as its bucket belongs to another account than this machine's administrator: caregate audit verify --bucket")
		e.Cannot[0] = "what is newer than the newest checkpoint in the archive is whole, against an administrator of this machine; a bucket in the same account can be deleted with the account"
	}
}

// lookAtModes warns of files that others on this machine can read.
func (e *examination) lookAtModes(dir, keys string) {
	var open []string
	look := func(path string) {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			open = append(open, path)
		}
	}
	look(dir)
	look(keys)
	for _, parent := range []string{keys, dir} {
		entries, err := os.ReadDir(parent)
		if err != nil {
			e.add("permissions", stateFail, parent+" cannot be listed", "run it as the user that owns it")
			return
		}
		for _, entry := range entries {
			// Folders of others inside (caddy/) are covered by the mode of dir.
			if !entry.IsDir() {
				look(filepath.Join(parent, entry.Name()))
			}
		}
	}
	if len(open) > 0 {
		e.add("permissions", stateFail, "others on this machine may read "+strings.Join(open, ", "), "chmod go= "+strings.Join(open, " "))
		return
	}
	e.add("permissions", stateOK, "only the owner may read data and keys", "")
}

// databaseVersion opens a database and asks for its version. With writes it is opened
// as the gateway does, so that a server which may lose commits shows here.
func databaseVersion(ctx context.Context, where string, writes bool) (_ string, err error) {
	db, err := store.Open(ctx, where, store.Options{ReadOnly: !writes})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Version(ctx)
}
