package detect

import (
	"bytes"
	"hash/crc32"
)

// A secret is known by its prefix, its alphabet and its length, and by a check of
// its own where the issuer built one in. Nothing is a secret because it looks
// random: identifiers, hashes and variable names do, too.

// secretRule is one kind of key or token.
type secretRule struct {
	prefix string
	// set is the alphabet behind the prefix, min and max how many characters of it.
	set      charset
	min, max int
	// rule names the kind in explanations.
	rule string
	// check, when there is one, looks at the characters behind the prefix.
	check func(body []byte) bool
}

// secretRules are tried in this order, so that a longer prefix comes before a
// shorter one with the same begin. Shapes are those the issuers document, or that
// their own libraries accept.
var secretRules = [...]secretRule{
	{"AKIA", setBase32, 16, 16, "aws access key id", nil},
	{"ASIA", setBase32, 16, 16, "aws access key id", nil},
	{"ABIA", setBase32, 16, 16, "aws access key id", nil},
	{"ACCA", setBase32, 16, 16, "aws access key id", nil},
	{"AIza", setBase64URL, 35, 35, "google api key", nil},
	{"AGE-SECRET-KEY-1", setUpper | setDigit, 58, 58, "age secret key", nil},
	{"EAAA", setBase64URL, 60, 60, "square access token", nil},
	{"EAA", setAlnum, 90, 400, "meta access token", nil},
	{"EZAK", setAlnum, 54, 54, "easypost key", nil},
	{"GOCSPX-", setBase64URL, 28, 28, "google client secret", nil},
	{"PMAK-", setHex | setDash, 59, 59, "postman key", nil},
	{"SG.", setBase64URL | setDot, 66, 66, "sendgrid key", sendgridBody},
	{"SK", setHex, 32, 32, "twilio key", nil},
	{"cgk1", setLower | setDigit, 30, 30, "caregate key", nil},
	{"dG9rO", setBase64 | setEqual, 55, 60, "intercom access token", nil},
	{"dckr_pat_", setBase64URL, 27, 36, "docker token", nil},
	{"doo_v1_", setHex, 64, 64, "digitalocean token", nil},
	{"dop_v1_", setHex, 64, 64, "digitalocean token", nil},
	{"dor_v1_", setHex, 64, 64, "digitalocean token", nil},
	{"ghp_", setAlnum, 36, 36, "github token", githubCheck},
	{"gho_", setAlnum, 36, 36, "github token", githubCheck},
	{"ghu_", setAlnum, 36, 36, "github token", githubCheck},
	{"ghs_", setAlnum, 36, 36, "github token", githubCheck},
	{"ghr_", setAlnum, 36, 76, "github token", nil},
	{"github_pat_", setAlnum | setUnderscore, 82, 82, "github token", githubFineGrained},
	{"glpat-", setBase64URL | setDot, 20, 320, "gitlab token", nil},
	{"gldt-", setBase64URL | setDot, 20, 320, "gitlab token", nil},
	{"glrt-", setBase64URL | setDot, 20, 320, "gitlab token", nil},
	{"glcbt-", setBase64URL | setDot, 20, 320, "gitlab token", nil},
	{"glptt-", setBase64URL | setDot, 20, 320, "gitlab token", nil},
	{"glsa_", setAlnum | setUnderscore, 41, 41, "grafana token", nil},
	{"hf_", setAlnum, 34, 34, "hugging face token", nil},
	{"hvs.", setBase64URL, 24, 200, "vault token", nil},
	{"key-", setHex, 32, 32, "mailgun key", nil},
	{"lin_api_", setAlnum, 40, 40, "linear key", nil},
	{"npm_", setAlnum, 36, 36, "npm token", nil},
	{"pypi-AgE", setBase64URL, 50, 400, "pypi token", nil},
	{"rk_live_", setAlnum, 16, 247, "stripe key", nil},
	{"rk_test_", setAlnum, 16, 247, "stripe key", nil},
	{"rubygems_", setHex, 48, 48, "rubygems key", nil},
	{"shpat_", setHex, 32, 32, "shopify token", nil},
	{"shpca_", setHex, 32, 32, "shopify token", nil},
	{"shppa_", setHex, 32, 32, "shopify token", nil},
	{"shpss_", setHex, 32, 32, "shopify token", nil},
	{"shippo_live_", setHex, 40, 40, "shippo token", nil},
	{"sk-ant-", setBase64URL, 32, 200, "anthropic key", nil},
	{"sk-proj-", setBase64URL, 20, 250, "openai key", nil},
	{"sk-svcacct-", setBase64URL, 20, 250, "openai key", nil},
	{"sk-admin-", setBase64URL, 20, 250, "openai key", nil},
	{"sk-or-v1-", setHex, 64, 64, "openrouter key", nil},
	{"sk-", setAlnum, 40, 60, "openai key", openaiLegacy},
	{"sk_live_", setAlnum, 16, 247, "stripe key", nil},
	{"sk_test_", setAlnum, 16, 247, "stripe key", nil},
	{"sntrys_", setBase64 | setUnderscore, 60, 400, "sentry token", nil},
	{"sntryu_", setHex, 64, 64, "sentry token", nil},
	{"sq0atp-", setBase64URL, 22, 22, "square access token", nil},
	{"sq0csp-", setBase64URL, 43, 43, "square client secret", nil},
	{"whsec_", setBase64 | setEqual, 24, 88, "webhook signing secret", nil},
	{"xapp-", setAlnum | setDash, 20, 250, "slack app token", slackBody},
	{"xkeysib-", setHex | setDash | setAlnum, 81, 81, "brevo key", nil},
	{"xoxa-", setAlnum | setDash, 20, 250, "slack token", slackBody},
	{"xoxb-", setAlnum | setDash, 20, 250, "slack token", slackBody},
	{"xoxe.xoxb-", setAlnum | setDash, 20, 320, "slack token", slackBody},
	{"xoxe.xoxp-", setAlnum | setDash, 20, 320, "slack token", slackBody},
	{"xoxe-", setAlnum | setDash, 20, 320, "slack token", slackBody},
	{"xoxp-", setAlnum | setDash, 20, 250, "slack token", slackBody},
	{"xoxr-", setAlnum | setDash, 20, 250, "slack token", slackBody},
	{"xoxs-", setAlnum | setDash, 20, 250, "slack token", slackBody},
	{"ya29.", setBase64URL | setDot, 30, 600, "google access token", nil},
}

