package channel

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caregate/caregate/redact/walk"
	"go.yaml.in/yaml/v4"
)

// builder reads the parts of a file that refer to sets and parameters.
type builder struct {
	*reader
	channel *Channel
	sets    map[string]*set
	params  map[string]*declared
	common  struct {
		request, response []walk.Rule
		query             map[string]Query
	}
	names map[string]int // operation name -> line
	each  []pair         // the lines of all groups' `each`
}

// declared is one entry of `parameters`.
type declared struct {
	node *yaml.Node
	param
	used bool
}

// useHint explains the words that treat a parameter.
const useHint = "text is inspected; id, record:TYPE, subject:KIND and payment:PLACE are identifiers and never findings, except that subject:email is indexed and inspected"

// treatment reads what to do with a path or query parameter.
func (r *reader) treatment(n *yaml.Node, what string) (id bool, label string) {
	v := r.text(n, what)
	if v == "" {
		return false, ""
	}
	kind, word, labelled := strings.Cut(v, ":")
	switch {
	case v == "text":
		return false, ""
	case v == "id":
		return true, ""
	case v == LabelPaymentReference || v == LabelPaymentAccount:
		return true, v
	case labelled && kind == "record" && name.MatchString(word):
		return true, v
	case labelled && kind == "subject":
		if _, ok := subjectKinds[word]; ok {
			return word != "email", v
		}
	}
	r.fail(n, fmt.Sprintf("%s is %q", what, v), useHint,
		"text", "id", "record:TYPE", "payment:reference", "payment:account", "subject:contact", "subject:email", "subject:external_id", "subject:id", "subject:phone")
	return false, ""
}

// parameters reads the names that patterns may use between braces.
func (r *reader) parameters(n *yaml.Node) map[string]*declared {
	out := make(map[string]*declared)
	if n == nil {
		return out
	}
	for _, p := range r.pairs(n, "`parameters`") {
		key := r.name(p.key, "the name of a parameter")
		id, label := r.treatment(p.value, "the parameter `"+key+"`")
		out[key] = &declared{node: p.key, param: param{name: key, id: id, label: label}}
	}
	return out
}

// everywhere reads the places that every body of the channel has.
func (b *builder) everywhere(n *yaml.Node) {
	if n != nil {
		m := b.object(n, "`everywhere`", nil, []string{"request", "response", "query"})
		b.common.query = b.queries(m["query"], nil)
		b.common.request = b.places(m["request"], "`everywhere.request`")
		b.common.response = b.places(m["response"], "`everywhere.response`")
	}
	request, response := b.compile(n, b.common.request), b.compile(n, b.common.response)
	b.channel.unmapped = make(map[string]*Operation, len(unmappedMethods))
	for _, u := range unmappedMethods {
		op := &Operation{
			Name: "unmapped." + strings.ToLower(u.method), Pattern: "/**",
			Effect: u.effect, Scope: ScopeOne,
			Request: request, Response: response,
			RequestRules: b.common.request, ResponseRules: b.common.response,
			query: b.common.query,
		}
		if u.method != "other" {
			op.Methods = []string{u.method}
		}
		b.channel.unmapped[u.method] = op
	}
}

// places reads a mapping of prefixes to set names and returns their rules. A
// prefix that ends in a star holds a list: each element is a unit of its own.
func (b *builder) places(n *yaml.Node, what string) []walk.Rule {
	if n == nil {
		return nil
	}
	var rules []walk.Rule
	left := maxRules
	for _, u := range b.uses(n, what) {
		if b.sets[u.set] == nil {
			b.unknownSet(u.node, u.set, b.sets)
			continue
		}
		if strings.HasSuffix(u.prefix, "*") {
			rules = append(rules, walk.Rule{Pointer: u.prefix, Flags: walk.Unit})
		}
		rules = flatten(rules, b.sets, u.set, u.prefix, 0, &left)
	}
	if left < 0 {
		b.fail(n, fmt.Sprintf("%s has more than %d places, or sets inside sets deeper than %d", what, maxRules, maxUse), "use fewer sets inside sets")
		return nil
	}
	return merge(rules)
}

