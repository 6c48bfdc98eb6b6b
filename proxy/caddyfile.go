package proxy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/certmagic"
	"github.com/dustin/go-humanize"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/internal/store"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("caregate", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("govern", parseGovern)
	httpcaddyfile.RegisterDirectiveOrder("govern", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterHandlerDirective("caregate_api", parseAPI)
	httpcaddyfile.RegisterDirectiveOrder("caregate_api", httpcaddyfile.Before, "reverse_proxy")
}

// parseGlobal reads the global block:
//
//	caregate {
//		name   <deployment>
//		store  sqlite <directory> | postgres <url> [<directory>]
//		keys   file <directory> { passphrase <reference> | key_file <file> } | awskms <key> [<directory>] { ... }
//		policy builtin [<document> ...]
//		policy bundle <url|file|directory> { ... }
//		detect <file>
//		vault  cards | expires <duration>
//		identity jwt {
//			issuer   <url>
//			audience <name>
//			jwks     <url|file>
//			roles    <claim>
//			role     <value of the claim> <role> ...
//			regions  <claim>
//			region   <value of the claim> <region> ...
//		}
//		identity actor {
//			issuer, jwks, roles, role, regions, region as for jwt
//			audience <name>
//			unbound
//		}
//		identity oidc <issuer> { ... }
//		identity certificate <file of the authority> { ... }
//		syslog tls://<host>[:<port>] {
//			ca          <file>
//			client_cert <file> <key file>
//		}
//		trail <channel>/<log> <upstream> { ... }
//		archive s3://<bucket>[/<prefix>] { ... }
//		change <ticket> { ... }
//	}
//
// A relative directory is meant from the folder of the Caddyfile.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("there may be one caregate block only")
	}
	app := new(App)
	d.Next() // the word caregate
	folder := filepath.Dir(d.File())
	for d.NextBlock(0) {
		switch option := d.Val(); option {
		case "name":
			if !d.Args(&app.Name) {
				return nil, d.ArgErr()
			}
		case "store":
			if err := parseStore(d, app, folder); err != nil {
				return nil, err
			}
		case "keys":
			if err := parseKeys(d, app, folder); err != nil {
				return nil, err
			}
		case "policy":
			if err := parsePolicy(d, app, folder); err != nil {
				return nil, err
			}
		case "detect":
			var file string
			if !d.Args(&file) {
				return nil, d.Err("detect wants the file of your lists, for example: detect ./detect.yaml")
			}
			app.Detect = absolute(folder, file)
		case "vault":
			if err := parseVault(d, &app.Vault); err != nil {
				return nil, err
			}
		case "identity":
			if err := parseIdentity(d, app, folder); err != nil {
				return nil, err
			}
		case "syslog":
			s, err := parseSyslog(d, folder)
			if err != nil {
				return nil, err
			}
			app.Syslog = append(app.Syslog, s)
		case "trail":
			t, err := parseTrail(d, folder)
			if err != nil {
				return nil, err
			}
			app.Trails = append(app.Trails, t)
		case "change":
			if app.Change != nil {
				return nil, d.Err("there may be one change only: the last one")
			}
			change, err := parseChange(d)
			if err != nil {
				return nil, err
			}
			app.Change = change
		case "details":
			details, err := parseDetails(d)
			if err != nil {
				return nil, err
			}
			app.Details = details
		case "archive":
			if app.Archive != nil {
				return nil, d.Err("there may be one archive only")
			}
			archive, err := parseArchive(d)
			if err != nil {
				return nil, err
			}
			app.Archive = archive
		default:
			return nil, d.Errf("unknown option %s in the caregate block; it has name, store, keys, policy, detect, vault, identity, archive, syslog, trail, details, change", option)
		}
		if d.NextArg() {
			return nil, d.ArgErr()
		}
	}
	if app.Data == "" {
		app.Data = absolute(folder, "data")
	}
	if app.Keys == "" {
		app.Keys = filepath.Join(app.Data, "keys")
	}
	if err := useDataDir(app.Data); err != nil {
		return nil, d.Err(err.Error())
	}
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// parsePolicy reads what is decided by.
func parsePolicy(d *caddyfile.Dispenser, app *App, folder string) error {
	var kind string
	d.Args(&kind)
	switch kind {
	case "builtin":
	case "bundle":
		if app.PolicyBundle != nil {
			return d.Err("there may be one policy bundle only")
		}
		bundle, err := parsePolicyBundle(d, folder)
		if err != nil {
			return err
		}
		app.PolicyBundle = bundle
	default:
		return d.Err("policy wants builtin, optionally followed by documents of your own and a directory of rules: policy builtin ./policy.yaml ./rules; or bundle: policy bundle https://policy.example.com/desk.tar.gz { key ./policy.pub }")
	}
	for kind == "builtin" && d.NextArg() {
		f := d.Val()
		name := absolute(folder, f)
		info, err := os.Stat(name)
		switch {
		case err != nil && !strings.HasPrefix(name, "{"):
			return d.Errf("policy document %s: %v", f, err)
		case err != nil || !info.IsDir():
			app.PolicyDocuments = append(app.PolicyDocuments, name)
		case app.PolicyRules != "":
			return d.Errf("policy takes one directory of rules, got %s too", f)
		default:
			app.PolicyRules = name
		}
	}
	if app.PolicyBundle != nil && (len(app.PolicyDocuments) > 0 || app.PolicyRules != "") {
		return d.Err(errBundleBeside.Error())
	}
	return nil
}

