package proxy

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// VaultConfig says what the vault keeps behind tokens.
type VaultConfig struct {
	// Cards lets policy tokenize card numbers. Without it they are masked, whatever
	// policy says, and no card number is ever stored. Default: off. See CardsScope.
	Cards bool `json:"cards,omitempty"`
	// Expires is how long a token can be turned back after it was last given out, at
	// least seven eighths of it. Default: for ever.
	Expires caddy.Duration `json:"expires,omitempty"`
}

// CardsScope is what an operator must know who turns the keeping of cards on. It is
// printed at every start and by doctor.
const CardsScope = "card numbers that policy tokenizes are stored, encrypted, in the vault: this gateway, its vault database, its key files and every backup of them store " +
	"cardholder data and are in scope of PCI DSS (4.0.1: requirement 3 for storage, keys, rotation and retention, and all others for these systems); " +
	"systems that see tokens only can be kept out of scope when they have no way to the vault"

// shortestLife keeps a typing error from making tokens that nobody can use.
const shortestLife = time.Hour

func (c *VaultConfig) validate() error {
	if c.Expires != 0 && time.Duration(c.Expires) < shortestLife {
		return errors.New("vault expires: a token must live for one hour at least")
	}
	return nil
}

func (c *VaultConfig) life() time.Duration { return time.Duration(c.Expires) }

// parseVault reads the options of the vault:
//
//	vault {
//		cards
//		expires <duration>
//	}
//
// or one of them behind the word.
func parseVault(d *caddyfile.Dispenser, c *VaultConfig) error {
	one := func() error {
		switch d.Val() {
		case "cards":
			c.Cards = true
		case "expires":
			var text string
			if !d.Args(&text) {
				return d.Err("vault expires wants a duration, for example: vault expires 400d")
			}
			life, err := caddy.ParseDuration(text)
			if err != nil || life < shortestLife {
				return d.Errf("vault expires %s: want a duration of one hour at least, for example 400d", text)
			}
			c.Expires = caddy.Duration(life)
		default:
			return d.Errf("unknown option %s of vault; it has cards, expires", d.Val())
		}
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	}
	some := false
	if d.NextArg() {
		some = true
		if err := one(); err != nil {
			return err
		}
	}
	for d.NextBlock(1) {
		some = true
		if err := one(); err != nil {
			return err
		}
	}
	if !some {
		return d.Err("vault wants cards or expires")
	}
	return nil
}
