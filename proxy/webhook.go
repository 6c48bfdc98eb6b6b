package proxy

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
)

// webhooksSuffix makes a channel's name in `govern` the route for what the vendor
// sends.
const webhooksSuffix = "/webhooks"

// maxWebhookSecrets is a secret and the one it replaces.
const maxWebhookSecrets = 2

// defaultRoute is the route's name where none is configured.
func (h *Handler) defaultRoute() string {
	if h.Webhooks {
		return h.ch.Name + webhooksSuffix
	}
	return h.ch.Name
}

// provisionWebhooks resolves the secrets of a route for webhooks.
func (h *Handler) provisionWebhooks() error {
	if !h.Webhooks {
		if len(h.WebhookSecrets) > 0 || h.WebhookTolerance != 0 {
			return fmt.Errorf("route %s: webhook_secrets and webhook_tolerance belong to a route with webhooks", h.Route)
		}
		return nil
	}
	if h.ch.Webhooks == nil {
		return fmt.Errorf("route %s: channel %s has no webhooks", h.Route, h.ch.Name)
	}
	if n := len(h.WebhookSecrets); n == 0 || n > maxWebhookSecrets {
		return fmt.Errorf("route %s: webhooks want one webhook_secret, or two while it is rotated", h.Route)
	}
	if err := checkTolerance(time.Duration(h.WebhookTolerance)); err != nil {
		return fmt.Errorf("route %s: %w", h.Route, err)
	}
	h.tolerance = time.Duration(h.WebhookTolerance)
	if h.tolerance == 0 {
		h.tolerance = h.ch.Webhooks.Tolerance
	}
	h.secrets = nil
	for _, ref := range h.WebhookSecrets {
		secret, err := ResolveSecret(ref)
		if err != nil {
			return fmt.Errorf("route %s: webhook_secret: %w", h.Route, err)
		}
		h.secrets = append(h.secrets, secret)
	}
	return nil
}

// secretBytes are the secrets for the scheme's arithmetic.
func (h *Handler) secretBytes() [][]byte {
	out := make([][]byte, len(h.secrets))
	for i, s := range h.secrets {
		out[i] = []byte(s)
	}
	return out
}

func checkTolerance(d time.Duration) error {
	if d < 0 || d > channel.MaxTolerance {
		return errors.New("webhook_tolerance wants a duration above zero and up to 24h")
	}
	return nil
}

// errNotReference refuses a secret that stands in the configuration itself. It
// never says what stands there.
var errNotReference = errors.New("want a reference to the secret, {env.NAME} or {file./path}, and not the secret: the configuration can be read back")

// isReference tells whether s is one reference to a variable of the environment
// or to a file, and nothing else.
func isReference(s string) bool {
	inner, ok := strings.CutPrefix(s, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !ok || !closed || strings.ContainsAny(inner, "{}\\") {
		return false
	}
	kind, name, _ := strings.Cut(inner, ".")
	return (kind == "env" || kind == "file") && name != ""
}

// ResolveSecret reads what a reference of the configuration stands for. Its
// errors name the reference and never what was found.
func ResolveSecret(ref string) (policy.Secret, error) {
	if !isReference(ref) {
		return "", errNotReference
	}
	secret, err := caddy.NewReplacer().ReplaceOrErr(ref, true, true)
	switch {
	case err != nil, secret == "":
		return "", fmt.Errorf("%s is empty, or there is no such variable or file", ref)
	case strings.TrimSpace(secret) != secret:
		return "", fmt.Errorf("%s begins or ends with white space, which no vendor's secret does", ref)
	}
	return policy.Secret(secret), nil
}

// parseWebhookSecret reads `webhook_secret {env.NAME} [{env.OLD}]`. A relative
// file is meant from the Caddyfile's folder. Nothing here repeats an argument: it
// may be a secret that does not belong there.
func parseWebhookSecret(g *caddyfile.Dispenser, h *Handler) error {
	if !h.Webhooks {
		return g.Errf("webhook_secret belongs to a route for webhooks: govern %s%s UPSTREAM", h.Channel, webhooksSuffix)
	}
	refs := g.RemainingArgs()
	if len(refs) == 0 || len(refs) > maxWebhookSecrets || len(h.WebhookSecrets) > 0 {
		return g.Err("webhook_secret stands once and wants one reference, or two while a secret is rotated: webhook_secret {env.ZENDESK_WEBHOOK_SECRET}")
	}
	for _, ref := range refs {
		if !isReference(ref) {
			return g.WrapErr(fmt.Errorf("webhook_secret: %w", errNotReference))
		}
		if path, is := strings.CutPrefix(strings.TrimSuffix(ref, "}"), "{file."); is && !filepath.IsAbs(path) {
			ref = "{file." + absolute(filepath.Dir(g.File()), path) + "}"
		}
		h.WebhookSecrets = append(h.WebhookSecrets, ref)
	}
	return nil
}

// parseWebhookTolerance reads `webhook_tolerance 1h`.
func parseWebhookTolerance(g *caddyfile.Dispenser, h *Handler) error {
	if !h.Webhooks {
		return g.Errf("webhook_tolerance belongs to a route for webhooks: govern %s%s UPSTREAM", h.Channel, webhooksSuffix)
	}
	var value string
	if !g.Args(&value) {
		return g.ArgErr()
	}
	d, err := caddy.ParseDuration(value)
	if err == nil && d == 0 {
		err = errors.New("it is zero")
	}
	if err == nil {
		err = checkTolerance(d)
	}
	if err != nil {
		return g.Errf("webhook_tolerance %s: want a duration above zero and up to 24h, for instance 1h", value)
	}
	h.WebhookTolerance = caddy.Duration(d)
	return nil
}
