package proxy

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/caregate/caregate/redact/walk"
)

// What stands before an upstream may answer in its place, with a page that wants to
// know whether a person is calling. A program cannot solve one, and one that reads the
// status alone takes it for the vendor's own refusal, or for an empty success. HTML as
// such proves nothing: vendors and the servers before them answer errors with pages,
// which pass inspected. So these are told by what their makers put into them.

// challengeMarked tells by its header an answer that is a challenge for people.
func challengeMarked(status int, h http.Header) bool {
	is := func(name, value string) bool { return strings.EqualFold(strings.TrimSpace(h.Get(name)), value) }
	switch {
	case is("Cf-Mitigated", "challenge"): // Cloudflare, on every page that it puts in place of an answer
		return true
	case is("X-Amzn-Waf-Action", "captcha"), is("X-Amzn-Waf-Action", "challenge"): // AWS WAF
		return true
	case h.Get("X-Dd-B") != "": // DataDome, when it blocks
		return status == http.StatusUnauthorized || status == http.StatusForbidden
	}
	return false
}

// challengeSearched bounds how much of a page is searched: these pages are small, and
// their makers' marks stand near the begin.
const challengeSearched = 256 << 10

// challengePage tells by its body an answer that is a challenge for people. mapped says
// that the channel file knows the operation as one of an API.
func challengePage(kind walk.Kind, status int, body []byte, mapped bool) bool {
	body = body[:min(len(body), challengeSearched)]
	has := func(mark string) bool { return bytes.Contains(body, []byte(mark)) }
	switch {
	case kind == walk.JSON:
		// HUMAN (PerimeterX) answers programs so, for the page around them to show.
		return (status == http.StatusForbidden || status == http.StatusTooManyRequests) && has(`"blockScript"`) && has(`"appId"`)
	case kind != walk.HTML:
		return false
	}
	// Cloudflare, DataDome and Imperva also put scripts into pages that they let pass.
	// These marks are those of the challenges.
	for _, mark := range [...]string{
		"_cf_chl_opt", "/orchestrate/chl_", // Cloudflare
		"gokuProps",               // AWS WAF
		"captcha-delivery.com/",   // DataDome
		"_Incapsula_Resource?SWU", // Imperva
		`id="px-captcha"`,         // HUMAN (PerimeterX)
		"/_sec/cp_challenge/",     // Akamai
	} {
		if has(mark) {
			return true
		}
	}
	// A login page of the vendor's may have one of these, an answer of its API has none.
	return mapped && (has(`class="g-recaptcha"`) || has(`class="h-captcha"`) || has(`class="cf-turnstile"`))
}
