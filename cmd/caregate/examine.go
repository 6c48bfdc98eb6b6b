package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
	e.add("configuration", stateOK, fmt.Sprintf("%s, %d governed routes", p.config, len(p.routes)), "")
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

// lookAtSecrets tries the references to secrets of webhooks. The gateway may run
// with another environment and as another user than this command, so what is not
// found here is a warning.
func (e *examination) lookAtSecrets(route string, h *proxy.Handler) {
	for _, ref := range h.WebhookSecrets {
		if _, err := proxy.ResolveSecret(ref); err != nil {
			e.add("route "+route, stateWarn, "webhook_secret: "+err.Error()+", as this command sees it",
				"give the gateway's own environment the secret, or the file; it does not start without")
		} else {
			e.add("route "+route, stateOK, "webhook_secret "+ref+" is there", "")
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
	for _, name := range []string{"audit", "vault.db", "state.db"} {
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
	case len(missing) == 4:
		e.add("data", stateFail, p.Dir+" holds no Caregate data", "create it with `caregate init`; if it should hold some, a volume is not mounted")
		return
	case len(missing) > 0:
		e.add("data", stateFail, p.Dir+" lacks "+strings.Join(missing, ", "), "restore it from a backup; do not create a new one over it")
		return
	}
	e.add("data", stateOK, p.Dir, "")
	e.lookAtModes(p.Dir, keys)
	if free, ok := freeDisk(p.Dir); ok {
		state, fix := stateOK, ""
		if free < lowDisk {
			state, fix = stateWarn, "make room: when the disk is full, nothing passes the gateway"
		}
		e.add("disk", state, fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30)), fix)
	}
	version, err := sqliteVersion(ctx, filepath.Join(p.Dir, "state.db"))
	if err != nil {
		e.add("sqlite", stateFail, err.Error(), "look at owner and mode of the files in "+p.Dir)
		return
	}
	e.Versions["sqlite"] = version
	pub, err := os.ReadFile(filepath.Join(p.Dir, "audit", "log.pub"))
	if err != nil {
		e.add("log", stateFail, "the log's public key cannot be read", "restore audit/log.pub, or write it again from where the key is kept")
		return
	}
	e.add("log", stateOK, "public key "+strings.TrimSpace(string(pub)), "")
	e.add("anchor", stateWarn, "none outside this machine", "keep the public key elsewhere and run `caregate audit verify --trust` there, at times, on a copy")
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

// sqliteVersion opens a database for reading and asks for the library's version.
func sqliteVersion(ctx context.Context, path string) (_ string, err error) {
	db, err := store.Open(ctx, path, store.Options{ReadOnly: true})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var version string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("asking SQLite for its version: %w", err)
	}
	return version, nil
}

// lookAtGateway asks the running gateway.
func (e *examination) lookAtGateway(ctx context.Context, p *place) {
	g := newGateway(p.Dir)
	var s console.Status
	_, err := g.call(ctx, "GET", "/status", nil, &s)
	if errors.Is(err, errNotRunning) {
		e.add("gateway", stateWarn, "none runs on this data directory", "start it with `caregate run`")
		return
	}
	if err != nil {
		e.add("gateway", stateFail, err.Error(), "look at the gateway's log")
		return
	}
	e.add("gateway", stateOK, fmt.Sprintf("version %s, deployment %s, log %s, %d routes", s.Version, s.Name, s.Log.Origin, len(s.Routes)), "")
	checks, err := g.ready(ctx)
	if err != nil {
		e.add("ready", stateFail, err.Error(), "look at the gateway's log")
		return
	}
	for _, c := range checks {
		if !c.OK {
			e.add("ready: "+c.Name, stateFail, c.Text, "look at the gateway's log; after a failed write it must be restarted")
		}
	}
}