// compile turns rules into the walker's matcher. Places that are only named as
// text need none.
func (b *builder) compile(n *yaml.Node, rules []walk.Rule) *walk.Fields {
	active := make([]walk.Rule, 0, len(rules))
	for _, rule := range rules {
		if rule.Flags != 0 || rule.Field != 0 {
			active = append(active, rule)
		}
	}
	if len(active) == 0 {
		return nil
	}
	fields, err := walk.Compile(active)
	if err != nil {
		b.fail(n, "these places do not go together: "+err.Error(), "")
	}
	return fields
}

// operations reads the groups of calls and builds the trie.
func (b *builder) operations(n *yaml.Node) {
	b.names = make(map[string]int)
	b.channel.root = &node{}
	b.channel.names = make(map[string]*Operation)
	if n == nil {
		return
	}
	for _, p := range b.pairs(n, "`operations`") {
		b.group(p.value, "the group `"+p.key.Value+"`")
	}
	for _, p := range b.each {
		b.toEach(p)
	}
}

// toEach reads a line of `each`: an operation on many records, and what it does to one.
func (b *builder) toEach(p pair) {
	many := b.operationOf(p.key)
	ones := []*yaml.Node{p.value}
	if p.value.Kind == yaml.SequenceNode {
		ones = b.list(p.value, "`each`")
	}
	for _, n := range ones {
		one := b.operationOf(n)
		switch {
		case many == nil || one == nil:
			return
		case one.Scope != ScopeOne || one.Composite != nil || one == many:
			b.fail(n, fmt.Sprintf("`each` says that `%s` does `%s` to each record, which is about many itself", many.Name, one.Name), "name the operation on one record")
		case many.Composite != nil || one.Mark != many.Mark:
			b.fail(n, fmt.Sprintf("`%s` and `%s` do not prove themselves alike, or the first holds calls", many.Name, one.Name), "`each` goes with operations of one mark, and without `composite`")
		case slices.Contains(many.Each, one):
			b.fail(n, fmt.Sprintf("`each` names `%s` twice for `%s`", one.Name, many.Name), "take one of them out")
		default:
			many.Each = append(many.Each, one)
		}
	}
}

// operationOf reads the name of an operation of the file.
func (b *builder) operationOf(n *yaml.Node) *Operation {
	v := b.name(n, "the name of an operation")
	if v == "" {
		return nil
	}
	op := b.channel.names[v]
	if _, stands := b.names[v]; op == nil && !stands {
		known := sortedKeys(b.names)
		b.fail(n, fmt.Sprintf("the operation %q is not in the file", v), didYouMean(v, known))
	}
	return op
}

// group reads calls that share their places.
func (b *builder) group(n *yaml.Node, what string) {
	m := b.object(n, what, []string{"calls"}, []string{"request", "response", "query", "composite", "each"})
	// Merging sorts in place: the common rules are copied.
	request := merge(append(slices.Clone(b.common.request), b.places(m["request"], "`request`")...))
	response := merge(append(slices.Clone(b.common.response), b.places(m["response"], "`response`")...))
	shared := Operation{
		RequestRules: request, ResponseRules: response,
		Request: b.compile(n, request), Response: b.compile(n, response),
	}
	shared.query = b.queries(m["query"], b.common.query)
	if m["composite"] != nil {
		shared.Composite = b.composite(m["composite"])
	}
	if m["calls"] == nil {
		return
	}
	if m["each"] != nil {
		b.each = append(b.each, b.pairs(m["each"], "`each`")...)
	}
	for _, p := range b.pairs(m["calls"], "`calls`") {
		if op := b.call(p, shared); op != nil {
			b.channel.Operations = append(b.channel.Operations, op)
			b.channel.names[op.Name] = op
		}
	}
}

