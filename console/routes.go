package console

import (
	"net/http"
	"slices"
	"strings"
)

// prefix is where the API begins.
const prefix = "/api/v1"

// route is one line of the API. The pattern's {parameter} is one segment.
type route struct {
	method, pattern string
	operation       Operation // Method is filled in for each call
	// decode reads and checks the body. It is nil for calls that have none.
	decode func(body []byte) (any, *Refusal)
	// act carries the call out.
	act func(a *api, c *callState) (answer, *Refusal)
	// changes tells that act changes something and needs the audit log.
	changes bool
}

// Effects of the API's operations.
const (
	effectRead  = "read"
	effectAdmin = "admin"
)

// routes is the whole API. openapi.json describes each line.
func routes() []route {
	return []route{
		{method: http.MethodGet, pattern: "/openapi.json",
			operation: Operation{Name: "openapi.read", Effect: effectRead, Mark: "anonymous"}, act: readOpenAPI},
		{method: http.MethodGet, pattern: "/status",
			operation: Operation{Name: "status.read", Effect: effectRead}, act: readStatus},
		{method: http.MethodGet, pattern: "/events/{receipt}",
			operation: Operation{Name: "event.read", Effect: effectRead}, act: readEvent},
		{method: http.MethodGet, pattern: "/apikeys",
			operation: Operation{Name: "apikey.list", Effect: effectAdmin}, act: listAPIKeys},
		{method: http.MethodPost, pattern: "/apikeys",
			operation: Operation{Name: "apikey.create", Effect: effectAdmin}, decode: decodeNewKey, act: createAPIKey, changes: true},
		{method: http.MethodPost, pattern: "/apikeys/{id}/rotate",
			operation: Operation{Name: "apikey.rotate", Effect: effectAdmin}, decode: decodeRotation, act: rotateAPIKey, changes: true},
		{method: http.MethodDelete, pattern: "/apikeys/{id}",
			operation: Operation{Name: "apikey.revoke", Effect: effectAdmin}, act: revokeAPIKey, changes: true},
	}
}

// find returns the route of a call with its parameter, or the methods that the
// path has.
func find(method, path string) (found *route, param string, allowed []string) {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return nil, "", nil
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, r := range routes() {
		p, ok := match(r.pattern, rest)
		switch {
		case !ok:
		case r.method == method:
			return &r, p, nil
		default:
			allowed = append(allowed, r.method)
		}
	}
	slices.Sort(allowed)
	return nil, "", allowed
}

// match compares segment by segment. A parameter is what names and receipts are
// made of, so that nothing in it has to be decoded.
func match(pattern, path string) (param string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	for i, segment := range want {
		switch {
		case strings.HasPrefix(segment, "{"):
			if !isWord(got[i]) {
				return "", false
			}
			param = got[i]
		case segment != got[i]:
			return "", false
		}
	}
	return param, true
}

// maxWord bounds ids in paths: longer than any id or receipt.
const maxWord = 64

// isWord tells whether s is 1 to maxWord of letters, digits, dash and underscore.
func isWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