// parseStore reads where the data lives:
//
//	store sqlite   <directory>
//	store postgres <url> [<directory>] {
//		gateway <name>
//	}
func parseStore(d *caddyfile.Dispenser, app *App, folder string) error {
	var kind, where string
	if !d.Args(&kind, &where) {
		return d.Err("store wants a kind and a place, for example: store sqlite ./data, or: store postgres {env.CAREGATE_DATABASE} ./data")
	}
	switch kind {
	case "sqlite":
		app.Data, app.Database, app.Gateway = absolute(folder, where), "", ""
	case "postgres":
		if err := checkDatabase(where); err != nil {
			return d.Err(err.Error())
		}
		app.Database = where
		if d.NextArg() {
			app.Data = absolute(folder, d.Val())
		}
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			if d.Val() != "gateway" {
				return d.Errf("unknown option %s of store postgres; it has gateway", d.Val())
			}
			if !d.Args(&app.Gateway) || d.NextArg() {
				return d.Err("gateway wants a name, for example: gateway eu-1")
			}
			if strings.HasPrefix(app.Gateway, "{") {
				continue // what a placeholder stands for is seen at the start
			}
			if err := validGateway(app.Gateway); err != nil {
				return d.WrapErr(err)
			}
		}
	default:
		return d.Errf("store %s: there are sqlite and postgres", kind)
	}
	return nil
}

// checkDatabase refuses what is no URL, and a password that everybody could read who
// can read the configuration. What a placeholder stands for is seen at the start.
func checkDatabase(where string) error {
	if strings.HasPrefix(where, "{") && strings.HasSuffix(where, "}") {
		return nil
	}
	u, err := url.Parse(where)
	if err != nil || !store.IsURL(where) {
		return errors.New("store postgres wants the URL of a database, postgres://user@host/database, or a placeholder that stands for one, like {env.CAREGATE_DATABASE}")
	}
	_, has := u.User.Password()
	if q := u.Query(); has || q.Has("password") || q.Has("sslpassword") {
		return errors.New("a password does not belong into the configuration: let the whole URL come from {env.NAME} or {file./PATH}")
	}
	return nil
}

// parseIdentity reads one way in which people and programs prove who they are.
func parseIdentity(d *caddyfile.Dispenser, app *App, folder string) error {
	var kind string
	d.Args(&kind)
	switch kind {
	case "jwt":
		id, err := parseJWT(d, folder, nil)
		if err != nil {
			return err
		}
		app.Identities = append(app.Identities, id)
	case "actor":
		if app.ActorSigner != nil {
			return d.Err("there may be one identity actor only")
		}
		s := new(ActorSigner)
		var err error
		if s.Identity, err = parseJWT(d, folder, &s.Unbound); err != nil {
			return err
		}
		app.ActorSigner = s
	case "oidc":
		if app.OIDC != nil {
			return d.Err("there may be one identity oidc only")
		}
		o, err := parseOIDC(d)
		if err != nil {
			return err
		}
		app.OIDC = o
	case "certificate":
		if app.Certificates != nil {
			return d.Err("there may be one identity certificate only")
		}
		c, err := parseCertificates(d, folder)
		if err != nil {
			return err
		}
		app.Certificates = c
	default:
		return d.Err("identity wants jwt and a block with issuer, audience and jwks; actor and a block with issuer and jwks; oidc, the URL of the issuer and a block with client_id and role; or certificate, the file of an authority and a block with name and role")
	}
	return nil
}

