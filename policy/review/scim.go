package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Schemas of SCIM 2.0 (RFC 7643, RFC 7644).
const (
	scimList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	scimUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	scimGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// scimResource is what of a User or Group is kept. Others of its members are not read.
type scimResource struct {
	Schemas     []string    `json:"schemas"`
	ID          string      `json:"id"`
	UserName    string      `json:"userName"`
	DisplayName string      `json:"displayName"`
	Active      *bool       `json:"active"`
	Emails      []scimValue `json:"emails"`
	Roles       []scimValue `json:"roles"`
	Groups      []scimValue `json:"groups"`
	Members     []scimValue `json:"members"`
}

type scimValue struct {
	Value   string `json:"value"`
	Display string `json:"display"`
	Primary bool   `json:"primary"`
}

// name is how people call it.
func (v scimValue) name() string {
	if v.Display != "" {
		return v.Display
	}
	return v.Value
}

// parseSCIM reads a ListResponse whose resources are Users, Groups or both. A member of a
// Group is in it, whether its User says so or not. SCIM knows neither the last login nor a
// second factor. A page of a longer list is refused: accounts would be missing, and nobody
// would see which.
func parseSCIM(src []byte) ([]Account, error) {
	var doc struct {
		Schemas   []string       `json:"schemas"`
		Total     *int           `json:"totalResults"`
		Resources []scimResource `json:"Resources"`
	}
	if err := json.Unmarshal(src, &doc); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("%w: not JSON at byte %d", ErrImport, syntax.Offset)
		case errors.As(err, &kind):
			return nil, fmt.Errorf("%w: a member at byte %d has another type than SCIM gives it", ErrImport, kind.Offset)
		}
		return nil, fmt.Errorf("%w: not JSON", ErrImport)
	}
	if !slices.Contains(doc.Schemas, scimList) {
		return nil, fmt.Errorf("%w: schemas does not say %s", ErrImport, scimList)
	}
	if doc.Total == nil || *doc.Total != len(doc.Resources) {
		return nil, fmt.Errorf("%w: totalResults is not the number of Resources: ask for the whole list, or put its pages together", ErrImport)
	}
	if len(doc.Resources) > 2*MaxAccounts {
		return nil, fmt.Errorf("%w: more than %d resources", ErrImport, 2*MaxAccounts)
	}
	groups := make(map[string][]string) // by the id of a member
	for i, r := range doc.Resources {
		if !slices.Contains(r.Schemas, scimGroup) {
			continue
		}
		name := r.DisplayName
		if name == "" {
			name = r.ID
		}
		if name == "" {
			return nil, fmt.Errorf("%w: Resources/%d: a Group without displayName and id", ErrImport, i)
		}
		for _, m := range r.Members {
			groups[m.Value] = append(groups[m.Value], name)
		}
	}
	var out []Account
	for i, r := range doc.Resources {
		if slices.Contains(r.Schemas, scimGroup) {
			continue
		}
		if !slices.Contains(r.Schemas, scimUser) {
			return nil, fmt.Errorf("%w: Resources/%d: neither a User nor a Group", ErrImport, i)
		}
		a, err := r.account(groups)
		if err != nil {
			return nil, fmt.Errorf("%w: Resources/%d: %w", ErrImport, i, err)
		}
		if out = append(out, a); len(out) > MaxAccounts {
			return nil, fmt.Errorf("%w: more than %d accounts", ErrImport, MaxAccounts)
		}
	}
	return out, nil
}

func (r *scimResource) account(groups map[string][]string) (a Account, err error) {
	a.Name = strings.TrimSpace(r.UserName)
	if a.Name == "" {
		return a, errors.New("userName is missing")
	}
	for _, m := range r.Emails {
		if a.Mail == "" || m.Primary {
			a.Mail = strings.TrimSpace(m.Value)
		}
	}
	if err := errors.Join(checkText(a.Name), checkText(a.Mail)); err != nil {
		return a, fmt.Errorf("userName or emails: %w", err)
	}
	var roles, in []string
	for _, v := range r.Roles {
		roles = append(roles, v.name())
	}
	for _, v := range r.Groups {
		in = append(in, v.name())
	}
	if r.ID != "" {
		in = append(in, groups[r.ID]...)
	}
	if a.Roles, err = list(roles); err != nil {
		return a, fmt.Errorf("roles: %w", err)
	}
	if a.Groups, err = list(in); err != nil {
		return a, fmt.Errorf("groups: %w", err)
	}
	if r.Active != nil {
		if a.Active = No; *r.Active {
			a.Active = Yes
		}
	}
	return a, nil
}
