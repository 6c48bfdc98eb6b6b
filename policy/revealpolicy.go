package policy

import (
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// longestUnused is the most days that a document may say: ten years.
const longestUnused = 3650

// Reveals tells whether an actor holds a right to see what stands behind tokens: a role that
// the built-in policy gives it to, in a way in which a second factor can be proven. Rules and
// rows may still deny each call.
func (e *Engine) Reveals(a *Actor) bool {
	return (a.Kind == KindToken || a.MFA) && slices.ContainsFunc(a.Roles, func(role string) bool { return e.revealers[role] })
}

// RevealsUnusedFor is after how long without use a right to see what stands behind tokens
// lapses; zero for never.
func (e *Engine) RevealsUnusedFor() time.Duration { return e.revealUnused }

// revealers are the roles that may see what stands behind tokens.
func (t *tables) revealers() map[string]bool {
	roles := make(map[string]bool)
	for role, effects := range t.Own["token"] {
		if effects["admin"] {
			roles[role] = true
		}
	}
	return roles
}

// revealUnused is what the last document says that says anything.
func revealUnused(t *tables, overlays []*Overlay) time.Duration {
	days := t.RevealUnusedAfterDays
	for _, o := range overlays {
		if o.reveal != nil {
			days = *o.reveal
		}
	}
	return time.Duration(days) * 24 * time.Hour
}

func (p *overlayParser) reveal(n *yaml.Node) {
	p.members(n, "reveal", func(key string, v *yaml.Node) bool {
		if key != "unused_after_days" {
			return false
		}
		days, err := strconv.Atoi(v.Value)
		if err != nil || days < 0 || days > longestUnused {
			p.fail(v, "unused_after_days wants 1 to %d days, or 0 for rights that do not lapse", longestUnused)
		}
		p.out.reveal = &days
		return true
	}, "unused_after_days")
	if p.out.reveal == nil && n.Kind == yaml.MappingNode {
		p.fail(n, "reveal wants unused_after_days")
	}
}