// parseJWT reads the block of identity jwt, and, where unbound is not nil, of identity
// actor.
func parseJWT(d *caddyfile.Dispenser, folder string, unbound *bool) (Identity, error) {
	var id Identity
	kind, options := "jwt", "issuer, audience, jwks, roles, role, regions, region"
	if unbound != nil {
		kind, options = "actor", options+", unbound"
	}
	for d.NextBlock(1) {
		option := d.Val()
		if option == "unbound" && unbound != nil {
			if d.NextArg() {
				return id, d.ArgErr()
			}
			*unbound = true
			continue
		}
		var value string
		if !d.Args(&value) {
			return id, d.ArgErr()
		}
		if option == "role" {
			ours := d.RemainingArgs()
			if len(ours) == 0 {
				return id, d.Err("role wants a value of the claim and the roles it gives, for example: role support-team agent")
			}
			if id.Roles == nil {
				id.Roles = make(map[string][]string)
			}
			id.Roles[value] = append(id.Roles[value], ours...)
			continue
		}
		if option == "region" {
			ours := d.RemainingArgs()
			if len(ours) == 0 {
				return id, d.Err(regionHint)
			}
			if id.Regions == nil {
				id.Regions = make(map[string][]string)
			}
			id.Regions[value] = append(id.Regions[value], ours...)
			continue
		}
		switch option {
		case "issuer":
			id.Issuer = value
		case "audience":
			id.Audience = value
		case "jwks":
			if !strings.Contains(value, "://") {
				value = absolute(folder, value)
			}
			id.JWKS = value
		case "roles":
			id.RolesClaim = value
		case "regions":
			id.RegionsClaim = value
		default:
			return id, d.Errf("unknown option %s of identity %s; it has %s", option, kind, options)
		}
	}
	if unbound != nil && (id.Issuer == "" || id.JWKS == "") {
		return id, d.Err("identity actor needs issuer and jwks: what nobody signed would count")
	}
	if unbound == nil && (id.Issuer == "" || id.Audience == "" || id.JWKS == "") {
		return id, d.Err("identity jwt needs issuer, audience and jwks: without any one of them a token of somebody else would count")
	}
	if (id.RegionsClaim == "") != (len(id.Regions) == 0) {
		return id, d.Err(regionHint)
	}
	if len(id.Roles) == 0 {
		return id, d.Errf("identity %s needs a role line for each value of the roles claim that counts, for example: role support-team agent; without one nobody has a role, and none permits anything", kind)
	}
	return id, nil
}

// absolute resolves a path of the Caddyfile against the Caddyfile's folder, so
// that a gateway started from another folder finds the same data.
func absolute(folder, path string) string {
	if filepath.IsAbs(path) || strings.HasPrefix(path, "{") {
		return path
	}
	if abs, err := filepath.Abs(filepath.Join(folder, path)); err == nil {
		return abs
	}
	return filepath.Join(folder, path)
}

