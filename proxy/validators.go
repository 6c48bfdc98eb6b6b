package proxy

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/caregate/caregate/policy"
)

// Validators of inspected answers are ours, not the upstream's: the same
// resource under another policy or detector is another representation (RFC 9110
// section 8.8), and a client must not keep an answer that was masked less.

// tagSuffix is what is appended to entity tags. Who calls changes answers as much as another
// policy: all that rules see of the actor, the fields that it sees, and the rollouts that it is
// in. The age of a login is left out, because with it no copy would be good for long. A browser
// keeps the copies of everybody who logs in with it, so with a session the person counts too.
func (x *exchange) tagSuffix() string {
	actor := x.actor.Input()
	actor.Age = 0
	who, err := json.Marshal(struct {
		Actor    policy.InputActor
		Session  string
		Rollouts []string
	}{actor, x.person(), x.rollouts})
	if err != nil {
		who = []byte(x.id.String()) // a tag of this very call, which nobody can show again
	}
	sum := x.gen.data.Vault.Digest("entity tag", who)
	return x.det.suffix + x.viewTag() + hex.EncodeToString(sum[:8])
}

// etagSuffix builds what is appended inside an upstream's entity tag. version
// changes with everything that can change an answer.
func etagSuffix(version string) string { return "-cg" + version }

// tagETag appends what suffix gives to the entity tag of an answer and weakens it, since
// masking happens below the level that a strong tag promises. Nothing is asked of suffix
// where there is no tag.
func tagETag(h http.Header, suffix func() string) {
	v := h.Get("ETag")
	if v == "" {
		return
	}
	opaque, ok := strings.CutSuffix(strings.TrimPrefix(v, "W/"), `"`)
	if !ok || !strings.HasPrefix(opaque, `"`) {
		h.Del("ETag") // not an entity tag: a client could not compare it anyway
		return
	}
	h.Set("ETag", "W/"+opaque+suffix()+`"`)
}

// untagConditions gives the upstream its own validators back. A tag of ours that
// was made under another version, and every date, would let the upstream vouch
// for a copy that this version never released, so those are taken out of
// conditional reads; conditional writes keep their tag, because they protect the
// record and release nothing.
func untagConditions(h http.Header, suffix func() string) {
	h.Del("If-Modified-Since")
	if v := strings.Join(h.Values("If-None-Match"), ","); v != "" && v != "*" {
		var keep []string
		ours := suffix() + `"`
		for tag := range strings.SplitSeq(v, ",") {
			if t, ok := strings.CutSuffix(strings.TrimSpace(tag), ours); ok {
				// We weakened the tag; the upstream's may have been strong, and not every
				// server compares weakly as it should (RFC 9110 section 13.1.2).
				keep = append(keep, strings.TrimPrefix(t, "W/")+`"`, t+`"`)
			}
		}
		if len(keep) == 0 {
			h.Del("If-None-Match")
		} else {
			h.Set("If-None-Match", strings.Join(keep, ", "))
		}
	}
	if v := strings.Join(h.Values("If-Match"), ","); v != "" && v != "*" {
		tags := strings.Split(v, ",")
		for i, tag := range tags {
			tags[i] = stripAnySuffix(strings.TrimSpace(tag))
		}
		h.Set("If-Match", strings.Join(tags, ", "))
	}
}

// stripAnySuffix removes a suffix of ours of any version. The weak mark that
// tagETag added goes with it: If-Match compares strongly (RFC 9110 section
// 13.1.1), and the upstream's tag was most likely strong.
func stripAnySuffix(tag string) string {
	i := strings.LastIndex(tag, "-cg")
	if i < 0 || !strings.HasSuffix(tag, `"`) {
		return tag
	}
	return strings.TrimPrefix(tag[:i], "W/") + `"`
}