// secretIndex gives, for the first byte of a prefix, the rules that begin with it
// as a half-open range of secretRules.
var secretIndex = func() (t [256][2]uint8) {
	for i := range secretRules {
		b := secretRules[i].prefix[0]
		if t[b][1] == 0 {
			t[b][0] = uint8(i)
		}
		t[b][1] = uint8(i + 1)
	}
	return t
}()

// minSecret is the length of the shortest token that any rule here accepts: a
// Stripe payment reference of three and fourteen characters.
const minSecret = 17

// secretAt returns where the secret that begins at i ends, and the rule. The
// byte before i is no letter, digit or underscore. It reads as
// many bytes as the longest form of a rule has, and maxLong for the two forms that
// may be longer.
func secretAt(t []byte, i int) (end int, rule string) {
	rest := t[i:]
	switch rest[0] {
	case 'e':
		if end := jwtEnd(t, i); end > 0 {
			return end, "json web token"
		}
	case '-':
		return pemEnd(t, i), "private key"
	case 'A':
		if len(rest) >= 20 && rest[1] == '3' && rest[2] == 'T' {
			if end := spanOf(t, i, setUpper|setDigit, 21); end == i+20 && varied(rest[4:20], 6) && edgeAfter(t, end) {
				return end, "aws access key id"
			}
		}
	case 'h':
		if end := slackHook(t, i); end > 0 {
			return end, "slack webhook address"
		}
	case 'x':
		if end := walletKey(t, i); end > 0 {
			return end, "wallet private key"
		}
	}
	if isDigit(rest[0]) {
		if end := telegramToken(t, i); end > 0 {
			return end, "telegram bot token"
		}
	}
	ix := secretIndex[rest[0]]
	for n := ix[0]; n < ix[1]; n++ {
		r := &secretRules[n]
		if len(rest) < len(r.prefix)+r.min || string(rest[:len(r.prefix)]) != r.prefix {
			continue
		}
		from := i + len(r.prefix)
		end := spanOf(t, from, r.set, r.max+1)
		if end-from > r.max {
			continue
		}
		for end > from && (t[end-1] == '.' || t[end-1] == '-') {
			end-- // the full stop of a sentence, a dash behind
		}
		body := t[from:end]
		if len(body) < r.min || !edgeAfter(t, end) || !varied(body, 6) || r.check != nil && !r.check(body) {
			continue
		}
		return end, r.rule
	}
	return 0, ""
}

// edgeAfter reports whether the token that ends at end is whole: what follows is
// no letter, digit or underscore.
func edgeAfter(t []byte, end int) bool {
	return end == len(t) || charsets[t[end]]&(setAlnum|setUnderscore) == 0
}

// githubCheck: the last six characters are the CRC-32 of those before, in base
// 62 (GitHub's token format of 2021).
func githubCheck(body []byte) bool {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	n := len(body) - 6
	sum := crc32.ChecksumIEEE(body[:n])
	for i := len(body) - 1; i >= n; i-- {
		if body[i] != digits[sum%62] {
			return false
		}
		sum /= 62
	}
	return true
}

