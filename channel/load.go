package channel

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// name is the shape of every name a file may define. Loading is no hot path;
// a regexp says the rule best.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// headerName is the shape of an HTTP header's name.
var headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// Parse reads a channel file. file is only used in messages. The error joins
// one *FieldError per mistake, in the order of the file's sections; a channel is
// returned only when there is none.
func Parse(file string, src []byte) (*Channel, error) {
	r := &reader{file: file}
	top := r.document(src)
	if top == nil {
		return nil, r.err()
	}
	c := r.channel(top)
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// err joins the mistakes, sorted by place.
func (r *reader) err() error {
	slices.SortStableFunc(r.errs, func(a, b *FieldError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	joined := make([]error, len(r.errs))
	for i, e := range r.errs {
		joined[i] = e
	}
	return errors.Join(joined...)
}

// channel reads the sections in the order in which they need each other.
func (r *reader) channel(top *yaml.Node) *Channel {
	m := r.object(top, "the channel file",
		[]string{"version", "name", "title", "reach", "operations"},
		[]string{"hosts", "base", "suffixes", "credentials", "asserted", "whoami", "url_headers", "parameters", "fields", "everywhere", "webhooks", "trails", "payments", "prefixes", "rate", "imports", "actions"})
	c := &Channel{
		Version: 1,
		Name:    r.name(m["name"], "`name`"),
		Title:   r.text(m["title"], "`title`"),
	}
	if v := m["version"]; v != nil {
		if got := r.text(v, "`version`"); got != "" && got != "1" {
			r.fail(v, fmt.Sprintf("`version` is %q", got), "this gateway reads version 1; a file for a newer one needs a newer gateway", "1")
		}
	}
	if reach := m["reach"]; reach != nil {
		rm := r.object(reach, "`reach`", []string{"governed", "not_governed"}, nil)
		c.Reach.Governed = r.texts(rm["governed"], "`reach.governed`")
		c.Reach.NotGoverned = r.texts(rm["not_governed"], "`reach.not_governed`")
	}
	c.Hosts = r.hosts(m["hosts"])
	c.PathPrefix = r.base(m["base"], "`base`")
	c.trim = r.suffixes(m["suffixes"])
	for _, n := range r.list(m["prefixes"], "`prefixes`") {
		if v := r.base(n, "an entry of `prefixes`"); v != "" {
			c.mounts = append(c.mounts, v)
		}
	}
	c.URLHeaders = r.headers(m["url_headers"], "`url_headers`")
	for _, n := range r.list(m["credentials"], "`credentials`") {
		c.Credentials = append(c.Credentials, r.credential(n))
	}
	for _, n := range r.list(m["asserted"], "`asserted`") {
		c.Asserted = append(c.Asserted, r.asserted(n))
	}
	if n := m["whoami"]; n != nil {
		c.Whoami = r.whoami(n)
	}

	if n := m["payments"]; n != nil {
		c.Payments = r.payments(n)
	}

	sets := r.sets(m["fields"])
	b := &builder{reader: r, channel: c, sets: sets, params: r.parameters(m["parameters"])}
	b.everywhere(m["everywhere"])
	b.operations(m["operations"])
	if n := m["webhooks"]; n != nil {
		c.Webhooks = b.webhooks(n)
	}
	if n := m["trails"]; n != nil {
		b.trails(n)
	}
	if n := m["rate"]; n != nil {
		c.Budget = r.budget(n)
	}
	if n := m["imports"]; n != nil {
		b.imports(n)
	}
	if n := m["actions"]; n != nil {
		b.actions(n)
	}
	if len(r.errs) == 0 {
		// A misspelt place would otherwise be reported twice.
		b.unusedSets()
		b.unusedParameters()
		b.silentRecords()
		b.strayPayments()
		c.recordTypes = sortedKeys(b.recordTypes())
	}
	return c
}

// name reads a scalar that is a name.
func (r *reader) name(n *yaml.Node, what string) string {
	v := r.text(n, what)
	if v != "" && !name.MatchString(v) {
		r.fail(n, fmt.Sprintf("%s is %q", what, v), "a name has lower-case letters, digits, `.`, `-`, `_` and at most 64 characters")
		return ""
	}
	return v
}

// hosts reads the vendor's usual hosts.
func (r *reader) hosts(n *yaml.Node) []string {
	var out []string
	for _, item := range r.list(n, "`hosts`") {
		v := r.text(item, "an entry of `hosts`")
		if v == "" {
			continue
		}
		if !plainHost(strings.TrimPrefix(v, "*.")) {
			r.fail(item, fmt.Sprintf("%q is no host name", v), "write a host without scheme, port and path, for instance `*.example.com`")
			continue
		}
		out = append(out, v)
	}
	return out
}

// base reads the folder of the API.
func (r *reader) base(n *yaml.Node, what string) string {
	v := r.text(n, what)
	if v == "" || v == "/" {
		return ""
	}
	if v[0] != '/' || strings.HasSuffix(v, "/") || strings.ContainsAny(v, "{}*%?# ") {
		r.fail(n, fmt.Sprintf("%s is %q", what, v), "write a plain path with a slash in front and none at the end, for instance `/api/v2`")
		return ""
	}
	return v
}

// suffixes reads what a path may carry at its end without changing its meaning.
func (r *reader) suffixes(n *yaml.Node) []string {
	var out []string
	for _, item := range r.list(n, "`suffixes`") {
		v := r.text(item, "an entry of `suffixes`")
		if v == "" {
			continue
		}
		if len(v) < 2 || v[0] != '.' || strings.ContainsAny(v[1:], "./{}*%?# ") {
			r.fail(item, fmt.Sprintf("%q is no suffix", v), "write a dot and letters, for instance `.json`")
			continue
		}
		out = append(out, v)
	}
	return out
}

// headers reads a list of header names.
func (r *reader) headers(n *yaml.Node, what string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		if v := r.header(item, "an entry of "+what); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// header reads one header name.
func (r *reader) header(n *yaml.Node, what string) string {
	v := r.text(n, what)
	if v == "" {
		return ""
	}
	if !headerName.MatchString(v) {
		r.fail(n, fmt.Sprintf("%s is %q, which is no header name", what, v), "")
		return ""
	}
	return http.CanonicalHeaderKey(v)
}

// credential reads one entry of `credentials`.
func (r *reader) credential(n *yaml.Node) CredentialScheme {
	m := r.object(n, "a credential", []string{"kind", "scheme"}, []string{"header", "user_suffix", "secret"})
	s := CredentialScheme{
		Kind:   r.name(m["kind"], "`kind`"),
		Scheme: r.oneOf(m["scheme"], "`scheme`", "basic", "bearer", "header"),
		Header: r.header(m["header"], "`header`"),
	}
	if s.Scheme == "basic" {
		s.UserSuffix = r.text(m["user_suffix"], "`user_suffix`")
		s.Secret = "password"
		if m["secret"] != nil {
			s.Secret = r.oneOf(m["secret"], "`secret`", "user", "password", "both")
		}
	} else if s.Scheme != "" {
		for _, key := range []string{"user_suffix", "secret"} {
			if m[key] != nil {
				r.fail(m[key], fmt.Sprintf("`%s` belongs to scheme basic only", key), "remove it")
			}
		}
	}
	if (s.Scheme == "header") != (m["header"] != nil) && s.Scheme != "" {
		r.fail(n, "`header` and scheme header go together", "write `{kind: ..., scheme: header, header: X-Api-Key}`")
	}
	return s
}

// asserted reads one entry of `asserted`.
func (r *reader) asserted(n *yaml.Node) Asserted {
	m := r.object(n, "an entry of `asserted`", nil, []string{"header", "scheme", "user_suffix"})
	a := Asserted{Header: r.header(m["header"], "`header`")}
	if m["scheme"] != nil {
		a.Basic = r.oneOf(m["scheme"], "`scheme`", "basic") == "basic"
		a.UserSuffix = r.text(m["user_suffix"], "`user_suffix`")
	} else if m["user_suffix"] != nil {
		r.fail(m["user_suffix"], "`user_suffix` belongs to `scheme: basic`", "remove it or add the scheme")
	}
	if n.Kind == yaml.MappingNode && (m["header"] != nil) == (m["scheme"] != nil) {
		r.fail(n, "an entry of `asserted` names one place", "write either `header: X-On-Behalf-Of` or `scheme: basic`")
	}
	return a
}

// whoami reads the call that resolves a credential.
func (r *reader) whoami(n *yaml.Node) *Whoami {
	m := r.object(n, "`whoami`", []string{"path", "user"}, []string{"method", "client", "role"})
	w := &Whoami{Method: http.MethodGet, Path: r.text(m["path"], "`whoami.path`")}
	if m["method"] != nil {
		w.Method = r.oneOf(m["method"], "`whoami.method`", "GET", "POST")
	}
	if w.Path != "" && w.Path[0] != '/' {
		r.fail(m["path"], fmt.Sprintf("`whoami.path` is %q", w.Path), "write the whole path from the host on, with a slash in front")
	}
	for key, to := range map[string]*string{"user": &w.User, "client": &w.Client, "role": &w.Role} {
		if m[key] == nil {
			continue
		}
		if *to = r.pointer(m[key], "`whoami."+key+"`"); strings.Contains(*to, "*") {
			r.fail(m[key], "`whoami."+key+"` points to many places", "name one place, without a star")
		}
	}
	return w
}
