package walk

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/redact"
)

// Flags say what the values at a place are.
type Flags uint16

const (
	// Never marks values that must not be rewritten. Findings there have Never
	// set; use a pointer that ends in ** for everything below a place.
	Never Flags = 1 << iota
	// URL marks addresses of the vendor; they become captures, so that the
	// caller can point them to the gateway.
	URL
	// HTMLValue marks values that are HTML. They are scanned as text.
	HTMLValue
	// PaymentReference marks values that are processor ids or account numbers:
	// the whole value is a finding of that class, unless a card, a mask or a token is
	// in it.
	PaymentReference
	// Unit marks the values that are one record each. It also counts for
	// arrays and objects.
	Unit
	// Wanted makes the value a capture with the rule's label.
	Wanted
	// Overwrite marks values that a write replaces: a mask that comes back in
	// one must not reach the upstream.
	Overwrite
	// Element says that the place is an element of XML, by the names of the elements on
	// the way, the root's first; elements that repeat have one place. Of the flags Wanted
	// and PaymentReference count there, and Unit without this one. Only the text of
	// elements without others in them is a value.
	Element

	typed // set by Compile where a rule has a Field
)

// Rule marks the values at a place.
type Rule struct {
	// Pointer is a JSON Pointer (RFC 6901) in which the token * stands for any
	// one name or index and ** for any number of them, none included.
	Pointer string
	// Label is what the caller calls the place; it is repeated in captures.
	Label string
	Flags Flags
	// Field says what the system takes there, where that is not any text. In the
	// pointer of such a rule one token may be [name=value]: an element or member, an
	// object, whose own member of that name has that value.
	Field redact.Field
}

// Fields is a compiled set of rules: a deterministic automaton over the names
// and indices on the way to a value. It is immutable and safe for concurrent
// use; nil means no rules.
type Fields struct {
	rules  []Rule
	states []state
}

// state is one state of the automaton. State 0 is the one from which no rule can
// match any more.
type state struct {
	flags Flags
	rules []int // of the rules that end here and make captures
	names map[string]int32
	other int32

	field  redact.Field // the strictest of rules without a choice
	chosen []choice

	filter  uint64 // has the filterBit of every name
	indexes bool   // some name is a number, and so may be an index
}

// choice is a rule that counts in some objects only.
type choice struct {
	name, value string
	up          int // how many steps above the value the object is
	field       redact.Field
}

// choiceOf reads a token [name=value].
func choiceOf(token string) (name, value string, ok bool) {
	if len(token) < 2 || token[0] != '[' || token[len(token)-1] != ']' {
		return "", "", false
	}
	name, value, ok = strings.Cut(token[1:len(token)-1], "=")
	return name, value, ok && name != "" && value != ""
}

// filterBit is a bit by length and ends of a name, so that most names that no
// rule spells out are not looked up.
func filterBit[T string | []byte](name T) uint64 {
	n := len(name)
	if n == 0 {
		return 1
	}
	return 1 << ((uint(n)*7 + uint(name[0])*5 + uint(name[n-1])) & 63)
}

// maxStates bounds the automaton; channel files need a few hundred.
const maxStates = 1 << 13

const start int32 = 1

// Compile builds the automaton. It refuses pointers that do not begin with a
// slash (the empty pointer is the document itself), bad escapes, and sets of
// rules whose automaton would be too large.
func Compile(rules []Rule) (*Fields, error) {
	f := &Fields{rules: slices.Clone(rules)}
	tokens := make([][]string, len(rules))
	for i, r := range rules {
		t, err := splitPointer(r.Pointer)
		if err != nil {
			return nil, err
		}
		tokens[i] = t
	}
	choices := make([]*choice, len(rules))
	for i, r := range rules {
		for n, token := range tokens[i] {
			name, value, ok := choiceOf(token)
			if !ok || r.Field == redact.FieldAny {
				continue
			}
			if choices[i] != nil || slices.Contains(tokens[i][n:], "**") || n == len(tokens[i])-1 {
				return nil, fmt.Errorf("pointer %q: one [name=value], with something behind it and no ** there", r.Pointer)
			}
			choices[i] = &choice{name: name, value: value, up: len(tokens[i]) - n - 1, field: r.Field}
			tokens[i][n] = "*"
		}
	}
	b := builder{fields: f, choices: choices, nodes: make([]node, 1), known: map[string]int32{"": 0}, moves: make(map[string]int32)}
	for i := range rules {
		b.plant(i, tokens[i])
	}
	f.states = append(f.states, state{})
	b.state([]int32{0})
	for n := int(start); n < len(f.states); n++ {
		if n >= maxStates {
			return nil, fmt.Errorf("the %d rules need more than %d states: use fewer **", len(rules), maxStates)
		}
		b.steps(int32(n))
	}
	return f, nil
}

