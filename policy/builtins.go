package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// capabilities are the built-in functions of OPA that rules may call: those in
// permittedBuiltins, and no network for any of them.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || !slices.Contains(permittedBuiltins[:], b.Name)
	})
	c.AllowNet = []string{} // not nil, which would mean any host
	return c
}

// permittedBuiltins are functions whose answer follows from their arguments, and one
// call of which takes no longer than a small power of what it is given, or ends when the
// evaluation's time is over. OPA looks at the time between calls and not inside most of
// them, so any other would get round Config.Timeout. What a later OPA adds is refused
// until it was looked at. What is not here, and why:
//
//   - http.send, net.lookup_ip_addr, opa.runtime, time.now_ns, rand.intn, uuid.rfc4122:
//     the network, the environment, the clock, chance. A decision that used one could
//     be neither cached nor replayed;
//   - time.* with a time zone: "Local" is the machine's;
//   - bits.lsh, product: the size of the answer grows with the value of an argument;
//   - glob.match, regex.globs_match: they try alternatives one inside the other, and were
//     seen to take for ever over thirty stars. regex.match and its kin are linear;
//   - graph.reachable_paths: as many paths as a graph has, which is beyond counting;
//   - strings.render_template: its language has loops of its own;
//   - net.cidr_expand: every address of a network, in memory;
//   - yaml.*, graphql.*, rego.parse_module, io.jwt.*, crypto.x509.* and private keys, JSON
//     schemas, providers.*: readers of large languages and formats, for which an input of
//     names, roles and counts has no use.
var permittedBuiltins = [...]string{
	// comparing and calculating
	"assign", "eq", "equal", "neq", "lt", "lte", "gt", "gte",
	"plus", "minus", "mul", "div", "rem", "abs", "ceil", "floor", "round",
	"bits.and", "bits.negate", "bits.or", "bits.rsh", "bits.xor",
	// collections
	"all", "any", "count", "max", "min", "sort", "sum", "walk",
	"and", "or", "intersection", "set_diff", "union", "internal.member_2", "internal.member_3",
	"array.concat", "array.flatten", "array.reverse", "array.slice",
	"object.filter", "object.get", "object.keys", "object.remove", "object.subset", "object.union", "object.union_n",
	"json.filter", "json.patch", "json.remove", "graph.reachable",
	"numbers.range", "numbers.range_step",
	// text
	"concat", "contains", "endswith", "format_int", "indexof", "indexof_n", "lower", "replace", "split", "sprintf", "startswith",
	"strings.any_prefix_match", "strings.any_suffix_match", "strings.count", "strings.replace_n", "strings.reverse", "strings.split_n",
	"substring", "trim", "trim_left", "trim_prefix", "trim_right", "trim_space", "trim_suffix", "upper", "internal.template_string",
	"re_match", "regex.find_all_string_submatch_n", "regex.find_n", "regex.is_valid", "regex.match", "regex.replace", "regex.split", "regex.template_match",
	// types and forms
	"cast_array", "cast_boolean", "cast_null", "cast_object", "cast_set", "cast_string", "to_number", "type_name",
	"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string",
	"base64.decode", "base64.encode", "base64.is_valid", "base64url.decode", "base64url.encode", "base64url.encode_no_pad", "hex.decode", "hex.encode",
	"json.is_valid", "json.marshal", "json.marshal_with_options", "json.unmarshal",
	"urlquery.decode", "urlquery.decode_object", "urlquery.encode", "urlquery.encode_object", "uri.is_valid", "uri.parse",
	"semver.compare", "semver.is_valid", "units.parse", "units.parse_bytes", "uuid.parse", "time.parse_duration_ns", "time.parse_rfc3339_ns",
	"net.cidr_contains", "net.cidr_contains_matches", "net.cidr_intersects", "net.cidr_is_valid", "net.cidr_merge", "net.cidr_overlap",
	"crypto.hmac.equal", "crypto.hmac.md5", "crypto.hmac.sha1", "crypto.hmac.sha256", "crypto.hmac.sha512", "crypto.md5", "crypto.sha1", "crypto.sha256",
	// tests
	"internal.print", "internal.test_case", "print", "trace", "rego.metadata.chain", "rego.metadata.rule",
}
