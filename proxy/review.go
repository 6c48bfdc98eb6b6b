package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/policy/review"
	"github.com/caregate/caregate/retention/clock"
)

// reviewRule is the rule of the register by which reviews are due.
const reviewRule = "int.review"

// reviewDue is when the next review is to be closed, by the quarter in which the last one
// that is closed was opened; done is none of these.
func reviewDue(anchor, done time.Time) (time.Time, error) {
	rules, err := clock.Builtin()
	if err != nil {
		return time.Time{}, err
	}
	for n := 1; ; n++ {
		e, err := rules.Start(reviewRule, anchor, clock.Place{Zone: "UTC", Occurrence: n})
		if err != nil {
			return time.Time{}, fmt.Errorf("when the next review is due: %w", err)
		}
		s, err := rules.Fold([]clock.Event{e})
		if err != nil {
			return time.Time{}, fmt.Errorf("when the next review is due: %w", err)
		}
		if s.LegalDue.At.After(done) {
			if done.IsZero() {
				return s.LegalDue.At, nil
			}
			done = time.Time{} // that quarter has its review: the next one is due
		}
	}
}

// Kinds of items of a review.
const (
	itemKey      = "apikey"
	itemGrant    = "grant"
	itemPolicy   = "policy_grant"
	itemRole     = "role"
	itemStanding = "standing"
	itemAccount  = "account"
)

// collector finds who has access, and how it was used.
type collector struct {
	*Data
	rules        *rulesInForce
	since, until time.Time
	origins      []string
	// uses are by the pseudonym of who called.
	uses    map[audit.Pseudonym][]audit.Used
	reveals map[string]bool // by role
	// lapsed is when rights to reveal lapsed, by the actor's ID, lapsedOf by its pseudonyms.
	lapsed   map[string]time.Time
	lapsedOf map[audit.Pseudonym]time.Time
	// people are accounts that were imported, by the pseudonym of their address.
	people map[audit.Pseudonym]string
	items  []review.Item
}

// collect finds the rights that there are, with their use in a window of the log.
func (d *Data) collect(ctx context.Context, rules *rulesInForce, since, until time.Time) ([]review.Item, error) {
	c := &collector{Data: d, rules: rules, since: since, until: until, uses: map[audit.Pseudonym][]audit.Used{}, reveals: map[string]bool{}, lapsed: map[string]time.Time{}, lapsedOf: map[audit.Pseudonym]time.Time{}, people: map[audit.Pseudonym]string{}}
	settling, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if err := d.Log.Settle(settling); err != nil && settling.Err() == nil {
		return nil, err
	}
	var err error
	if c.origins, err = d.Log.Index().Origins(ctx); err != nil {
		return nil, err
	}
	used, err := d.Log.Index().Uses(ctx, audit.Query{From: since, To: until, Decision: audit.DecisionAllow})
	if err != nil {
		return nil, err
	}
	for _, u := range used {
		c.uses[u.Actor] = append(c.uses[u.Actor], u)
	}
	for _, find := range []func(context.Context) error{c.lapses, c.keys, c.policyGrants, c.standing, c.accounts, c.roles} {
		if err := find(ctx); err != nil {
			return nil, fmt.Errorf("finding who has access: %w", err)
		}
	}
	return c.items, nil
}

func (c *collector) add(kind, action, target string, f review.Facts) {
	c.items = append(c.items, review.Item{Kind: kind, Action: action, Target: target, Facts: f})
}

// useOf adds up what the log knows of calls: those that count as one of a right, as fits
// tells.
func useOf(list []audit.Used, fits func(*audit.Used) bool) *review.Use {
	sum := &review.Use{}
	for i := range list {
		u := &list[i]
		if !fits(u) {
			continue
		}
		switch u.Type {
		case eventRequest, eventOwn:
			sum.Add(review.Use{Calls: u.Events, Last: u.Last.UTC(), Receipt: u.Receipt.String()})
		default: // what came of it
			sum.People += u.People
		}
	}
	return sum
}

func everything(*audit.Used) bool { return true }

func covered(grant string) func(*audit.Used) bool {
	return func(u *audit.Used) bool { return policy.Covers(grant, u.Channel, u.Operation, u.Effect, u.Scope) }
}

// usesOf are the uses of an actor, by its ID, under all the names it has in the log.
func (c *collector) usesOf(ctx context.Context, id string) ([]audit.Used, error) {
	who, err := c.Vault.KnownActor(ctx, id)
	if err != nil || who.IsZero() {
		return nil, err
	}
	var list []audit.Used
	for _, origin := range c.origins {
		list = append(list, c.uses[who.Pseudonym(origin)]...)
	}
	return list, nil
}