// Mount returns f with the rules of other documents that stand inside: the document i is
// the member called body of element i of the array at the place at, and has the rules
// parts[i], which may be nil. What f says of places in there does not count. The elements
// are units, and known are names of other members that are not to stand there twice in
// different cases. f may be nil and is not changed.
func (f *Fields) Mount(at []string, body string, parts []*Fields, known ...string) *Fields {
	out := &Fields{states: make([]state, start+1)}
	if f != nil {
		out.rules, out.states = slices.Clone(f.rules), slices.Clone(f.states)
	}
	array := start
	for _, name := range at {
		array = out.own(array, name)
	}
	roots := map[*Fields]int32{nil: 0}
	for i, part := range parts {
		root, ok := roots[part]
		if !ok {
			root = out.graft(part)
			roots[part] = root
		}
		element := out.own(array, strconv.Itoa(i))
		out.states[element].flags |= Unit
		for _, name := range known {
			out.own(element, name)
		}
		if body != "" {
			out.step(element, body, root)
		}
	}
	return out
}

// own gives state s a step of its own for name, to a copy of the state that it led to.
func (f *Fields) own(s int32, name string) int32 {
	next := f.states[s].other
	if n, ok := f.states[s].names[name]; ok {
		next = n
	}
	f.states = append(f.states, f.states[next])
	n := int32(len(f.states) - 1)
	f.step(s, name, n)
	return n
}

// step makes name lead from state s to state to.
func (f *Fields) step(s int32, name string, to int32) {
	st := &f.states[s]
	names := make(map[string]int32, len(st.names)+1)
	maps.Copy(names, st.names) // the map may be that of another set of rules
	names[name] = to
	st.names = names
	st.filter |= filterBit(name)
	st.indexes = st.indexes || name != "" && name[0]-'0' <= 9
}

// graft adds the states of part and returns its root.
func (f *Fields) graft(part *Fields) int32 {
	rules, states := len(f.rules), int32(len(f.states))-start
	f.rules = append(f.rules, part.rules...)
	moved := func(s int32) int32 {
		if s == 0 {
			return 0
		}
		return s + states
	}
	for _, st := range part.states[start:] {
		st.other = moved(st.other)
		ends := st.rules
		st.rules = make([]int, len(ends))
		for i, r := range ends {
			st.rules[i] = r + rules
		}
		names := make(map[string]int32, len(st.names))
		for name, to := range st.names {
			names[name] = moved(to)
		}
		st.names = names
		f.states = append(f.states, st)
	}
	return start + states
}

// With returns the rules of f, which may be nil, and further ones.
func (f *Fields) With(rules []Rule) (*Fields, error) {
	if f == nil {
		return Compile(rules)
	}
	return Compile(append(slices.Clip(f.rules), rules...))
}