// queries reads the treatment of query parameters; what it says wins over base.
func (b *builder) queries(n *yaml.Node, base map[string]Query) map[string]Query {
	if n == nil {
		return base
	}
	out := maps.Clone(base)
	if out == nil {
		out = make(map[string]Query)
	}
	for _, p := range b.pairs(n, "`query`") {
		id, label := b.treatment(p.value, "the query parameter `"+p.key.Value+"`")
		if strings.HasPrefix(label, "payment:") {
			b.fail(p.value, fmt.Sprintf("the query parameter `%s` is %q", p.key.Value, label), "payments are named in paths and bodies; write id")
		}
		out[p.key.Value] = Query{ID: id, Label: label}
	}
	return out
}

// callHint shows the shape of a call.
const callHint = "write `ticket.create: POST /tickets write one`, with a mark at the end where one is due"

// call reads one line `name: METHOD PATH EFFECT SCOPE [MARK]`.
func (b *builder) call(p pair, shared Operation) *Operation {
	op := shared
	op.Name = b.name(p.key, "the name of an operation")
	line := b.text(p.value, "a call")
	if op.Name == "" || line == "" {
		return nil
	}
	if strings.HasPrefix(op.Name, "unmapped.") {
		b.fail(p.key, fmt.Sprintf("%q is reserved for calls that the file does not know", op.Name), "choose another name")
		return nil
	}
	if first, twice := b.names[op.Name]; twice {
		b.fail(p.key, fmt.Sprintf("the operation %q stands twice (first on line %d)", op.Name, first), "give each its own name; methods of one path can be joined: PUT|PATCH")
		return nil
	}
	b.names[op.Name] = p.key.Line
	words := strings.Fields(line)
	if len(words) < 4 || len(words) > 5 {
		b.fail(p.value, fmt.Sprintf("the call has %d words and should have four or five: METHOD PATH EFFECT SCOPE [MARK]", len(words)), callHint)
		return nil
	}
	before := len(b.errs)
	op.Methods = b.methods(p.value, words[0])
	op.Effect = Effect(b.word(p.value, "the effect", words[2], "read", "write", "delete", "admin"))
	op.Scope = Scope(b.word(p.value, "the scope", words[3], "one", "bulk", "export"))
	if len(words) == 5 {
		op.Mark = Mark(b.word(p.value, "the mark", words[4], "anonymous", "preflight", "handshake", "signed", "auth"))
	}
	if op.Composite != nil && (op.Mark != MarkNone || slices.ContainsFunc(op.Methods, bodiless)) {
		b.fail(p.value, "a composite call is sent with a body and has no mark", "write POST, PUT or PATCH, and no fifth word")
	}
	segments := b.pattern(p.value, words[1], &op)
	if len(b.errs) > before {
		return nil
	}
	b.insert(p.value, segments, &op)
	return &op
}

// methods reads "GET" or "PUT|PATCH".
func (b *builder) methods(n *yaml.Node, word string) []string {
	var out []string
	for method := range strings.SplitSeq(word, "|") {
		switch method {
		case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
			out = append(out, method)
		default:
			b.word(n, "the method", method, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
		}
	}
	return out
}

// bodiless tells the methods whose bodies mean nothing (RFC 9110, section 9.3).
func bodiless(method string) bool {
	return method != http.MethodPost && method != http.MethodPut && method != http.MethodPatch
}

// word checks one word of a call against a closed list.
func (b *builder) word(n *yaml.Node, what, got string, allowed ...string) string {
	if slices.Contains(allowed, got) {
		return got
	}
	hint := didYouMean(got, allowed)
	if hint == "" {
		hint = callHint
	}
	b.fail(n, fmt.Sprintf("%s is %q", what, got), hint, allowed...)
	return ""
}

// pattern reads a path pattern and returns its segments, a parameter as "{}".
// "host:/path" starts at the host's root instead of the API's folder.
func (b *builder) pattern(n *yaml.Node, path string, op *Operation) []string {
	fail := func(what, hint string, allowed ...string) []string {
		b.fail(n, fmt.Sprintf("the path %q %s", path, what), hint, allowed...)
		return nil
	}
	full := b.channel.PathPrefix + path
	if rest, ok := strings.CutPrefix(path, "host:"); ok {
		full, path = rest, rest
	}
	if !strings.HasPrefix(path, "/") {
		return fail("does not start with a slash", "write it below `base`, or as host:/path from the host's root")
	}
	for _, suffix := range b.channel.trim {
		if strings.HasSuffix(path, suffix) {
			return fail("ends in "+suffix, "leave it out: the pattern matches with and without the `suffixes`")
		}
	}
	op.Pattern = full
	segments := strings.Split(full[1:], "/")
	for i, segment := range segments {
		switch {
		case segment == "**" && i == len(segments)-1 && i > 0:
		case strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}"):
			key := segment[1 : len(segment)-1]
			d := b.params[key]
			if d == nil {
				known := sortedKeys(b.params)
				return fail(fmt.Sprintf("uses the parameter %q, which `parameters` does not name", key), didYouMean(key, known), known...)
			}
			d.used = true
			op.params = append(op.params, d.param)
			segments[i] = "{}"
		case segment == "" || segment == "." || segment == "..":
			return fail("has an empty or dot segment", "")
		case strings.ContainsAny(segment, "{}*%?#\\"):
			return fail(fmt.Sprintf("has the segment %q", segment), "a segment is a plain word or one {parameter}; `**` may stand at the end")
		}
	}
	if len(op.params) > maxParams {
		return fail(fmt.Sprintf("has more than %d parameters", maxParams), "")
	}
	return segments
}

