package channel

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// AssertedUser returns the user that the call claims to speak for, as claimed
// (trimmed, not canonicalised), and whether there is a claim at all. The first
// place of Channel.Asserted that is filled decides. A header sent twice with
// different values yields both, joined by ", ": such a claim equals nobody, so
// it can never agree with a proven user.
func (c *Channel) AssertedUser(h http.Header) (string, bool) {
	for _, a := range c.Asserted {
		if a.Header != "" {
			if user := strings.TrimSpace(strings.Join(h.Values(a.Header), ", ")); user != "" {
				return user, true
			}
			continue
		}
		user, _, ok := basic(h)
		if !ok {
			continue
		}
		if name, had := cutSuffixFold(user, a.UserSuffix); had && strings.TrimSpace(name) != "" {
			return strings.TrimSpace(name), true
		}
	}
	return "", false
}

// Credential returns what the vendor's credential is made of and its kind. The
// secret never includes a user name that the holder may choose freely: an API
// token is the same credential whatever e-mail stands in front of it. ok is
// false without a credential and for an Authorization header that was sent more
// than once, because the upstream might read the other one.
func (c *Channel) Credential(h http.Header) (kind, secret string, ok bool) {
	for _, s := range c.Credentials {
		switch s.Scheme {
		case "header":
			if v := h.Values(s.Header); len(v) == 1 && v[0] != "" {
				return s.Kind, v[0], true
			}
		case "bearer":
			if token, is := scheme(h, "bearer"); is && token != "" {
				return s.Kind, token, true
			}
		case "basic":
			user, password, is := basic(h)
			if !is {
				continue
			}
			if _, had := cutSuffixFold(user, s.UserSuffix); !had {
				continue
			}
			switch {
			case s.Secret == "user" && user != "":
				return s.Kind, user, true
			case s.Secret == "both" && password != "":
				return s.Kind, user + ":" + password, true
			case s.Secret == "password" && password != "":
				return s.Kind, password, true
			}
			// The shape fits and the secret is missing: a later, looser shape must
			// not take the rest for one.
			return "", "", false
		}
	}
	return "", "", false
}

// scheme returns the part of the one Authorization header after the named scheme.
func scheme(h http.Header, name string) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	word, rest, ok := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !ok || !strings.EqualFold(word, name) {
		return "", false
	}
	return strings.TrimSpace(rest), true
}

// basic decodes HTTP Basic credentials. Unlike net/http it also accepts
// unpadded base64, which some clients send and vendors accept.
func basic(h http.Header) (user, password string, ok bool) {
	encoded, ok := scheme(h, "basic")
	if !ok {
		return "", "", false
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(raw), ":")
}

// cutSuffixFold is strings.CutSuffix without regard to case.
func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}