func splitPointer(p string) ([]string, error) {
	if p == "" {
		return nil, nil
	}
	if p[0] != '/' {
		return nil, fmt.Errorf("pointer %q does not begin with /", p)
	}
	out := strings.Split(p[1:], "/")
	for i, t := range out {
		for j := strings.IndexByte(t, '~'); j >= 0; {
			if j+1 == len(t) || t[j+1] != '0' && t[j+1] != '1' {
				return nil, fmt.Errorf("pointer %q: ~ must be written ~0, and / in a name ~1", p)
			}
			next := strings.IndexByte(t[j+1:], '~')
			if next < 0 {
				break
			}
			j += 1 + next
		}
		out[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return out, nil
}

// node is a place in the tree of all rules: what begins alike is one, so that many rules
// that begin with ** are followed as one.
type node struct {
	names map[string]int32
	// star and any are the nodes behind * and **, 0 for none. loop says that this one is
	// behind **, and so goes on for any name.
	star, any int32
	loop      bool
	rules     []int // that end here
}

type builder struct {
	fields *Fields
	// choices has one for each rule, nil mostly.
	choices []*choice
	nodes   []node
	known   map[string]int32
	sets    [][]int32 // of nodes, by state number less one
	// moves are the states whose steps are known, by the nodes that go on.
	moves map[string]int32
	key   []byte
}

// plant adds a rule to the tree.
func (b *builder) plant(rule int, tokens []string) {
	n := int32(0)
	for _, t := range tokens {
		next := int32(len(b.nodes))
		at := &b.nodes[n]
		switch t {
		case "*":
			if at.star != 0 {
				n = at.star
				continue
			}
			at.star = next
		case "**":
			if at.any != 0 {
				n = at.any
				continue
			}
			at.any = next
		default:
			if known, ok := at.names[t]; ok {
				n = known
				continue
			}
			if at.names == nil {
				at.names = make(map[string]int32)
			}
			at.names[t] = next
		}
		b.nodes = append(b.nodes, node{loop: t == "**"})
		n = next
	}
	b.nodes[n].rules = append(b.nodes[n].rules, rule)
}

// state returns the state of a set of nodes, and makes it when it is new.
func (b *builder) state(set []int32) int32 {
	for i := 0; i < len(set); i++ { // ** may stand for nothing
		if any := b.nodes[set[i]].any; any != 0 {
			set = append(set, any)
		}
	}
	slices.Sort(set)
	set = slices.Compact(set)
	b.key = b.key[:0]
	for _, n := range set {
		b.key = binary.BigEndian.AppendUint32(b.key, uint32(n))
	}
	if n, ok := b.known[string(b.key)]; ok {
		return n
	}
	n := int32(len(b.fields.states))
	b.known[string(b.key)] = n
	b.sets = append(b.sets, slices.Clone(set))
	var ends []int
	for _, at := range set {
		ends = append(ends, b.nodes[at].rules...)
	}
	slices.Sort(ends)
	s := state{}
	for _, i := range ends {
		r := b.fields.rules[i]
		s.flags |= r.Flags
		switch c := b.choices[i]; {
		case c != nil:
			s.flags |= typed
			s.chosen = append(s.chosen, *c)
		case r.Field != redact.FieldAny:
			s.flags |= typed
			s.field = max(s.field, r.Field)
		}
		if r.Flags&(Wanted|URL) != 0 {
			s.rules = append(s.rules, i)
		}
	}
	b.fields.states = append(b.fields.states, s)
	return n
}

// steps fills in the transitions of state n.
func (b *builder) steps(n int32) {
	// What only ends here leads nowhere: states that differ in that alone share their steps.
	var set []int32
	b.key = b.key[:0]
	names := map[string]bool{}
	for _, at := range b.sets[n-1] {
		if from := &b.nodes[at]; from.loop || from.star != 0 || len(from.names) > 0 {
			set = append(set, at)
			b.key = binary.BigEndian.AppendUint32(b.key, uint32(at))
		}
	}
	if from, ok := b.moves[string(b.key)]; ok {
		st, as := &b.fields.states[n], &b.fields.states[from]
		st.other, st.names, st.filter, st.indexes = as.other, as.names, as.filter, as.indexes
		return
	}
	b.moves[string(b.key)] = n
	for _, at := range set {
		for name := range b.nodes[at].names {
			names[name] = true
		}
	}
	mem := make([]int32, 0, 2*len(set)+8)
	other := b.state(b.after(mem, set, "", false))
	b.fields.states[n].other = other
	for _, name := range slices.Sorted(maps.Keys(names)) {
		next := b.state(b.after(mem, set, name, true))
		if b.fields.states[n].names == nil {
			b.fields.states[n].names = make(map[string]int32, len(names))
		}
		st := &b.fields.states[n]
		st.names[name] = next
		st.filter |= filterBit(name)
		st.indexes = st.indexes || name != "" && name[0]-'0' <= 9
	}
}

// after appends the nodes reached from set by a name, or by a name that no rule spells
// out.
func (b *builder) after(dst []int32, set []int32, name string, spelled bool) []int32 {
	for _, at := range set {
		n := &b.nodes[at]
		if n.loop {
			dst = append(dst, at)
		}
		if n.star != 0 {
			dst = append(dst, n.star)
		}
		if next, ok := n.names[name]; ok && spelled {
			dst = append(dst, next)
		}
	}
	return dst
}

// root is the state of the document itself.
func (f *Fields) root() int32 {
	if f == nil {
		return 0
	}
	return start
}

// member steps into the member called name.
func (f *Fields) member(s int32, name []byte) int32 {
	if s == 0 {
		return 0
	}
	st := &f.states[s]
	if st.filter&filterBit(name) != 0 {
		if next, ok := st.names[string(name)]; ok {
			return next
		}
	}
	return st.other
}

// element steps into the element at index i.
func (f *Fields) element(s int32, i int) int32 {
	if s == 0 {
		return 0
	}
	st := &f.states[s]
	if st.indexes {
		var buf [20]byte
		if next, ok := st.names[string(strconv.AppendInt(buf[:0], int64(i), 10))]; ok {
			return next
		}
	}
	return st.other
}

// knows reports whether a rule spells out name at state s.
func (f *Fields) knows(s int32, name []byte) bool {
	if s == 0 {
		return false
	}
	_, ok := f.states[s].names[string(name)]
	return ok
}

// flags returns the flags at state s.
func (f *Fields) flags(s int32) Flags {
	if s == 0 {
		return 0
	}
	return f.states[s].flags
}
