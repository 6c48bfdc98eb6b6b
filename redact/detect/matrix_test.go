package detect

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/view"
)

// separators are what people put between the groups of a card number.
var separators = map[string]string{
	"none": "", "space": " ", "two spaces": "  ", "tab": "\t", "hyphen": "-", "spaced hyphen": " - ", "dot": ".", "comma": ",", "comma and space": ", ", "slash": "/", "underscore": "_",
	"star": "*", "pipe": "|", "colon": ":", "plus": "+", "line feed": "\n", "carriage return": "\r\n", "bullet": "\u2022", "spaced bullet": " \u2022 ", "middle dot": "\u00b7",
	"no-break space": "\u00a0", "thin space": "\u2009", "narrow space": "\u202f", "ideographic space": "\u3000", "en dash": "\u2013", "em dash": "\u2014", "spaced en dash": " \u2013 ", "minus": "\u2212",
	"katakana dot": "\u30fb", "full-width hyphen": "\uff0d", "zero width space": "\u200b", "joiner": "\u200d", "soft hyphen": "\u00ad", "word joiner": "\u2060", "left-to-right mark": "\u200e",
	"byte order mark": "\ufeff", "grapheme joiner": "\u034f", "letter mark": "\u061c", "vowel separator": "\u180e", "variation selector": "\ufe0f", "isolate": "\u2068", "brackets": ") (",
	"square brackets": "] [", "line separator": "\u2028", "tilde": "~", "number sign": "#", "semicolon": ";", "spaced equals": " = ", "two hyphens": " -- ", "three dots": " ... ", "four spaces": "    ",
	"two tabs": "\t\t", "quotes": `", "`, "lower case x": " x ", "uh": " uh ", "and then": ", and then ", "coma": " coma ", "Strich": " Strich ", "tiret": " tiret ",
}

// scripted writes digits from another zero on.
func scripted(zero rune) func(string) string {
	return func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return zero + r - '0'
			}
			return r
		}, s)
	}
}

// each writes each character of a text in a form of its own.
func each(form func(r rune) string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(form(r))
		}
		return b.String()
	}
}

// digitwise is each for digits only.
func digitwise(form func(r rune) string) func(string) string {
	return each(func(r rune) string {
		if r < '0' || r > '9' {
			return string(r)
		}
		return form(r)
	})
}