// insert puts an operation into the trie, refusing a second one for the same
// method and shape.
func (b *builder) insert(n *yaml.Node, segments []string, op *Operation) {
	at := b.channel.root
	tail := false
	for _, segment := range segments {
		switch segment {
		case "**":
			tail = true
		case "{}":
			if at.param == nil {
				at.param = &node{}
			}
			at = at.param
		default:
			if at.literal == nil {
				at.literal, at.folded = make(map[string]*node), make(map[string]*node)
			}
			if at.literal[segment] == nil {
				at.literal[segment] = &node{}
			}
			if folded := strings.ToLower(segment); at.folded[folded] == nil {
				at.folded[folded] = at.literal[segment]
			}
			at = at.literal[segment]
		}
	}
	ops := &at.ops
	if tail {
		ops = &at.tail
	}
	if *ops == nil {
		*ops = make(map[string]*Operation)
	}
	for _, method := range op.Methods {
		if other := (*ops)[method]; other != nil {
			b.fail(n, fmt.Sprintf("%s %s is the same call as `%s` (line %d): parameters of any name are alike", method, op.Pattern, other.Name, b.names[other.Name]),
				"join the two, or change the path")
			continue
		}
		(*ops)[method] = op
	}
}

// unusedSets reports sets that nothing names: most often a misspelt place.
func (b *builder) unusedSets() {
	for _, key := range sortedKeys(b.sets) {
		if s := b.sets[key]; !s.used {
			b.fail(s.node, fmt.Sprintf("the set %q is used nowhere", key), "name it under `request`, `response` or `everywhere`, or remove it")
		}
	}
}

// unusedParameters reports parameters that no pattern has.
func (b *builder) unusedParameters() {
	for _, key := range sortedKeys(b.params) {
		if d := b.params[key]; !d.used {
			b.fail(d.node, fmt.Sprintf("no path uses the parameter %q", key), "remove it")
		}
	}
}

// recordTypes are the types of records that parameters and places name.
func (b *builder) recordTypes() map[string]bool {
	known := make(map[string]bool)
	note := func(label string) {
		if kind, ok := strings.CutPrefix(label, LabelRecord); ok {
			known[kind] = true
		}
	}
	for _, d := range b.params {
		note(d.label)
	}
	for _, s := range b.sets {
		for _, rule := range s.rules {
			note(rule.Label)
		}
	}
	return known
}

// silentRecords reports messages of a type of record that nothing else names: then
// no call tells which conversation they belong to.
func (b *builder) silentRecords() {
	known := b.recordTypes()
	for _, key := range sortedKeys(b.sets) {
		for _, n := range b.sets[key].talks {
			if !known[n.Value] {
				kinds := sortedKeys(known)
				b.fail(n, fmt.Sprintf("messages belong to the record type %q, which neither `record` nor `parameters` names", n.Value), didYouMean(n.Value, kinds), kinds...)
			}
		}
	}
}
