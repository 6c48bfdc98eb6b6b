package proxy_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// Pages for people in place of an answer, with and without a header that says so, and
// pages that are the upstream's own.
func TestChallenges(t *testing.T) {
	const html, json = "text/html; charset=utf-8", "application/json"
	page := func(inside string) string {
		return "<!DOCTYPE html><html><head><title>One moment</title></head><body>" + inside + "</body></html>"
	}
	for name, test := range map[string]struct {
		path          string // a mapped operation when empty
		status        int
		header, value string
		media, body   string
		challenge     bool
	}{
		"Cloudflare, by header":     {"", 403, "Cf-Mitigated", "challenge", html, page(""), true},
		"Cloudflare, status 200":    {"", 200, "", "", html, page(`<script>window._cf_chl_opt = {cType: "managed"};</script>`), true},
		"Cloudflare, status 503":    {"", 503, "", "", html, page(`<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script>`), true},
		"AWS WAF, CAPTCHA":          {"", 405, "X-Amzn-Waf-Action", "captcha", html, page(""), true},
		"AWS WAF, without a body":   {"", 202, "X-Amzn-Waf-Action", "challenge", html, "", true},
		"AWS WAF, by page":          {"", 202, "", "", html, page(`<script>window.gokuProps = {};</script>`), true},
		"DataDome, by page":         {"", 403, "", "", html, page(`<script src="https://ct.captcha-delivery.com/c.js"></script>`), true},
		"DataDome, for programs":    {"", 403, "X-Dd-B", "1", json, `{"url":"https://geo.captcha-delivery.com/captcha/"}`, true},
		"Imperva":                   {"", 200, "", "", html, page(`<iframe src="/_Incapsula_Resource?SWUDNSAI=31"></iframe>`), true},
		"HUMAN":                     {"", 403, "", "", html, page(`<div id="px-captcha"></div>`), true},
		"HUMAN, for programs":       {"", 403, "", "", json, `{"appId":"PX1","blockScript":"/captcha.js"}`, true},
		"Akamai":                    {"", 428, "", "", html, page(`<iframe src="/_sec/cp_challenge/ak-challenge-3-3.htm"></iframe>`), true},
		"any CAPTCHA, for an API":   {"", 429, "", "", html, page(`<div class="h-captcha" data-sitekey="x"></div>`), true},
		"a login page":              {"/login", 200, "", "", html, page(`<div class="g-recaptcha" data-sitekey="x"></div>`), false},
		"a challenge where a page":  {"/login", 403, "", "", html, page(`<script>window._cf_chl_opt = {};</script>`), true},
		"a page passed by Imperva":  {"/hc/en-us", 200, "", "", html, page(`<script src="/_Incapsula_Resource?SWJIYLWA=1"></script>`), false},
		"a page passed by DataDome": {"/hc/en-us", 200, "X-DataDome", "protected", html, page(`<script src="https://js.datadome.co/tags.js"></script>`), false},
		"a page that is watched":    {"/hc/en-us", 200, "", "", html, page(`<script src="/cdn-cgi/challenge-platform/h/g/scripts/jsd/main.js"></script>`), false},
		"nginx's page":              {"", 502, "", "", html, "<html><head><title>502 Bad Gateway</title></head><body><hr><center>nginx</center></body></html>", false},
		"the vendor's own 404":      {"", 404, "", "", html, page("<h1>Oops</h1>"), false},
		"a ticket about it":         {"", 200, "", "", json, `{"ticket":{"id":1,"description":"window._cf_chl_opt and <div class=\"h-captcha\">"}}`, false},
		"a ticket with such a key":  {"", 200, "", "", json, `{"appId":"a","blockScript":"b"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.media)
				if test.header != "" {
					w.Header().Set(test.header, test.value)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
			path := test.path
			if path == "" {
				path = "/api/v2/tickets/1"
			}
			a := do(t, g, call{method: "GET", path: path})
			if !test.challenge {
				if a.status != test.status || a.body != test.body {
					t.Errorf("got %d %s", a.status, a.body)
				}
				return
			}
			if a.status != 502 || a.problem.Reason != "upstream_challenge" || !a.problem.Forwarded || a.problem.UpstreamStatus != test.status {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if e := g.Event(a.problem.Receipt); e.Outcome != "not_released" || e.Reason != "upstream_challenge" {
				t.Errorf("event: got %+v", e)
			}
		})
	}
}

// A route that observes lets a challenge pass and says so in the log.
func TestChallengeObserved(t *testing.T) {
	const body = `<html><body><script>window._cf_chl_opt = {};</script></body></html>`
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, body)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "observe"})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
	if a.status != 200 || a.body != body {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["would"] != "upstream_challenge" {
		t.Errorf("event: got %v", e.Attrs)
	}
}
