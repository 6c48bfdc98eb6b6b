package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caregate/caregate/proxy"
)

// place is where a deployment lives: what the flags say, and for what they leave
// open, what ./Caddyfile says.
type place struct {
	proxy.DataConfig
	// config is the configuration that was read, "" when there is none.
	config string
	// app is its caregate block, nil without one.
	app *proxy.App
	// routes are the governed routes of the configuration.
	routes []*proxy.Handler
	// admin is where the configuration takes reloads, "" where it takes none.
	admin string
	// headers is how many bytes of headers the least of the servers with governed routes
	// takes, as Caddy counts them; 0 without such a server.
	headers int
	// bareLogs: access logs would print gateway keys, see printsHeaders.
	bareLogs bool
}

// placeFlags adds --data and --config to a command.
func placeFlags(cmd *cobra.Command) {
	cmd.Flags().String("data", "", "Data directory (default: the one that the configuration names, else ./data)")
	cmd.Flags().StringP("config", "c", "", "Configuration to read the data directory from (default: ./Caddyfile, if there is one)")
}

// findPlace reads the flags and, unless --data says it all, the configuration.
func findPlace(cmd *cobra.Command) (*place, error) {
	data, err := cmd.Flags().GetString("data")
	if err != nil {
		return nil, err
	}
	config, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	p := new(place)
	if err := p.read(config); err != nil {
		if config != "" || data == "" {
			return nil, err
		}
		*p = place{} // --data was given: a broken ./Caddyfile is somebody else's matter
	}
	if p.app != nil {
		replace := caddy.NewReplacer()
		p.Dir, p.Keys, p.Name = replace.ReplaceKnown(p.app.Data, ""), replace.ReplaceKnown(p.app.Keys, ""), p.app.Name
		p.Seal = p.app.KeySeal
		if p.Gateway, err = p.app.GatewayName(replace); err != nil {
			return nil, err
		}
		if p.Database, err = p.app.DatabaseURL(replace); err != nil {
			return nil, err
		}
	}
	if data != "" {
		if abs, err := filepath.Abs(data); err == nil && abs != p.Dir {
			p.DataConfig = proxy.DataConfig{} // another directory than the configuration's: nothing of it applies
		}
		p.Dir = data
	}
	if p.Dir == "" {
		p.Dir = "data"
	}
	if p.Dir, err = filepath.Abs(p.Dir); err != nil {
		return nil, err
	}
	return p, nil
}

// read reads a configuration: the named one, or ./Caddyfile if there is one.
func (p *place) read(config string) error {
	if config == "" {
		if _, err := os.Stat(defaultCaddyfile); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		config = defaultCaddyfile
	}
	raw, _, err := loadConfig(config, "")
	if err != nil {
		return err
	}
	p.config = config
	return p.parse(raw)
}

// parse takes what is ours out of a configuration's JSON.
func (p *place) parse(raw []byte) error {
	var doc struct {
		Apps struct {
			Caregate *proxy.App      `json:"caregate"`
			HTTP     json.RawMessage `json:"http"`
		} `json:"apps"`
		Admin struct {
			Disabled bool   `json:"disabled"`
			Listen   string `json:"listen"`
		} `json:"admin"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	p.app = doc.Apps.Caregate
	if !doc.Admin.Disabled {
		p.admin = cmp.Or(doc.Admin.Listen, caddy.DefaultAdminListen)
	}
	p.bareLogs = printsHeaders(raw)
	if len(doc.Apps.HTTP) == 0 {
		return nil
	}
	var tree any
	if err := json.Unmarshal(doc.Apps.HTTP, &tree); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if err := p.collect(tree); err != nil {
		return err
	}
	return p.serverLimits(doc.Apps.HTTP)
}

// caddyHeaders is what Caddy's servers take when a configuration does not say.
const caddyHeaders = 16 << 10

// serverLimits finds the least limit of headers among servers with governed routes.
func (p *place) serverLimits(raw json.RawMessage) error {
	var doc struct {
		Servers map[string]struct {
			MaxHeaderBytes int `json:"max_header_bytes"`
			Routes         any `json:"routes"`
		} `json:"servers"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	for _, s := range doc.Servers {
		var governed place
		if err := governed.collect(s.Routes); err != nil {
			return err
		}
		if limit := cmp.Or(max(s.MaxHeaderBytes, 0), caddyHeaders); len(governed.routes) > 0 && (p.headers == 0 || limit < p.headers) {
			p.headers = limit
		}
	}
	return nil
}

// printsHeaders tells whether a configuration has access logs that nothing is
// taken out of: Caddy prints every header in them but Authorization and cookies,
// a caller's gateway key included.
func printsHeaders(raw []byte) bool {
	var doc struct {
		Logging struct {
			Logs map[string]struct {
				Include []string `json:"include"`
				Encoder struct {
					Format string `json:"format"`
				} `json:"encoder"`
			} `json:"logs"`
		} `json:"logging"`
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Logs json.RawMessage `json:"logs"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return false // another reader of the same bytes says what is wrong
	}
	on, filtered := false, 0
	for _, s := range doc.Apps.HTTP.Servers {
		on = on || len(s.Logs) > 0
	}
	for _, l := range doc.Logging.Logs {
		if !slices.ContainsFunc(l.Include, func(name string) bool { return strings.HasPrefix(name, "http.log.access") }) {
			continue
		}
		if l.Encoder.Format != "filter" {
			return true
		}
		filtered++
	}
	return on && filtered == 0
}

// collect finds our handlers wherever they stand in the routes.
func (p *place) collect(tree any) error {
	switch node := tree.(type) {
	case []any:
		for _, child := range node {
			if err := p.collect(child); err != nil {
				return err
			}
		}
	case map[string]any:
		if node["handler"] == binaryName {
			raw, err := json.Marshal(node)
			if err != nil {
				return err
			}
			h := new(proxy.Handler)
			if err := json.Unmarshal(raw, h); err != nil {
				return fmt.Errorf("reading a governed route: %w", err)
			}
			p.routes = append(p.routes, h)
			return nil
		}
		for _, key := range sortedKeys(node) {
			if err := p.collect(node[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// logName is the name of the deployment whose log lies in dir, "" when there is
// none. The public key beside the log begins with its origin.
func logName(dir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "audit", "log.pub"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the log's public key: %w", err)
	}
	name, _, ok := strings.Cut(string(raw), "/audit/")
	if !ok {
		return "", fmt.Errorf("%s is not the public key of an audit log", filepath.Join(dir, "audit", "log.pub"))
	}
	return name, nil
}
