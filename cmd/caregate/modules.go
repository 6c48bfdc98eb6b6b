package main

// The chosen modules. Caddy's standard set also holds what a compliance gateway
// has no use for (templates, PHP, file serving, package downloads) and what
// would let traffic around the governed routes; every module is code that an
// operator has to trust. A test pins the list of all modules in the binary,
// with those that come along with these.
import (
	_ "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"          // the Caddyfile
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents"            // what reverse_proxy reports health with
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"              // servers, matchers, respond, handle_errors
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"       // compression towards clients
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"  // its codings
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/zstd"  //
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"      // header
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/requestbody"  // request_body max_size
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy" // what govern stands in front of
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"      // rewrite, uri
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"               // certificates by ACME, and from the internal issuer
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/standardstek"  // keys of TLS session tickets
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"            // where certificates are kept
	_ "github.com/caddyserver/caddy/v2/modules/logging"                // log writers and the filter encoder
	_ "github.com/caddyserver/caddy/v2/modules/metrics"                // Prometheus

	_ "github.com/caregate/caregate/proxy" // govern and caregate_api
)
