package detect

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

// passwordKeys are the names of fields that hold a password: the last word of a key,
// lower case. Those that mean other things, too, ask more of the value.
var passwordKeys = map[string]nameKind{
	"password": nameSure, "passwd": nameSure, "passwort": nameSure, "passphrase": nameSure, "passcode": nameSure, "kennwort": nameSure, "wachtwoord": nameSure, "userpassword": nameSure,
	"contrasena": nameSure, "contraseña": nameSure, "senha": nameSure, "motdepasse": nameSure, "haslo": nameSure, "hasło": nameSure, "heslo": nameSure, "losenord": nameSure, "lösenord": nameSure,
	"pwd": nameSure, "mdp": nameShort, "pw": nameShort, "pass": nameLoose,
}

// passwordByKey takes all of a text for a password when its key says so, and it is no
// placeholder, word for a state, an address or a sentence.
func passwordByKey(text []byte, key string) (redact.Finding, bool) {
	f := redact.Finding{Class: redact.Password, End: len(text), Confidence: 0.9, Strong: true, Rule: "password, key", Evidence: redact.EvidenceKey}
	if len(text) < 4 || len(text) > 2*maxPassword || text[0] == '/' {
		return f, false
	}
	name := passwordKey(key)
	if name == 0 {
		return f, false
	}
	looks := strengthOf(text)
	switch {
	case bytes.IndexByte(text, ' ') >= 0 || bytes.IndexByte(text, '\n') >= 0:
		return f, false // a label, or a sentence about one
	case looks == looksEmpty && (placeholder(text) || hasPrefixFold(text, "http") || hasPrefixFold(text, "www.")):
		return f, false
	case looks != looksStrong && name != nameSure:
		return f, false
	case looks != looksStrong:
		f.Confidence = 0.7
		for _, w := range notPasswords {
			if len(text) == len(w) && equalFoldWide(text, w) {
				return f, false
			}
		}
		if passwordKey(string(text)) != 0 { // the label of the field
			return f, false
		}
	}
	return f, true
}

// namesPassword reports whether key is the name of a password.
func namesPassword[T []byte | string](key T) bool {
	n := len(key)
	for n > 2 && (key[n-1] == ']' || isDigit(key[n-1])) {
		n--
	}
	if n < 2 || endsOf(key[n-2], key[n-1])&EndsPassword == 0 && (n < len("pw_confirmation") || key[n-1] != 'n' || key[n-2] != 'o') {
		return false
	}
	return passwordKey(string(key)) != 0
}

// passwordKey says how much the last word of key says about a password; 0 is nothing.
// What is asked or told about one is no password: forgot_password, has_password.
func passwordKey(key string) nameKind {
	var buf [2 * maxKey]byte
	name := nameKind(0)
	for rest := wordsOfKey(buf[:0], key); len(rest) > 0; {
		rest = bytes.TrimRight(rest, " []\"'0123456789")
		at := bytes.LastIndexAny(rest, " []") + 1
		w := rest[at:]
		rest = rest[:at]
		if name > 0 {
			if notAsked[string(w)] || name == nameLoose && !loginWords[string(w)] {
				return 0
			}
			return name
		}
		switch string(w) {
		case "confirmation", "confirm", "repeat", "again":
			continue
		}
		if name = passwordKeys[string(w)]; name == 0 {
			return 0
		}
	}
	return name
}

// notAsked are the words in front of a password's name that make of it something else,
// and loginWords those in front of which "pass" is no boarding pass.
var (
	notAsked   = wordSet("forgot", "forgotten", "reset", "change", "changed", "has", "is", "needs", "require", "requires", "required", "show", "hide", "lost", "update", "use", "no", "without", "last")
	loginWords = wordSet("user", "db", "database", "my", "login", "admin", "smtp", "ftp", "sftp", "imap", "mail", "auth", "http", "proxy", "mysql", "root", "wifi", "ssh", "account", "api")
)