func githubFineGrained(body []byte) bool { return body[22] == '_' && !has(body[23:], setUnderscore) }

func sendgridBody(body []byte) bool { return body[22] == '.' && bytes.Count(body, []byte{'.'}) == 1 }

// openaiLegacy: the older keys hold a fixed word in the middle.
func openaiLegacy(body []byte) bool {
	return bytes.Contains(body, []byte("T3BlbkFJ")) || len(body) == 48 && has(body, setDigit) && has(body, setUpper)
}

func slackBody(body []byte) bool {
	return has(body, setDigit) && bytes.IndexByte(body, '-') > 0
}

// slackHost is where the addresses of Slack's hooks are.
const slackHost = "hooks.slack.com/"

// slackHook reads hooks.slack.com/services/T.../B.../secret.
func slackHook(t []byte, i int) int {
	if !bytes.HasPrefix(t[i:], []byte(slackHost)) {
		return 0
	}
	end := spanOf(t, i+len(slackHost), setAlnum|setSlash, 120)
	if !bytes.HasPrefix(t[i+len(slackHost):end], []byte("services/T")) && !bytes.HasPrefix(t[i+len(slackHost):end], []byte("workflows/T")) {
		return 0
	}
	if parts := bytes.Count(t[i:end], []byte{'/'}); parts < 4 || !varied(t[end-16:end], 6) {
		return 0
	}
	return end
}

// telegramToken reads the number of a bot, a colon and 35 characters.
func telegramToken(t []byte, i int) int {
	end := spanOf(t, i, setDigit, 11)
	if n := end - i; n < 8 || n > 10 || end+36 > len(t) || t[end] != ':' || t[end+1] != 'A' {
		return 0
	}
	last := spanOf(t, end+1, setBase64URL, 36)
	if last != end+36 || !varied(t[end+1:last], 10) {
		return 0
	}
	return last
}

// base64Secret reads, in the run of base 64 t[i:run], keys that only their
// length and the name in front tell apart from other blobs: the secret half of an
// AWS key (40 characters) and the keys of Azure services (64 and 32 bytes).
func base64Secret(t []byte, i, run int, h Hint) (end int, rule string) {
	end = run
	n := end - i
	if n < 40 {
		return 0, ""
	}
	pad := spanOf(t, end, setEqual, 3) - end
	switch {
	case n == 40 && pad == 0 && !allHex(t[i:end]) && (namedFold(t, i, "secret") || containsFold(h.Key, "secret")):
		rule = "aws secret access key"
	case n == 86 && pad == 2 && (hasSuffixFold(t[:i], "accountkey=") || hasSuffixFold(t[:i], "sharedaccesskey=")),
		n == 43 && pad == 1 && hasSuffixFold(t[:i], "sharedaccesskey="):
		rule = "azure account key"
	default:
		return 0, ""
	}
	if !varied(t[i:end], 12) || !has(t[i:end], setDigit) || !has(t[i:end], setUpper) || !has(t[i:end], setLower) {
		return 0, ""
	}
	return end + pad, rule
}

func allHex(t []byte) bool {
	for _, b := range t {
		if !isHex(b) {
			return false
		}
	}
	return true
}

// secretNameReach is how far before a value the name that makes it a secret may
// begin, in bytes.
const secretNameReach = 48

// namedFold reports whether word stands within secretNameReach before i, in any
// case.
func namedFold(t []byte, i int, word string) bool {
	return containsFold(t[lo(i, secretNameReach):i], word)
}

// containsFold reports whether s holds the lower-case ASCII word.
func containsFold[T ~string | ~[]byte](s T, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		n := 0
		for n < len(word) && lower(s[i+n]) == word[n] {
			n++
		}
		if n == len(word) {
			return true
		}
	}
	return false
}

// hasSuffixFold reports whether t ends in the lower-case ASCII word.
func hasSuffixFold(t []byte, word string) bool {
	if len(t) < len(word) {
		return false
	}
	for i, b := range t[len(t)-len(word):] {
		if lower(b) != word[i] {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if b-'A' < 26 {
		b |= 0x20
	}
	return b
}

// secretPlace says whether a secret at its place is part of a protocol rather
// than of a text: the whole value of a member whose name says so. Taking it out
// would break the call, so it is counted and left alone.
func secretPlace(t []byte, start, end int, h Hint) bool {
	if h.ID {
		return true
	}
	if start != 0 || end != len(t) || h.Key == "" {
		return false
	}
	for _, w := range [...]string{"token", "secret", "key", "auth", "credential", "password", "passwd", "pwd", "jwt", "session", "cookie", "signature", "csrf", "nonce", "bearer", "assertion"} {
		if containsFold(h.Key, w) {
			return true
		}
	}
	return senseOfKey(h.Key) == keyID
}
