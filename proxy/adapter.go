package proxy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// AdapterName is the configuration adapter that the commands use for Caddyfiles.
// What it makes of one is what Caddy's own adapter does, with what every server
// with a governed route needs and nobody should have to write.
const AdapterName = "caregate"

func init() { caddyconfig.RegisterAdapter(AdapterName, adapter{}) }

type adapter struct{}

// headroom is how many bytes of a head Caddy's server reads beyond the names and
// values that [Limits] counts: the request line and the separators.
const headroom = 8 << 10

// Adapt implements [caddyconfig.Adapter]. Where there is a `govern`, configurations
// share one listening socket for each address ([SharedNetwork]), those of the other
// servers too: Caddy adds its redirects from HTTP to the server that listens on the same
// network and port. On every HTTP server with a `govern`:
//
//   - what the server refuses by itself is recorded ([Refusals]);
//   - a head may be as large as the largest `limits { headers }` of its routes, so
//     that a larger one is refused by us, with a receipt;
//   - a request that none of its routes answers is refused and recorded ([Unrouted]).
//
// An address with a network of its own (`bind tcp4/...`, `bind unix/...`) and a
// `servers { max_header_size }` among the global options are kept, and other listener
// wrappers stand in front of ours.
func (adapter) Adapt(body []byte, options map[string]any) ([]byte, []caddyconfig.Warning, error) {
	out, warnings, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt(body, options)
	if err != nil {
		return nil, warnings, err
	}
	if out, err = complete(out, &warnings); err != nil {
		return nil, warnings, fmt.Errorf("completing what the Caddyfile became: %w", err)
	}
	return out, warnings, nil
}

// complete edits the servers of a configuration in JSON.
func complete(doc []byte, warnings *[]caddyconfig.Warning) ([]byte, error) {
	var config caddy.Config
	if err := json.Unmarshal(doc, &config); err != nil {
		return nil, err
	}
	raw, ok := config.AppsRaw["http"]
	if !ok {
		return doc, nil
	}
	var app caddyhttp.App
	if err := json.Unmarshal(raw, &app); err != nil {
		return nil, err
	}
	anyGoverned := false
	for _, server := range app.Servers {
		routes, err := json.Marshal(server.Routes)
		if err != nil {
			return nil, err
		}
		headers, err := governed(routes)
		if err != nil {
			return nil, err
		}
		if headers == 0 {
			continue
		}
		anyGoverned = true
		if server.MaxHeaderBytes == 0 {
			server.MaxHeaderBytes = int(headers + headroom)
		}
		if err := recordRefusals(server, warnings); err != nil {
			return nil, err
		}
		if err := refuseUnrouted(server, warnings); err != nil {
			return nil, err
		}
	}
	if !anyGoverned {
		return doc, nil
	}
	for _, server := range app.Servers {
		for i, listen := range server.Listen {
			if !strings.Contains(listen, "/") {
				server.Listen[i] = SharedNetwork + "/" + listen
			}
		}
	}
	config.AppsRaw["http"] = caddyconfig.JSON(app, warnings)
	return json.Marshal(config)
}

// governed looks for our handler in routes, at any depth, and returns the largest
// limit for headers among those found, 0 for none.
func governed(routes []byte) (headers int64, err error) {
	var doc any
	if err := json.Unmarshal(routes, &doc); err != nil {
		return 0, err
	}
	var look func(v any) error
	look = func(v any) error {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				if err := look(e); err != nil {
					return err
				}
			}
		case map[string]any:
			if v["handler"] != appName {
				for _, e := range v {
					if err := look(e); err != nil {
						return err
					}
				}
				return nil
			}
			raw, err := json.Marshal(v["limits"])
			if err != nil {
				return err
			}
			var l Limits
			if err := json.Unmarshal(raw, &l); err != nil {
				return err
			}
			l.setDefaults()
			headers = max(headers, l.Headers)
		}
		return nil
	}
	return headers, look(doc)
}

// recordRefusals puts [Refusals] behind a server's other listener wrappers.
func recordRefusals(server *caddyhttp.Server, warnings *[]caddyconfig.Warning) error {
	for _, raw := range server.ListenerWrappersRaw {
		var w struct {
			Wrapper string `json:"wrapper"`
		}
		if err := json.Unmarshal(raw, &w); err != nil {
			return err
		}
		if w.Wrapper == refusalsName {
			return nil
		}
	}
	server.ListenerWrappersRaw = append(server.ListenerWrappersRaw, caddyconfig.JSONModuleObject(Refusals{}, "wrapper", refusalsName, warnings))
	return nil
}

// refuseUnrouted puts [Unrouted] behind a server's routes: behind all of them, and in a
// governed one that ends the list behind what it does itself.
func refuseUnrouted(server *caddyhttp.Server, warnings *[]caddyconfig.Warning) error {
	last := caddyconfig.JSONModuleObject(Unrouted{}, "handler", unroutedName, warnings)
	for i, route := range server.Routes {
		if !route.Terminal {
			continue
		}
		raw, err := json.Marshal(route)
		if err != nil {
			return err
		}
		headers, err := governed(raw)
		if err != nil {
			return err
		}
		if headers > 0 {
			server.Routes[i].HandlersRaw = append(route.HandlersRaw, last)
		}
	}
	server.Routes = append(server.Routes, caddyhttp.Route{HandlersRaw: []json.RawMessage{last}})
	return nil
}