func jsonEscape(r rune) string {
	if r > 0xFFFF {
		r -= 0x10000
		return fmt.Sprintf(`\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func triples(sign string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, "%s%02X", sign, s[i])
		}
		return b.String()
	}
}

func chain2(f, g func(string) string) func(string) string {
	return func(s string) string { return g(f(s)) }
}

// encodings are the ways to write a number that are undone. Those in whole take
// the number with its separators; a base64 of separators between all digits has no
// group of three digits and is in there too.
var encodings = map[string]func(string) string{
	"plain":                   func(s string) string { return s },
	"full width":              scripted(0xFF10),
	"arabic-indic":            scripted(0x0660),
	"persian":                 scripted(0x06F0),
	"devanagari":              scripted(0x0966),
	"bengali":                 scripted(0x09E6),
	"thai":                    scripted(0x0E50),
	"lao":                     scripted(0x0ED0),
	"tibetan":                 scripted(0x0F20),
	"myanmar":                 scripted(0x1040),
	"khmer":                   scripted(0x17E0),
	"mathematical bold":       scripted(0x1D7CE),
	"mathematical double":     scripted(0x1D7D8),
	"mathematical mono":       scripted(0x1D7F6),
	"subscript":               scripted(0x2080),
	"superscript":             digitwise(func(r rune) string { return string([]rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[r-'0']) }),
	"circled":                 digitwise(func(r rune) string { return string([]rune("⓪①②③④⑤⑥⑦⑧⑨")[r-'0']) }),
	"keycaps":                 digitwise(func(r rune) string { return string(r) + "\ufe0f\u20e3" }),
	"two scripts":             chain2(scripted(0xFF10), func(s string) string { return strings.Replace(s, "\uff11", "1", 3) }),
	"decimal entities":        each(func(r rune) string { return fmt.Sprintf("&#%d;", r) }),
	"hexadecimal entities":    each(func(r rune) string { return fmt.Sprintf("&#x%x;", r) }),
	"entities, leading zeros": each(func(r rune) string { return fmt.Sprintf("&#%07d;", r) }),
	"entities, no semicolon":  digitwise(func(r rune) string { return fmt.Sprintf("&#%d", r) }),
	"entities of entities":    each(func(r rune) string { return fmt.Sprintf("&amp;#%d;", r) }),
	"entities of full width":  chain2(scripted(0xFF10), each(func(r rune) string { return fmt.Sprintf("&#x%X;", r) })),
	"bold tags":               digitwise(func(r rune) string { return "<b>" + string(r) + "</b>" }),
	"spans":                   digitwise(func(r rune) string { return `<span class="d">` + string(r) + "</span>" }),
	"word break tags":         digitwise(func(r rune) string { return string(r) + "<wbr>" }),
	"comments":                digitwise(func(r rune) string { return string(r) + "<!-- -->" }),
	"percent":                 triples("%"),
	"percent twice":           chain2(triples("%"), func(s string) string { return strings.ReplaceAll(s, "%", "%25") }),
	"percent of full width":   chain2(scripted(0xFF10), triples("%")),
	"query":                   url.QueryEscape,
	"path":                    url.PathEscape,
	"json escapes":            each(jsonEscape),
	"json escapes twice":      each(func(r rune) string { return `\` + jsonEscape(r) }),
	"json of mathematical":    chain2(scripted(0x1D7CE), each(jsonEscape)),
	"quoted-printable":        triples("="),
	"quoted-printable, bare":  func(s string) string { return strings.NewReplacer("4", "=34", "\u00a0", "=C2=A0").Replace(s) },
	"soft line breaks":        func(s string) string { return s[:3] + "=\r\n" + s[3:] },
	"base64":                  func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 in a sentence": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("my card is " + s + ", thanks"))
	},
	"base64, second phase": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x " + s)) },
	"base64, third phase":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte(" " + s)) },
	"base64 for addresses": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("card: " + s)) },
	"base64 of base64": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("a " + base64.StdEncoding.EncodeToString([]byte("card "+s)) + " b"))
	},
	"hexadecimal":               func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hexadecimal in a sentence": func(s string) string { return "0x" + hex.EncodeToString([]byte("card "+s+", ok")) },
	"encoded word, base64":      func(s string) string { return "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?=" },
	"encoded word, quoted":      func(s string) string { return "=?utf-8?Q?" + strings.ReplaceAll(triples("=")(s), "=20", "_") + "?=" },
	"base64 of json escapes": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(`{"card":"` + each(jsonEscape)(s) + `"}`))
	},
}

// matrixCards are one card for each row of the brand table and each length.
func matrixCards() map[string]string {
	cards := map[string]string{}
	for _, b := range Brands() {
		from, _, _ := cutRange(b.Prefixes[0])
		for _, n := range b.Lengths {
			cards[fmt.Sprintf("%s %d", b.Name, n)] = complete(from, n)
		}
	}
	return cards
}

// printedGroups is the number as it is printed, in groups with sep between.
func printedGroups(card, sep string) string {
	sizes := []int{4, 4, 4, 4, 3}
	switch len(card) {
	case 13:
		sizes = []int{4, 3, 3, 3}
	case 14:
		sizes = []int{4, 6, 4}
	case 15:
		sizes = []int{4, 6, 5}
	}
	var groups []string
	for _, n := range sizes {
		n = min(n, len(card))
		if n > 0 {
			groups = append(groups, card[:n])
		}
		card = card[n:]
	}
	return strings.Join(groups, sep)
}

// Every scheme at every length, with every separator, in every encoding: each is
// found, nothing but it is masked, and the mask is not found again.
func TestMatrix(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	cards := matrixCards()
	cases := 0
	for enc, encode := range encodings {
		t.Run(enc, func(t *testing.T) {
			t.Parallel()
			for sep, between := range separators {
				if !survives(enc, between) {
					continue
				}
				for name, card := range cards {
					if testing.Short() && (len(name)+len(sep)+len(enc))%7 != 0 {
						continue
					}
					written := encode(printedGroups(card, between))
					if strings.HasPrefix(enc, "base64") && len(written) < view.MinNumber64 || len(card) == 12 && sep == "none" && enc == "encoded word, base64" {
						continue // shorter than what is looked at
					}
					text := []byte("my card number " + written + " is declined")
					found := d.Text(nil, text, Hint{})
					n := 0
					for _, f := range found {
						if f.Class == redact.CreditCard {
							n++
						}
					}
					if n != 1 {
						t.Errorf("%s, %s: %d cards found", name, sep, n)
						continue
					}
					masked := maskAllOf(text, found)
					if again := d.Text(nil, masked, Hint{}); len(again) > 0 {
						t.Errorf("%s, %s: the mask is found again by rule %q", name, sep, again[0].Rule)
					}
					if !utf8.Valid(masked) {
						t.Errorf("%s, %s: the mask is no text", name, sep)
					}
				}
			}
		})
		cases += len(separators) * len(cards)
	}
	if cases < 50_000 {
		t.Errorf("only %d cases", cases)
	}
}

// survives leaves out what means something else: an encoding whose signs stand for
// the separator, or a separator that ends the encoding.
func survives(enc, sep string) bool {
	switch enc {
	case "encoded word, quoted", "encoded word, base64":
		return !strings.ContainsAny(sep, "\r\n\u2028") // they are folded out of headers
	case "entities, no semicolon":
		return sep != "" // digits of the next entity would follow
	case "path", "query":
		spoken := strings.ContainsAny(sep, "aetux")
		return !spoken || enc == "query" && sep != ", and then " // words in an address are none that people say
	}
	return true
}

func maskAllOf(text []byte, found []redact.Finding) []byte {
	var out []byte
	at := 0
	for _, f := range found {
		out = append(out, text[at:f.Start]...)
		out = transform.Append(out, text[f.Start:f.End], f.Class, redact.Mask)
		at = f.End
	}
	return append(out, text[at:]...)
}