// revealing tells whether a role may see what stands behind tokens. The policy knows.
func (c *collector) revealing(ctx context.Context, role string) (bool, error) {
	if known, ok := c.reveals[role]; ok {
		return known, nil
	}
	d, err := c.rules.engine.Decide(ctx, policy.Input{
		V: policy.InputVersion, Tenant: tenant, Route: policy.OwnChannel, Direction: policy.Request, Channel: policy.OwnChannel, Operation: "token.reveal", Mapped: true,
		Effect: "admin", Scope: "one", Method: policy.MethodClass("POST"), Network: "unknown",
		Actor: policy.InputActor{Kind: policy.KindToken, Strength: policy.StrengthProven, Roles: []string{role}, Grants: []string{}, MFA: true},
	})
	if err != nil {
		return false, err
	}
	c.reveals[role] = d.Allow
	return d.Allow, nil
}

func (c *collector) anyRevealing(ctx context.Context, roles []string) (bool, error) {
	for _, role := range roles {
		if yes, err := c.revealing(ctx, role); yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

func revealGrant(grant string) bool {
	return policy.Covers(grant, policy.OwnChannel, "token.reveal_full", "admin", "one")
}

// lapses are the rights to reveal that have lapsed: their holders keep the role or grant.
func (c *collector) lapses(ctx context.Context) error {
	after := c.rules.engine.RevealsUnusedFor()
	if after == 0 {
		return nil
	}
	list, now, err := c.RevealRights.List(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if !r.HasLapsed(after, now) {
			continue
		}
		at := r.Ends(after).UTC()
		c.lapsed[r.Actor] = at
		who, err := c.Vault.KnownActor(ctx, r.Actor)
		if err != nil {
			return err
		}
		for _, origin := range c.origins {
			if !who.IsZero() {
				c.lapsedOf[who.Pseudonym(origin)] = at
			}
		}
	}
	return nil
}

// keys are API keys that count: an item for the key with its roles, and one for each grant.
func (c *collector) keys(ctx context.Context) error {
	list, err := c.Keys.List(ctx)
	if err != nil {
		return err
	}
	for _, k := range list {
		if !k.Revoked.IsZero() || !k.Expires.IsZero() && !c.until.Before(k.Expires) {
			continue
		}
		uses, err := c.usesOf(ctx, "key:"+k.ID)
		if err != nil {
			return err
		}
		reveals, err := c.anyRevealing(ctx, k.Roles)
		if err != nil {
			return err
		}
		f := review.Facts{Holder: "key:" + k.ID, Source: "apikey", Name: k.Name, Created: k.Created, Expires: k.Expires}
		f.Right, f.Reveals, f.Use = "roles "+strings.Join(k.Roles, ", "), reveals, useOf(uses, everything)
		c.add(itemKey, review.ActKey, k.ID, f)
		for _, g := range k.Grants {
			f.Right, f.Reveals, f.Use = g, revealGrant(g), useOf(uses, covered(g))
			c.add(itemGrant, review.ActGrant, k.ID+" "+g, f)
		}
	}
	return nil
}

// policyGrants are those of the policy's documents. Whoever keeps these takes them away.
func (c *collector) policyGrants(ctx context.Context) error {
	for _, actor := range slices.Sorted(maps.Keys(c.rules.grants)) {
		uses, err := c.usesOf(ctx, actor)
		if err != nil {
			return err
		}
		for _, g := range c.rules.grants[actor] {
			f := review.Facts{Holder: actor, Source: "policy", Right: g, Reveals: revealGrant(g), Use: useOf(uses, covered(g))}
			if f.Reveals {
				f.Lapsed = c.lapsed[actor]
			}
			c.add(itemPolicy, review.ActByHand, "", f)
		}
	}
	return nil
}

// standing are the standing approvals.
func (c *collector) standing(ctx context.Context) error {
	list, err := c.Approvals.List(ctx)
	if err != nil {
		return err
	}
	for _, ap := range list {
		if ap.State != policy.ApprovalStanding {
			continue
		}
		uses, err := c.usesOf(ctx, ap.Requester)
		if err != nil {
			return err
		}
		right := fmt.Sprintf("%s:%s on route %s", ap.Channel, ap.Operation, ap.Route)
		if ap.Terms != nil {
			right += fmt.Sprintf(", up to %d rows a day", ap.Terms.Rows)
		}
		c.add(itemStanding, review.ActApproval, ap.ID, review.Facts{Holder: ap.Requester, Source: "approval", Right: right, Created: ap.Asked, Expires: ap.Expires,
			Use: useOf(uses, func(u *audit.Used) bool { return u.Channel == ap.Channel && u.Operation == ap.Operation })})
	}
	return nil
}

// accounts are those of other systems, as imported. How one was used through the gateway
// is known by its e-mail address.
func (c *collector) accounts(ctx context.Context) error {
	imports, err := c.Reviews.Imports(ctx)
	if err != nil {
		return err
	}
	for _, in := range imports {
		for _, a := range in.Accounts {
			f := review.Facts{Holder: a.Name, Source: in.Source, Name: a.Mail, LastLogin: a.LastLogin, MFA: a.MFA, Active: a.Active, Groups: a.Groups}
			if mail := accountMail(a); mail != "" {
				who, err := c.Vault.KnownActor(ctx, mailActor(mail))
				if err != nil {
					return err
				}
				f.Use = &review.Use{}
				if !who.IsZero() {
					for _, origin := range c.origins {
						c.people[who.Pseudonym(origin)] = a.Name
					}
					uses, err := c.Log.Index().Uses(ctx, audit.Query{From: c.since, To: c.until, Decision: audit.DecisionAllow, Mail: pseudonyms(who)})
					if err != nil {
						return err
					}
					f.Use = useOf(uses, everything)
				}
			}
			if len(a.Roles) == 0 {
				f.Right = "account"
				c.add(itemAccount, review.ActByHand, "", f)
			}
			for _, role := range a.Roles {
				f.Right = role
				c.add(itemAccount, review.ActByHand, "", f)
			}
		}
	}
	return nil
}

// accountMail is the e-mail address of an account, which may be its name.
func accountMail(a review.Account) string {
	if a.Mail == "" && strings.Contains(a.Name, "@") {
		return a.Name
	}
	return a.Mail
}

// roles are those that proven people and programs had when they called last. Whoever vouches
// for them takes them away.
func (c *collector) roles(ctx context.Context) error {
	proven := make(map[audit.Pseudonym][]audit.Used)
	var order []audit.Pseudonym
	under := make(map[audit.Pseudonym]string) // the origin that a name is of
	for _, origin := range c.origins {        // the newest first
		for who, list := range c.uses {
			if list[0].Origin != origin || !slices.ContainsFunc(list, func(u audit.Used) bool { return u.Identity == policy.StrengthProven }) {
				continue
			}
			as := who
			under[who] = origin
			if origin != c.origins[0] {
				// Somebody may go on under the name of the half year after.
				now, err := c.Vault.ActorBehind(ctx, who, c.origins)
				if err != nil {
					return err
				}
				if !now.IsZero() {
					as = now.Pseudonym(c.origins[0])
					under[as] = c.origins[0]
				}
			}
			if proven[as] == nil {
				order = append(order, as)
			}
			proven[as] = append(proven[as], list...)
		}
	}
	slices.SortFunc(order, func(a, b audit.Pseudonym) int { return slices.Compare(a[:], b[:]) })
	for _, who := range order {
		use := useOf(proven[who], everything)
		id, err := audit.ParseID(use.Receipt)
		if err != nil {
			continue // no call of theirs was made in the window
		}
		leaf, err := c.Log.Find(ctx, id)
		if err != nil {
			return err
		}
		f := review.Facts{Holder: hex.EncodeToString(who[:]), Origin: under[who], Source: "log", Name: c.people[leaf.Mail], Use: use, MFA: review.No}
		if leaf.MFA {
			f.MFA = review.Yes
		}
		for _, role := range leaf.Roles {
			f.Right = role
			if f.Reveals, err = c.revealing(ctx, role); err != nil {
				return err
			}
			if f.Lapsed = (time.Time{}); f.Reveals {
				f.Lapsed = c.lapsedOf[who]
			}
			c.add(itemRole, review.ActByHand, "", f)
		}
	}
	return nil
}

// own tells whether an item is a right of the actor who reviews it.
func (d *Data) own(ctx context.Context, p *policy.Actor) (func(review.Item) bool, error) {
	who, err := d.Vault.KnownActor(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	mine, err := d.Keys.SameHolder(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	person := strings.ToLower(strings.TrimSpace(p.Proven))
	return func(it review.Item) bool {
		switch it.Kind {
		case itemAccount:
		case itemRole:
			// Another gateway may have opened the review: the name is one of its log. Of a
			// name of no log nobody can say whose it is not.
			name := who.Pseudonym(it.Facts.Origin)
			if it.Facts.Origin == "" || !who.IsZero() && it.Facts.Holder == hex.EncodeToString(name[:]) {
				return true
			}
		default:
			return mine[it.Facts.Holder]
		}
		return person != "" && (strings.ToLower(it.Facts.Holder) == person || strings.ToLower(it.Facts.Name) == person)
	}, nil
}

// Types of the events that a review makes.
const (
	eventAccessRevoked  = "access.revoked"  // a right was taken away
	eventAccessReviewed = "access.reviewed" // a review is closed
)

// carryOutEvery is how often reviews are carried out further that were interrupted.
const carryOutEvery = 15 * time.Second

// carryOutReviews goes on with what was interrupted, until the data directory is closed.
func (d *Data) carryOutReviews(ctx context.Context, logger *slog.Logger) {
	for again := true; again; again = next(ctx, carryOutEvery) {
		if err := d.finishReviews(ctx); err != nil && ctx.Err() == nil {
			logger.Error("carrying out a review of access; it is tried again", slog.Any("error", err))
		}
	}
}

// finishReviews carries out what is decided in reviews that are closing.
func (d *Data) finishReviews(ctx context.Context) error {
	d.reviewing.Lock()
	defer d.reviewing.Unlock()
	return d.Reviews.CarryOut(ctx, d.revokeReviewed, d.endReview)
}

// revokeReviewed takes one right away and writes the event. Both may have happened before.
func (d *Data) revokeReviewed(ctx context.Context, r review.Review, items []review.Item, it review.Item) error {
	var err error
	byItself := func(key string) bool {
		return slices.ContainsFunc(items, func(o review.Item) bool { return o.Kind == itemKey && o.Target == key })
	}
	what, with, _ := strings.Cut(it.Target, " ")
	attrs := map[string]string{"review": r.ID, "item": strconv.Itoa(it.Number), "reviewer": it.Reviewer, "closed_by": r.ClosedBy}
	switch it.Action {
	case review.ActKey:
		attrs["key"] = what
		err = d.Keys.RevokeAlong(ctx, what, byItself)
	case review.ActGrant:
		attrs["key"], attrs["grants"] = what, with
		err = d.Keys.Narrow(ctx, what, with, byItself)
	case review.ActApproval:
		attrs["approval"] = what
		if _, err = d.Approvals.Refuse(ctx, what, it.Reviewer); errors.Is(err, policy.ErrApprovalEnded) || errors.Is(err, policy.ErrNoApproval) {
			err = nil // which is what was wanted
		}
	default:
		return fmt.Errorf("nobody knows how to carry out %s", it.Action)
	}
	if err != nil {
		return err
	}
	if len(r.Agreed) > 0 {
		attrs["approved_by"] = strings.Join(r.Agreed, ",")
	}
	addTicket(attrs, it.Ticket, r.CloseTicket)
	return d.recordOnce(ctx, audit.Event{ID: it.Event, Type: eventAccessRevoked, Operation: it.Action, Attrs: attrs}, it.Reviewer)
}

// addTicket names the first ticket that there is.
func addTicket(attrs map[string]string, tickets ...string) {
	for _, t := range tickets {
		if t != "" {
			attrs["ticket"] = t
			return
		}
	}
}

// recordOnce writes an event of administration whose ID is given, if the log has it not. by is
// empty for what the gateway does by itself. It waits for the log no longer than recordTimeout:
// who puts things there one after another goes on with other work, and tries again.
func (d *Data) recordOnce(ctx context.Context, e audit.Event, by string) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if has, err := d.Log.Has(ctx, e.ID); has || err != nil {
		return err
	}
	if by != "" {
		var err error
		if e.Actor, err = d.pseudonym(ctx, by); err != nil {
			return err
		}
	}
	slot, err := d.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return err
	}
	defer slot.Release()
	e.Tenant, e.Retention, e.Class, e.Channel, e.Effect, e.Scope = tenant, retentionAdministration, ocsfAPIActivity, policy.OwnChannel, "admin", "one"
	_, err = slot.Append(e).Wait(ctx)
	return err
}

// pseudonym is the name that the log gives to an actor.
func (d *Data) pseudonym(ctx context.Context, actor string) ([16]byte, error) {
	who, err := d.Vault.Actor(ctx, actor)
	if err != nil {
		return [16]byte{}, err
	}
	return who.Pseudonym(d.Log.Origin()), nil
}

var _ review.Sealer = rowSealer{}
