package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The flags of persons that rules know, see rego/data/subjects.yaml.
const flagRestriction = "restriction"

// subjectFlags are the flags that a row of a document may be about.
var subjectFlags = [...]string{"limit_sensitive", "objection", "opt_out_sale_sharing", flagRestriction}

// flagRow says what a flag of a person means, in place of the built-in row for it.
type flagRow struct {
	flag                        string
	roles, purposes, operations []string
}

func (p *overlayParser) flag(n *yaml.Node) {
	var out flagRow
	p.members(n, "a flags row", func(key string, v *yaml.Node) bool {
		switch key {
		case "flag":
			if out.flag = v.Value; !slices.Contains(subjectFlags[:], out.flag) {
				p.fail(v, "flag %q is not known; the flags are %s", v.Value, strings.Join(subjectFlags[:], ", "))
			}
		case "roles":
			out.roles = p.roles(v)
		case "purposes":
			out.purposes = p.purposes(v, key)
		case "operations":
			out.operations = p.list(v, key, ParseGrant)
			for _, item := range v.Content {
				p.name(Named{Operation: item.Value}, item)
			}
		default:
			return false
		}
		return true
	}, "flag", "roles", "purposes", "operations")
	switch {
	case out.flag == "":
		p.fail(n, "a flags row wants flag")
	case out.flag == flagRestriction && len(out.operations) > 0:
		p.fail(n, "operations goes with flags that refuse calls; restriction names the roles and purposes that are left")
	case out.flag != flagRestriction && len(out.roles) > 0:
		p.fail(n, "roles goes with flag restriction; what the other flags refuse is refused to everybody")
	case slices.ContainsFunc(p.out.flags, func(r flagRow) bool { return r.flag == out.flag }):
		p.fail(n, "flag %q is there twice; write all of it into one row", out.flag)
	}
	p.out.flags = append(p.out.flags, out)
}

// flagIndex has what the documents say of flags, later documents winning.
func flagIndex(overlays []*Overlay) map[string]any {
	set := func(list []string) map[string]any {
		out := make(map[string]any, len(list))
		for _, s := range list {
			out[s] = true
		}
		return out
	}
	index := make(map[string]any)
	for _, o := range overlays {
		for _, r := range o.flags {
			index[r.flag] = map[string]any{"roles": set(r.roles), "purposes": set(r.purposes), "operations": set(r.operations)}
		}
	}
	return index
}
