package review

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of an import.
const (
	// MaxImport is how large a file may be, in bytes.
	MaxImport = 8 << 20
	// MaxAccounts is how many accounts one source may have.
	MaxAccounts = 10_000
	// MaxKept bounds what a source's accounts bring into a review, in bytes: a review has each
	// role of an account with all its texts, and a file of SCIM names a group once for all its
	// members.
	MaxKept = 16 << 20
	// MaxSources is how many sources there may be.
	MaxSources = 32
	// maxValue bounds one text of an account, in bytes.
	maxValue = 256
	// maxList bounds the roles, and the groups, of one account.
	maxList = 64
)

// Formats of an import.
const (
	FormatCSV  = "csv"
	FormatSCIM = "scim"
)

// ErrImport is wrapped by errors about a file that cannot be imported. Their texts name
// line or member, and nothing that stands there.
var ErrImport = errors.New("the accounts cannot be imported")

// Account is one account of another system, as that system's export says.
type Account struct {
	// Name is what the system calls the account, Mail the holder's e-mail address; empty
	// when it is not known.
	Name string `json:"name"`
	Mail string `json:"mail,omitempty"`
	// Roles and Groups are what it has there.
	Roles  []string `json:"roles,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// LastLogin is zero when the system does not tell.
	LastLogin time.Time `json:"last_login,omitzero"`
	// MFA and Active are yes, no, or empty when the system does not tell.
	MFA    string `json:"mfa,omitempty"`
	Active string `json:"active,omitempty"`
}

// Words of Account.MFA and Account.Active.
const (
	Yes = "yes"
	No  = "no"
)

// ParseAccounts reads an export in one of the formats. The order is the file's.
func ParseAccounts(format string, src []byte) ([]Account, error) {
	if len(src) > MaxImport {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrImport, MaxImport)
	}
	if !utf8.Valid(src) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrImport)
	}
	var list []Account
	var err error
	switch format {
	case FormatCSV:
		list, err = parseCSV(src)
	case FormatSCIM:
		list, err = parseSCIM(src)
	default:
		return nil, fmt.Errorf("%w: the formats are %s and %s", ErrImport, FormatCSV, FormatSCIM)
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: there is no account in it", ErrImport)
	}
	seen, kept := make(map[string]bool, len(list)), 0
	for i := range list {
		if name := strings.ToLower(list[i].Name); seen[name] {
			return nil, fmt.Errorf("%w: account %d has the name of one before it", ErrImport, i+1)
		} else {
			seen[name] = true
		}
		if kept += list[i].kept(); kept > MaxKept {
			return nil, fmt.Errorf("%w: the roles and groups of its accounts have more than %d bytes, with the groups once for each role: bring the accounts as several sources", ErrImport, MaxKept)
		}
	}
	return list, nil
}

// kept is how many bytes of text a review has of an account.
func (a *Account) kept() int {
	n := len(a.Name) + len(a.Mail)
	for _, group := range a.Groups {
		n += len(group)
	}
	n *= max(1, len(a.Roles))
	for _, role := range a.Roles {
		n += len(role)
	}
	return n
}

// checkText refuses what is too long, and what a terminal or a page could take for more
// than a text.
func checkText(s string) error {
	if len(s) > maxValue {
		return fmt.Errorf("longer than %d bytes", maxValue)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("not printable text")
	}
	return nil
}
