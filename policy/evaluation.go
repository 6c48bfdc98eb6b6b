package policy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// normalise brings equal situations to one form: the version is filled in, counts
// are rounded, rows sorted and joined. The caller's slice is not touched.
func (in *Input) normalise() {
	in.V = InputVersion
	in.Records = Round(in.Records)
	in.Actor.Age = RoundAge(in.Actor.Age)
	in.Payment.Tokens, in.Payment.Amount = Round(in.Payment.Tokens), roundUp(in.Payment.Amount)
	rows := append(make([]Finding, 0, len(in.Findings)), in.Findings...)
	slices.SortFunc(rows, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Place, b.Place))
	})
	out := rows[:0]
	for _, f := range rows {
		f.Count = max(f.Count, 1)
		if n := len(out); n > 0 && out[n-1].Class == f.Class && out[n-1].Place == f.Place {
			out[n-1].Count += f.Count
			out[n-1].Split += f.Split
			continue
		}
		out = append(out, f)
	}
	for i := range out {
		out[i].Count = Round(out[i].Count)
		out[i].Split = Round(out[i].Split)
	}
	in.Findings = out
}

// appendKey appends the cache key of a normalised input. Parts are
// length-prefixed, so different inputs have different keys.
func (in *Input) appendKey(b []byte) []byte {
	for _, s := range [...]string{
		in.Tenant, in.Route, in.Direction, in.Channel, in.Operation, in.Effect, in.Scope, in.Mark, in.Method,
		in.Purpose, in.Network, in.Actor.Kind, in.Actor.Strength, in.Actor.ACR, in.Credential, in.Many,
	} {
		b = appendString(b, s)
	}
	var flags byte
	for i, set := range [...]bool{in.Mapped, in.Observe, in.Actor.Asserts, in.Actor.Mismatch, in.Actor.MFA, in.Actor.RevealLapsed} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(in.Records))
	b = binary.AppendUvarint(b, uint64(in.Approvals))
	b = binary.AppendUvarint(b, uint64(in.Actor.Age))
	p := &in.Payment
	for _, s := range [...]string{p.Token, p.Payment, p.Place, p.Account, p.Order, p.Currency, p.Balance, p.Key, p.Unit} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(p.Tokens))
	b = binary.AppendUvarint(b, uint64(p.Amount))
	for _, list := range [...][]string{in.Actor.Roles, in.Actor.Grants, in.Actor.AMR, in.Actor.Regions, in.Networks, in.Regions, in.Hours, in.Rollouts, in.Subject.Flags} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			b = appendString(b, s)
		}
	}
	for _, f := range in.Findings {
		b = appendString(b, f.Class)
		b = appendString(b, f.Place)
		b = binary.AppendUvarint(b, uint64(f.Count))
		b = binary.AppendUvarint(b, uint64(f.Split))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// value is the input as OPA sees it, member for member as its JSON.
// TestInputValueIsItsJSON holds the two together.
func (in *Input) value(w vocabulary) ast.Value {
	findings := make([]*ast.Term, len(in.Findings))
	for i, f := range in.Findings {
		row := ast.NewObject(
			ast.Item(keyClass, w.term(f.Class)),
			ast.Item(keyPlace, w.term(f.Place)),
			ast.Item(keyCount, ast.IntNumberTerm(f.Count)),
		)
		if f.Split > 0 {
			row.Insert(keySplit, ast.IntNumberTerm(f.Split))
		}
		findings[i] = ast.NewTerm(row)
	}
	actor := ast.NewObject(
		ast.Item(keyKind, w.term(in.Actor.Kind)),
		ast.Item(keyStrength, w.term(in.Actor.Strength)),
		ast.Item(keyRoles, w.list(in.Actor.Roles)),
		ast.Item(keyGrants, w.list(in.Actor.Grants)),
		ast.Item(keyAsserts, ast.InternedTerm(in.Actor.Asserts)),
		ast.Item(keyMismatch, ast.InternedTerm(in.Actor.Mismatch)),
		ast.Item(keyMFA, ast.InternedTerm(in.Actor.MFA)),
	)
	if len(in.Actor.Regions) > 0 {
		actor.Insert(keyRegions, w.list(in.Actor.Regions))
	}
	if len(in.Actor.AMR) > 0 {
		actor.Insert(keyAMR, w.list(in.Actor.AMR))
	}
	if in.Actor.ACR != "" {
		actor.Insert(keyACR, w.term(in.Actor.ACR))
	}
	if in.Actor.Age != 0 {
		actor.Insert(keyAge, ast.IntNumberTerm(in.Actor.Age))
	}
	if in.Actor.RevealLapsed {
		actor.Insert(keyRevealLapsed, ast.InternedTerm(true))
	}
	doc := ast.NewObject(
		ast.Item(keyV, ast.IntNumberTerm(in.V)),
		ast.Item(keyTenant, w.term(in.Tenant)),
		ast.Item(keyRoute, w.term(in.Route)),
		ast.Item(keyDirection, w.term(in.Direction)),
		ast.Item(keyChannel, w.term(in.Channel)),
		ast.Item(keyOperation, w.term(in.Operation)),
		ast.Item(keyMapped, ast.InternedTerm(in.Mapped)),
		ast.Item(keyEffect, w.term(in.Effect)),
		ast.Item(keyScope, w.term(in.Scope)),
		ast.Item(keyMark, w.term(in.Mark)),
		ast.Item(keyMethod, w.term(in.Method)),
		ast.Item(keyActor, ast.NewTerm(actor)),
		ast.Item(keyPurpose, w.term(in.Purpose)),
		ast.Item(keyNetwork, w.term(in.Network)),
		ast.Item(keyFindings, ast.ArrayTerm(findings...)),
		ast.Item(keyRecords, ast.IntNumberTerm(in.Records)),
		ast.Item(keyApprovals, ast.IntNumberTerm(in.Approvals)),
		ast.Item(keyObserve, ast.InternedTerm(in.Observe)),
	)
	for _, names := range [...]struct {
		key  *ast.Term
		list []string
	}{{keyNetworks, in.Networks}, {keyRegions, in.Regions}, {keyHours, in.Hours}, {keyRollouts, in.Rollouts}} {
		if len(names.list) > 0 {
			doc.Insert(names.key, w.list(names.list))
		}
	}
	if len(in.Subject.Flags) > 0 {
		doc.Insert(keySubject, ast.ObjectTerm(ast.Item(keyFlags, w.list(in.Subject.Flags))))
	}
	if in.Many != "" {
		doc.Insert(keyMany, w.term(in.Many))
	}
	if in.Credential != "" {
		doc.Insert(keyCredential, w.term(in.Credential))
	}
	if p := in.Payment; p != (InputPayment{}) {
		doc.Insert(keyPayment, ast.ObjectTerm(
			ast.Item(ast.StringTerm("tokens"), ast.IntNumberTerm(p.Tokens)),
			ast.Item(ast.StringTerm("token"), w.term(p.Token)),
			ast.Item(keyPayment, w.term(p.Payment)),
			ast.Item(keyPlace, w.term(p.Place)),
			ast.Item(ast.StringTerm("account"), w.term(p.Account)),
			ast.Item(ast.StringTerm("order"), w.term(p.Order)),
			ast.Item(ast.StringTerm("currency"), w.term(p.Currency)),
			ast.Item(ast.StringTerm("balance"), w.term(p.Balance)),
			ast.Item(ast.StringTerm("key"), w.term(p.Key)),
			ast.Item(ast.StringTerm("amount"), ast.IntNumberTerm(p.Amount)),
			ast.Item(ast.StringTerm("unit"), w.term(p.Unit)),
		))
	}
	return doc
}

// The member names, made once. They are never changed.
var (
	keyV, keyTenant, keyRoute, keyDirection         = ast.StringTerm("v"), ast.StringTerm("tenant"), ast.StringTerm("route"), ast.StringTerm("direction")
	keyChannel, keyOperation, keyMapped, keyEffect  = ast.StringTerm("channel"), ast.StringTerm("operation"), ast.StringTerm("mapped"), ast.StringTerm("effect")
	keyScope, keyMark, keyMethod, keyActor          = ast.StringTerm("scope"), ast.StringTerm("mark"), ast.StringTerm("method"), ast.StringTerm("actor")
	keyKind, keyStrength, keyRoles, keyGrants       = ast.StringTerm("kind"), ast.StringTerm("strength"), ast.StringTerm("roles"), ast.StringTerm("grants")
	keyAsserts, keyMismatch, keyMFA, keyPurpose     = ast.StringTerm("asserts"), ast.StringTerm("mismatch"), ast.StringTerm("mfa"), ast.StringTerm("purpose")
	keyNetwork, keyFindings, keyRecords, keyObserve = ast.StringTerm("network"), ast.StringTerm("findings"), ast.StringTerm("records"), ast.StringTerm("observe")
	keyApprovals                                    = ast.StringTerm("approvals")
	keyAMR, keyACR, keyAge                          = ast.StringTerm("amr"), ast.StringTerm("acr"), ast.StringTerm("age")
	keyRevealLapsed                                 = ast.StringTerm("reveal_lapsed")
	keyNetworks, keyRegions, keyHours               = ast.StringTerm("networks"), ast.StringTerm("regions"), ast.StringTerm("hours")
	keyMany                                         = ast.StringTerm("many")
	keyCredential                                   = ast.StringTerm("credential")
	keyRollouts                                     = ast.StringTerm("rollouts")
	keyPayment                                      = ast.StringTerm("payment")
	keySubject, keyFlags                            = ast.StringTerm("subject"), ast.StringTerm("flags")
	keyClass, keyPlace, keyCount, keySplit          = ast.StringTerm("class"), ast.StringTerm("place"), ast.StringTerm("count"), ast.StringTerm("split")

	keyAllow, keyReason, keyReasons, keyNeeds = ast.StringTerm("allow"), ast.StringTerm("reason"), ast.StringTerm("reasons"), ast.StringTerm("needs")
	keyApprovers, keyActions, keyPlaces       = ast.StringTerm("approvers"), ast.StringTerm("actions"), ast.StringTerm("places")
	keyUndo, keyLimits, keyWould              = ast.StringTerm("undo"), ast.StringTerm("limits"), ast.StringTerm("would")
	keyOf, keyName, keyMost, keyWindow        = ast.StringTerm("of"), ast.StringTerm("name"), ast.StringTerm("most"), ast.StringTerm("window")
	keyNorm, keyIncident                      = ast.StringTerm("norm"), ast.StringTerm("incident")
	keyViews, keyGuarded, keyField, keyView   = ast.StringTerm("views"), ast.StringTerm("guarded"), ast.StringTerm("field"), ast.StringTerm("view")
)

// vocabulary has the terms of texts that most inputs have, made once: those of Input's closed lists
// and those that the policy's documents mention. They are never changed.
type vocabulary map[string]*ast.Term

func readVocabulary(documents ast.Value) vocabulary {
	w := make(vocabulary)
	for _, list := range [...][]string{
		{"", "default", KindAnonymous, KindKey, KindToken, KindCertificate, KindVendor, KindWebhook, KindLocal},
		{StrengthNone, StrengthCredential, StrengthAsserted, StrengthProven, "safe", "unsafe", "options", "loopback", "private", "public", "unknown"},
		directions[:], effects[:], scopes[:], credentials[:], marks[:], places[:],
	} {
		for _, s := range list {
			w[s] = ast.StringTerm(s)
		}
	}
	ast.WalkTerms(ast.NewTerm(documents), func(t *ast.Term) bool {
		if s, ok := t.Value.(ast.String); ok {
			w[string(s)] = t
		}
		return false
	})
	return w
}

func (w vocabulary) term(s string) *ast.Term {
	if t, ok := w[s]; ok {
		return t
	}
	return ast.StringTerm(s)
}

func (w vocabulary) list(list []string) *ast.Term {
	terms := make([]*ast.Term, len(list))
	for i, s := range list {
		terms[i] = w.term(s)
	}
	return ast.ArrayTerm(terms...)
}

// actionNames are the actions that a decision may name.
var actionNames = [...]string{"allow", "report", "mask", "tokenize", "drop", "block"}

// readDecision turns what the rules answered into a Decision. Rules are data to
// us: anything that does not have the documented form is no decision.
func readDecision(answer ast.Value, in *Input) (*Decision, error) {
	o, err := readOutcome(answer, in)
	if err != nil {
		return nil, err
	}
	d := &Decision{V: DecisionVersion, Allow: o.Allow, Reason: o.Reason, Reasons: o.Reasons, Needs: o.Needs, Approvers: o.Approvers, Actions: o.Actions, Places: o.Places, Undo: o.Undo, Rollouts: o.Rollouts, Limits: o.Limits, Views: o.Views, Guarded: o.Guarded, viewsDigest: digestViews(o.Views), guardedDigest: digestViews(o.Guarded)}
	if !in.Observe {
		return d, nil
	}
	would := member(answer, keyWould)
	if would == nil {
		return nil, fmt.Errorf("%w: an observing route lacks what would have been", ErrUndecided)
	}
	d.Would, err = readOutcome(would, in)
	return d, err
}

// member is a member of an answer, nil where it has none.
func member(v ast.Value, key *ast.Term) ast.Value {
	if o, ok := v.(ast.Object); ok {
		if t := o.Get(key); t != nil {
			return t.Value
		}
	}
	return nil
}

// textOf and wholeOf are the text or the whole number that an answer is, false for what is
// none.
func textOf(v ast.Value) (string, bool) {
	s, ok := v.(ast.String)
	return string(s), ok
}

func wholeOf(v ast.Value) (int, bool) {
	n, ok := v.(ast.Number)
	if !ok {
		return 0, false
	}
	return n.Int()
}

func readOutcome(v ast.Value, in *Input) (*Would, error) {
	if _, ok := v.(ast.Object); !ok {
		return nil, fmt.Errorf("%w: it is no object", ErrUndecided)
	}
	var o Would
	allow, ok := member(v, keyAllow).(ast.Boolean)
	if !ok {
		return nil, fmt.Errorf("%w: allow is no boolean", ErrUndecided)
	}
	o.Allow = bool(allow)
	if o.Reason, ok = textOf(member(v, keyReason)); !ok || (o.Reason == "") != o.Allow {
		return nil, fmt.Errorf("%w: reason does not fit allow", ErrUndecided)
	}
	if o.Needs, ok = textOf(member(v, keyNeeds)); !ok {
		return nil, fmt.Errorf("%w: needs is no string", ErrUndecided)
	}
	if o.Approvers, ok = wholeOf(member(v, keyApprovers)); !ok || o.Approvers < 0 || o.Approvers > MostApprovers {
		return nil, fmt.Errorf("%w: approvers is no number from 0 to %d", ErrUndecided, MostApprovers)
	}
	set, ok := member(v, keyReasons).(ast.Set)
	if !ok {
		return nil, fmt.Errorf("%w: reasons is no set", ErrUndecided)
	}
	if set.Len() > maxReasons {
		return nil, fmt.Errorf("%w: more than %d reasons", ErrUndecided, maxReasons)
	}
	o.Reasons = make([]string, 0, set.Len())
	for _, x := range set.Slice() {
		code, ok := textOf(x.Value)
		if !ok || !isCode(code) {
			return nil, fmt.Errorf("%w: a reason is not of lower-case letters, digits, dots and underscores, or too long", ErrUndecided)
		}
		o.Reasons = append(o.Reasons, code)
	}
	slices.Sort(o.Reasons)
	var err error
	if o.Actions, err = readActions(member(v, keyActions)); err != nil {
		return nil, err
	}
	for _, f := range in.Findings {
		if o.Actions[f.Class] == "" {
			return nil, fmt.Errorf("%w: a class that was found has no action", ErrUndecided)
		}
	}
	o.Places, err = readObject(member(v, keyPlaces), func(_ string, x ast.Value) (map[string]string, error) { return readActions(x) })
	if err != nil {
		return nil, err
	}
	if o.Views, err = readViews(member(v, keyViews)); err != nil {
		return nil, err
	}
	if o.Guarded, err = readViews(member(v, keyGuarded)); err != nil {
		return nil, err
	}
	if o.Limits, err = readLimits(member(v, keyLimits)); err != nil {
		return nil, err
	}
	if o.Undo, err = readUndo(member(v, keyUndo), o.Actions); err != nil {
		return nil, err
	}
	o.Rollouts, err = readRollouts(member(v, keyRollouts))
	return &o, err
}

// readObject reads an object whose members have the same form.
func readObject[V any](v ast.Value, read func(name string, x ast.Value) (V, error)) (map[string]V, error) {
	o, ok := v.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("%w: a part of it is no object", ErrUndecided)
	}
	out := make(map[string]V, o.Len())
	return out, o.Iter(func(k, x *ast.Term) error {
		name, ok := textOf(k.Value)
		if !ok {
			return fmt.Errorf("%w: a member of it has a name that is no string", ErrUndecided)
		}
		var err error
		out[name], err = read(name, x.Value)
		return err
	})
}

