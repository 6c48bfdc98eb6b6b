package review_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/policy/review"
)

const scim = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"Resources":[%s]}`

const (
	user  = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"jane","displayName":"Jane","active":true,"emails":[{"value":"old@example.com"},{"value":"jane@example.com","primary":true}],"roles":[{"value":"admin"}],"groups":[{"value":"g2","display":"billing"}],"meta":{"resourceType":"User"}}`
	other = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"id":"u2","userName":"joe@example.com","active":false}`
	group = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g1","displayName":"desk","members":[{"value":"u1"},{"value":"u9"}]}`
)

func TestParseAccounts(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name, format, src string
		want              []review.Account
		err               string
	}{
		{name: "CSV", format: "csv", src: "\ufeffaccount,Email,roles,groups,last_login,mfa,active\r\njane, jane@example.com ,admin; agent;admin,all,2026-11-22,yes,TRUE\r\n\"joe, jr\",,,,2026-11-22T03:00:00+01:00,no,\r\n",
			want: []review.Account{
				{Name: "jane", Mail: "jane@example.com", Roles: []string{"admin", "agent"}, Groups: []string{"all"}, LastLogin: day, MFA: "yes", Active: "yes"},
				{Name: "joe, jr", LastLogin: day.Add(2 * time.Hour), MFA: "no"},
			}},
		{name: "CSV of one column", format: "csv", src: "account\njane\n", want: []review.Account{{Name: "jane"}}},
		{name: "CSV without account", format: "csv", src: "email\njane@example.com\n", err: "line 1: the column account is missing"},
		{name: "CSV with another column", format: "csv", src: "account,password\njane,zebra\n", err: "line 1: column 2 is not known; the columns are account"},
		{name: "CSV with a column twice", format: "csv", src: "account,mfa,mfa\njane,yes,no\n", err: "line 1: column mfa is there twice"},
		{name: "CSV with a short line", format: "csv", src: "account,mfa\njane,yes\nzebra\n", err: "line 3: wrong number of fields"},
		{name: "CSV with a quote", format: "csv", src: "account\nze\"bra\n", err: "line 2"},
		{name: "CSV with another time", format: "csv", src: "account,last_login\njane,22.11.2026\n", err: "line 2: last_login: wants a day"},
		{name: "CSV with seconds", format: "csv", src: "account,last_login\njane,0001-01-01\n", err: "line 2: last_login: wants a day"},
		{name: "CSV with perhaps", format: "csv", src: "account,mfa\njane,perhaps\n", err: "line 2: mfa: wants yes or no"},
		{name: "CSV with nobody", format: "csv", src: "account,mfa\n,yes\n", err: "line 2: account: wants the account's name"},
		{name: "CSV with a long name", format: "csv", src: "account\n" + strings.Repeat("zebra", 60) + "\n", err: "line 2: account: longer than 256 bytes"},
		{name: "CSV with an escape", format: "csv", src: "account\n\x1b[2Jzebra\n", err: "line 2: account: not printable text"},
		{name: "CSV with too many roles", format: "csv", src: "account,roles\njane," + manyRoles() + "\n", err: "line 2: roles: more than 64"},
		{name: "CSV of nobody", format: "csv", src: "account\n", err: "no account"},
		{name: "CSV of nothing", format: "csv", src: "", err: "the file is empty"},
		{name: "CSV with one account twice", format: "csv", src: "account\nzebra\nZebra\n", err: "account 2 has the name of one before it"},
		{name: "bytes", format: "csv", src: "account\n\xff\xfe\n", err: "not UTF-8"},
		{name: "another format", format: "pdf", src: "x", err: "the formats are csv and scim"},

		{name: "SCIM", format: "scim", src: fmt.Sprintf(scim, 3, user+","+other+","+group), want: []review.Account{
			{Name: "jane", Mail: "jane@example.com", Roles: []string{"admin"}, Groups: []string{"billing", "desk"}, Active: "yes"},
			{Name: "joe@example.com", Active: "no"},
		}},
		{name: "a page of SCIM", format: "scim", src: fmt.Sprintf(scim, 3, user), err: "totalResults is not the number of Resources"},
		{name: "SCIM without a number", format: "scim", src: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"Resources":[` + user + `]}`, err: "totalResults"},
		{name: "SCIM of groups only", format: "scim", src: fmt.Sprintf(scim, 1, group), err: "no account"},
		{name: "SCIM of something else", format: "scim", src: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"]}`, err: "schemas does not say"},
		{name: "SCIM of a device", format: "scim", src: fmt.Sprintf(scim, 1, `{"schemas":["urn:example:Device"],"userName":"zebra"}`), err: "Resources/0: neither a User nor a Group"},
		{name: "SCIM without a name", format: "scim", src: fmt.Sprintf(scim, 1, strings.Replace(user, "userName", "username_", 1)), err: "Resources/0: userName is missing"},
		{name: "SCIM with an escape", format: "scim", src: fmt.Sprintf(scim, 1, strings.Replace(user, "jane\"", "\\u001bzebra\"", 1)), err: "Resources/0: userName or emails: not printable"},
		{name: "SCIM with one id twice", format: "scim", src: fmt.Sprintf(scim, 2, user+","+strings.Replace(other, `"u2"`, `"u1"`, 1)), err: "Resources/1: its id is that of a User before it"},
		{name: "SCIM with too many members", format: "scim", src: fmt.Sprintf(scim, 3, user+","+manyMembers(100_001)+","+manyMembers(100_000)), err: "the groups have more than 200000 members"},
		{name: "SCIM with too many members of one group", format: "scim", src: fmt.Sprintf(scim, 2, user+","+manyMembers(200_001)), err: "more than 200000 elements"},
		{name: "SCIM with too many resources", format: "scim", src: fmt.Sprintf(scim, 20_001, strings.Repeat("{},", 20_000)+"{}"), err: "Resources has more than 20000 elements"},
		{name: "SCIM without an array", format: "scim", src: strings.Replace(fmt.Sprintf(scim, 1, ""), "[]}", `{"zebra":1}}`, 1), err: "Resources has another type than SCIM gives it"},
		{name: "SCIM of one account in many groups, often", format: "scim", src: fmt.Sprintf(scim, 2, other+","+strings.ReplaceAll(manyMembers(200_000), `"a"`, `"u2"`)), want: []review.Account{{Name: "joe@example.com", Groups: []string{"desk"}, Active: "no"}}},
		{name: "SCIM of a few large groups with everybody in them", format: "scim", src: largeGroups(2500, 8), err: "have more than 16777216 bytes"},
		{name: "CSV with the same groups for each role", format: "csv", src: largeRoles(40), err: "have more than 16777216 bytes"},
		{name: "SCIM that is none", format: "scim", src: `{"zebra`, err: "not JSON"},
		{name: "SCIM of another type", format: "scim", src: fmt.Sprintf(scim, 1, strings.Replace(user, "true", `"zebra"`, 1)), err: "another type than SCIM gives it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := review.ParseAccounts(tt.format, []byte(tt.src))
			if tt.err != "" {
				if !errors.Is(err, review.ErrImport) || !strings.Contains(err.Error(), tt.err) || strings.Contains(strings.ToLower(err.Error()), "zebra") {
					t.Errorf("got %v, want one that says %q and repeats nothing", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// largeGroups are accounts with 4 roles that are all in some groups with long names: a small
// file that a review would have much of.
func largeGroups(accounts, groups int) string {
	var all, members []string
	for i := range accounts {
		all = append(all, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u%d","userName":"n%d","roles":[{"value":"a"},{"value":"b"},{"value":"c"},{"value":"d"}]}`, i, i))
		members = append(members, fmt.Sprintf(`{"value":"u%d"}`, i))
	}
	for i := range groups {
		all = append(all, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"%d%s","members":[%s]}`, i, strings.Repeat("g", 255), strings.Join(members, ",")))
	}
	return fmt.Sprintf(scim, len(all), strings.Join(all, ","))
}

// largeRoles are accounts with 64 roles and 64 groups each.
func largeRoles(accounts int) string {
	var roles, groups []string
	for i := range 64 {
		roles, groups = append(roles, fmt.Sprintf("r%d", i)), append(groups, fmt.Sprintf("%d%s", i, strings.Repeat("g", 200)))
	}
	src := "account,roles,groups\n"
	for i := range accounts {
		src += fmt.Sprintf("n%d,%s,%s\n", i, strings.Join(roles, ";"), strings.Join(groups, ";"))
	}
	return src
}

func manyMembers(n int) string {
	return strings.Replace(group, `{"value":"u1"},{"value":"u9"}`, strings.TrimSuffix(strings.Repeat(`{"value":"a"},`, n), ","), 1)
}

func manyRoles() string {
	var b strings.Builder
	for i := range 65 {
		fmt.Fprintf(&b, "role%d;", i)
	}
	return b.String()
}

// FuzzParseAccounts: a file is refused with ErrImport, or gives accounts within the limits,
// each with a name of its own that a terminal can print.
func FuzzParseAccounts(f *testing.F) {
	f.Add(true, []byte("account,email,roles,groups,last_login,mfa,active\njane,jane@example.com,a;b,c,2026-11-22,yes,no\n"))
	f.Add(true, []byte("account\n\"a\nb\"\n"))
	f.Add(true, []byte("\ufeffaccount\r\nx"))
	f.Add(false, []byte(fmt.Sprintf(scim, 3, user+","+other+","+group)))
	f.Add(false, []byte(fmt.Sprintf(scim, 0, "")))
	f.Add(false, []byte(`[]`))
	f.Fuzz(func(t *testing.T, csv bool, src []byte) {
		format := review.FormatSCIM
		if csv {
			format = review.FormatCSV
		}
		list, err := review.ParseAccounts(format, src)
		if err != nil {
			if !errors.Is(err, review.ErrImport) || list != nil {
				t.Errorf("got %v with %d accounts", err, len(list))
			}
			return
		}
		seen, kept := map[string]bool{}, 0
		for _, a := range list {
			for range max(1, len(a.Roles)) {
				kept += len(a.Name) + len(a.Mail) + len(strings.Join(a.Groups, ""))
			}
			kept += len(strings.Join(a.Roles, ""))
			name := strings.ToLower(a.Name)
			if a.Name == "" || seen[name] || len(a.Roles) > 64 || len(a.Groups) > 64 {
				t.Errorf("an account that is none: %d roles, %d groups", len(a.Roles), len(a.Groups))
			}
			seen[name] = true
			for _, s := range append(append([]string{a.Name, a.Mail}, a.Roles...), a.Groups...) {
				if len(s) > 256 || kept > review.MaxKept || strings.ContainsAny(s, "\x1b\n\r\x00") {
					t.Errorf("a text that is none: %q", s)
				}
			}
		}
	})
}
