package proxy

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caregate/caregate/policy"
)

// parseChange reads who changed the configuration last:
//
//	change <ticket> {
//		author   <e-mail address or actor>
//		approver <e-mail address or actor>
//	}
func parseChange(d *caddyfile.Dispenser) (*policy.Authorship, error) {
	c := new(policy.Authorship)
	if !d.Args(&c.Ticket) {
		return nil, d.Err("change wants the number of a ticket: change CHG-4711 { author jane@example.com }")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		who := &c.Author
		switch option := d.Val(); option {
		case "author":
		case "approver":
			who = &c.Approver
		default:
			return nil, d.Errf("unknown option %s of change; it has author, approver", option)
		}
		if *who != "" || !d.Args(who) || d.NextArg() {
			return nil, d.ArgErr()
		}
	}
	if err := c.Check(); err != nil {
		return nil, d.Errf("change: %v", err)
	}
	return c, nil
}

// checkChange looks at what a configuration in JSON says.
func (a *App) checkChange() error {
	if a.Change == nil {
		return nil
	}
	if err := a.Change.Check(); err != nil {
		return fmt.Errorf("change: %w", err)
	}
	return nil
}

// noteChange says in the event of a configuration who changed it and its policy documents,
// who agreed, and under which tickets: of the documents a list each, in their order, with a
// dash for nobody. People stand there as they do everywhere, by their pseudonyms. What was said
// of something else, and stayed when that was changed, is said of nobody.
func (a *App) noteChange(ctx context.Context, attrs map[string]string, documents []policy.Statement) error {
	if err := a.noteAuthors(ctx, attrs, "", documents); err != nil {
		return err
	}
	if a.Change == nil {
		return nil
	}
	// Gateways that share a database have a configuration each.
	return a.noteAuthors(ctx, attrs, "config_", []policy.Statement{{Authorship: *a.Change, Of: "the configuration of gateway " + a.config.Gateway, Content: []byte(attrs["config"])}})
}

// checkChanges refuses a policy whose documents do not say who changed them where it, or the
// one in force (nil for none), wants that. What stayed behind from an earlier change says
// nothing. A crash behind it changes nothing: the same documents are said to be by the same.
func (a *App) checkChanges(ctx context.Context, rules, inForce *rulesInForce) error {
	var before *policy.Engine
	if inForce != nil {
		before = inForce.engine
	}
	if asked, err := rules.engine.CheckChanges(before); !asked || err != nil {
		return err
	}
	for _, s := range rules.engine.Changes() {
		switch counts, err := a.gen.data.Statements.Counts(ctx, s); {
		case err != nil:
			return err
		case !counts:
			return fmt.Errorf("%s:%d: the policy wants each change to say who made it, and this was written for an earlier one; write change anew, with a ticket and people of its own", s.Of, s.Line)
		}
	}
	return nil
}

func (a *App) noteAuthors(ctx context.Context, attrs map[string]string, prefix string, changes []policy.Statement) error {
	if len(changes) == 0 {
		return nil
	}
	d := a.gen.data
	name := func(who string) (string, error) {
		if who == "" {
			return "-", nil
		}
		if isMail(who) {
			who = mailActor(who)
		}
		known, err := d.Vault.Actor(ctx, who)
		if err != nil {
			return "", err
		}
		p := known.Pseudonym(d.Log.Origin())
		return hex.EncodeToString(p[:]), nil
	}
	var tickets, authors, approvers []string
	for _, c := range changes {
		counts, err := d.Statements.Counts(ctx, c)
		if err != nil {
			return err
		}
		if !counts {
			a.logger.Warn("it was changed, and what it says of who changed it is still that of an earlier change: the log names nobody; write change anew with each change", zap.String("of", c.Of))
			c.Authorship = policy.Authorship{Ticket: "-"}
		}
		author, err := name(c.Author)
		if err != nil {
			return err
		}
		approver, err := name(c.Approver)
		if err != nil {
			return err
		}
		tickets, authors, approvers = append(tickets, c.Ticket), append(authors, author), append(approvers, approver)
	}
	attrs[prefix+"ticket"], attrs[prefix+"author"], attrs[prefix+"approved_by"] = strings.Join(tickets, ","), strings.Join(authors, ","), strings.Join(approvers, ",")
	return nil
}