// useDataDir makes Caddy keep its own state with ours and listen for its admin
// commands on a socket there, unless the Caddyfile says otherwise. `run` and
// `reload` both read the Caddyfile, so both find the same socket. A directory
// that is missing is left to Start to complain about.
func useDataDir(dir string) error {
	if AllowCreate {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("creating the data directory: %w", err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		caddy.DefaultAdminListen = "unix/" + filepath.Join(dir, "admin.sock") + "|0600"
		caddy.DefaultStorage = &certmagic.FileStorage{Path: filepath.Join(dir, "caddy")}
		caddy.ConfigAutosavePath = filepath.Join(dir, "caddy", "autosave.json")
	}
	return nil
}

// governOptions are the words of a govern block, for the error that lists them.
const governOptions = "credential, identity, limits, observe, uninspected, audit_down, vault_down, trust_pool, route; for webhooks also webhook_secret, webhook_tolerance"

// parseGovern expands
//
//	govern <channel>[/webhooks] <upstream> {
//		route        <name>
//		credential   bearer <reference> | basic <user> <reference> | header <name> <reference> | oauth [<name>] { ... }
//		identity     session
//		limits       { body 10MiB | depth 128 | values 100000 | headers 64KiB | ratio 100 | read_timeout 60s }
//		observe
//		uninspected  refuse|pass
//		audit_down   refuse|pass
//		vault_down   deny|mask
//		trust_pool   <module> ...
//		webhook_secret    <reference> [<reference of the secret before>]
//		webhook_tolerance <duration>
//	}
//
// to our handler followed by reverse_proxy with our transport, in one subroute,
// so that nobody can enable one half.
func parseGovern(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	if h.Option("caregate") == nil {
		h.Next() // an error names the line of the word that was read last
		return nil, h.Err("govern needs a caregate block in the global options at the top of the Caddyfile, for example: { caregate { name acme-care } }")
	}
	g := h.Dispenser
	g.Next() // the word govern
	var name, upstream string
	if !g.Args(&name, &upstream) {
		// Caddy takes a first word that begins with a slash for a path to match.
		return nil, g.Err("govern wants a channel and an upstream, for example: govern zendesk https://acme.zendesk.com; before the absolute path of a channel file write a star: govern * /etc/caregate/desk.yaml https://desk.example.com")
	}
	handler := &Handler{Upstream: upstream}
	if err := chooseChannel(g, handler, name); err != nil {
		return nil, err
	}
	if err := checkUpstream(g, upstream); err != nil {
		return nil, err
	}
	var trustPool []caddyfile.Token
	for g.NextBlock(0) {
		switch option := g.Val(); option {
		case "route":
			if !g.Args(&handler.Route) {
				return nil, g.ArgErr()
			}
		case "credential":
			if err := parseCredential(g, handler); err != nil {
				return nil, err
			}
		case "identity":
			var kind string
			if !g.Args(&kind) || kind != "session" {
				return nil, g.Err("identity wants session here: people count by the login of identity oidc; keys, tokens and certificates count on every route")
			}
			handler.Session = true
		case "observe":
			handler.Observe = true
		case "uninspected":
			if !g.Args(&handler.Uninspected) || !slices.Contains([]string{"refuse", "pass"}, handler.Uninspected) {
				return nil, g.Err("uninspected wants refuse or pass")
			}
		case "audit_down":
			if !g.Args(&handler.AuditDown) || !slices.Contains([]string{"refuse", auditPass}, handler.AuditDown) {
				return nil, g.Err("audit_down wants refuse or pass")
			}
		case "vault_down":
			if !g.Args(&handler.VaultDown) || !slices.Contains([]string{vaultDeny, vaultMask}, handler.VaultDown) {
				return nil, g.Err("vault_down wants deny or mask")
			}
		case "limits":
			if err := parseLimits(g, &handler.Limits); err != nil {
				return nil, err
			}
		case "trust_pool":
			trustPool = g.NextSegment()
			trustPool[0].Text = "tls_trust_pool"
		case "webhook_secret":
			if err := parseWebhookSecret(g, handler); err != nil {
				return nil, err
			}
		case "webhook_tolerance":
			if err := parseWebhookTolerance(g, handler); err != nil {
				return nil, err
			}
		default:
			return nil, g.Errf("unknown option %s of govern; it has %s", option, governOptions)
		}
		if option := g.Val(); option != "trust_pool" && g.NextArg() {
			return nil, g.ArgErr()
		}
	}
	if handler.Webhooks && handler.Session {
		return nil, g.Errf("govern %s takes no session: a webhook counts by its signature only", name)
	}
	if handler.Webhooks && len(handler.WebhookSecrets) == 0 {
		return nil, g.Errf("govern %s needs the secret that the vendor signs with: webhook_secret {env.NAME}", name)
	}
	if err := nameRoute(h, g, handler); err != nil {
		return nil, err
	}
	proxy, err := reverseProxy(g, upstream, trustPool)
	if err != nil {
		return nil, err
	}
	route, err := json.Marshal(cmp.Or(handler.Route, handler.defaultRoute()))
	if err != nil {
		return nil, err
	}
	if proxy.TransportRaw, err = withMember(proxy.TransportRaw, "route", route); err != nil {
		return nil, err
	}
	return &caddyhttp.Subroute{Routes: caddyhttp.RouteList{{HandlersRaw: []json.RawMessage{
		caddyconfig.JSONModuleObject(handler, "handler", "caregate", nil),
		caddyconfig.JSONModuleObject(proxy, "handler", "reverse_proxy", nil),
	}}}}, nil
}

// withMember adds a member to an object of JSON.
func withMember(object json.RawMessage, name string, value json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, fmt.Errorf("reading the transport's configuration: %w", err)
	}
	members[name] = value
	return json.Marshal(members)
}

// nameRoute notes the route's name and refuses one that another route of the Caddyfile
// has, as addRoute does for configurations in JSON, where no line can be told.
func nameRoute(h httpcaddyfile.Helper, g *caddyfile.Dispenser, handler *Handler) error {
	names, _ := h.State[appName].([]*Handler)
	for _, other := range names {
		if err := handler.clashes(other); err != nil {
			return g.Err(err.Error())
		}
	}
	h.State[appName] = append(names, handler)
	return nil
}