// readRollouts reads which rollouts decided something.
func readRollouts(v ast.Value) (map[string]bool, error) {
	out, err := readObject(v, func(name string, x ast.Value) (bool, error) {
		counted, ok := x.(ast.Boolean)
		if !ok || !isRolloutName(name) {
			return false, fmt.Errorf("%w: a rollout is not told by name, true or false", ErrUndecided)
		}
		return bool(counted), nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(out) > maxRollouts:
		return nil, fmt.Errorf("%w: more than %d rollouts", ErrUndecided, maxRollouts)
	case len(out) == 0:
		return nil, nil
	}
	return out, nil
}

// readUndo reads for how long masks can be undone.
func readUndo(v ast.Value, actions map[string]string) (map[string]int, error) {
	return readObject(v, func(class string, x ast.Value) (int, error) {
		n, ok := wholeOf(x)
		if !ok || n < int(ShortestUndo/time.Second) || n > int(LongestUndo/time.Second) || actions[class] != "mask" {
			return 0, fmt.Errorf("%w: undo is about something else than masks, or no number of seconds within its bounds", ErrUndecided)
		}
		return n, nil
	})
}

func readActions(v ast.Value) (map[string]string, error) {
	return readObject(v, func(_ string, x ast.Value) (string, error) {
		name, _ := textOf(x)
		if !slices.Contains(actionNames[:], name) {
			return "", fmt.Errorf("%w: an action is none of its values", ErrUndecided)
		}
		return name, nil
	})
}

// Limits of the reasons of one decision, which goes into the log and into a header. The
// built-in rules have some twenty.
const (
	maxCode    = 64 // bytes
	maxReasons = 64
)

// isCode tells whether s can be a reason code: it goes into headers and metrics.
func isCode(s string) bool {
	if s == "" || len(s) > maxCode || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