func chooseChannel(g *caddyfile.Dispenser, handler *Handler, name string) error {
	name, handler.Webhooks = strings.CutSuffix(name, webhooksSuffix)
	handler.Channel = name
	if strings.ContainsAny(name, "/.") {
		handler.Channel = absolute(filepath.Dir(g.File()), name)
	}
	c, err := loadChannel(handler.Channel)
	if err != nil {
		return g.Errf("%v (built in: %s; or give the path of a channel file of your own)", err, strings.Join(channel.Names(), ", "))
	}
	handler.ch = c
	if handler.Webhooks && c.Webhooks == nil {
		return g.Errf("channel %s has no webhooks: its file does not say how the vendor signs them", c.Name)
	}
	return nil
}

func checkUpstream(g *caddyfile.Dispenser, upstream string) error {
	u, err := url.Parse(upstream)
	switch {
	case err != nil:
		return g.Err("the upstream wants a URL such as https://acme.zendesk.com") // what is none may hold a password
	case u.Host == "":
		return g.Errf("upstream %s: want a URL such as https://acme.zendesk.com", u.Redacted())
	case u.Scheme != "http" && u.Scheme != "https":
		return g.Errf("upstream %s: want http or https", u.Redacted())
	case u.User != nil:
		return g.Errf("upstream %s: want scheme and host only; callers bring their own credentials", u.Redacted())
	case u.Path != "" && u.Path != "/", u.RawQuery != "":
		return g.Errf("upstream %s: want scheme and host only; the path of a call is forwarded as it came", upstream)
	}
	return nil
}

// parseLimits reads the limits block. Sizes are written as 10MiB, times as 60s.
func parseLimits(g *caddyfile.Dispenser, l *Limits) error {
	nesting := g.Nesting()
	for g.NextBlock(nesting) {
		name := g.Val()
		var value string
		if !g.Args(&value) {
			return g.ArgErr()
		}
		var err error
		switch name {
		case "body":
			err = parseSize(value, &l.Body)
		case "headers":
			err = parseSize(value, &l.Headers)
		case "depth":
			l.Depth, err = parseCount(value)
		case "values":
			l.Values, err = parseCount(value)
		case "ratio":
			l.Ratio, err = parseCount(value)
		case "read_timeout":
			var t time.Duration
			t, err = caddy.ParseDuration(value)
			l.ReadTimeout = caddy.Duration(t)
		case "idle_timeout":
			var t time.Duration
			t, err = caddy.ParseDuration(value)
			l.IdleTimeout = caddy.Duration(t)
		default:
			return g.Errf("unknown limit %s; there are body, headers, depth, values, ratio, read_timeout, idle_timeout", name)
		}
		if err != nil {
			return g.Errf("limits %s: %v", name, err)
		}
	}
	return nil
}

func parseSize(value string, to *int64) error {
	n, err := humanize.ParseBytes(value)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%s is no size: write it as 512KiB or 10MiB", value)
	}
	*to = int64(n)
	return nil
}

func parseCount(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s is no number: write it as 1000", value)
	}
	return int(n), nil
}

// reverseProxy builds the second half from directive text, the way a person
// would write it, so that Caddy's own parser sets every default.
func reverseProxy(g *caddyfile.Dispenser, upstream string, trustPool []caddyfile.Token) (*reverseproxy.Handler, error) {
	text := "reverse_proxy " + strconv.Quote(upstream) + " {\n"
	if strings.HasPrefix(upstream, "http://") {
		// Over HTTPS Caddy does so by itself. The upstream must be called by its own
		// name: the addresses in its answers are made from it.
		text += "header_up Host {http.reverse_proxy.upstream.hostport}\n"
	}
	tokens, err := caddyfile.Tokenize([]byte(text+"transport caregate {\n}\n}\n"), g.File())
	if err != nil {
		return nil, err
	}
	if len(trustPool) > 0 { // goes before the two closing braces
		tokens = slices.Insert(tokens, len(tokens)-2, atLine(trustPool, tokens[len(tokens)-2].Line)...)
	}
	proxy := new(reverseproxy.Handler)
	if err := proxy.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
		return nil, g.Errf("upstream %s: %v", upstream, err)
	}
	return proxy, nil
}

// atLine gives borrowed tokens the line of the place they are put at: the parser
// ends an option where the line changes.
func atLine(tokens []caddyfile.Token, line int) []caddyfile.Token {
	first := tokens[0].Line
	out := slices.Clone(tokens)
	for i := range out {
		out[i].Line = line - 1 + out[i].Line - first
	}
	return out
}

// parseAPI reads `caregate_api`, which serves /api/v1, /livez and /readyz.
func parseAPI(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next()
	if h.Option("caregate") == nil {
		return nil, h.Err("caregate_api needs a caregate block in the global options at the top of the Caddyfile")
	}
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	return new(API), nil
}
