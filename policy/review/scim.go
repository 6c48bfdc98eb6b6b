package review

import (
	"bytes"
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
	Schemas     []string   `json:"schemas"`
	ID          string     `json:"id"`
	UserName    string     `json:"userName"`
	DisplayName string     `json:"displayName"`
	Active      *bool      `json:"active"`
	Emails      scimValues `json:"emails"`
	Roles       scimValues `json:"roles"`
	Groups      scimValues `json:"groups"`
	Members     scimValues `json:"members"`
}

type scimValue struct {
	Value   string `json:"value"`
	Display string `json:"display"`
	Primary bool   `json:"primary"`
}

// Limits of a list of SCIM, so that a file takes no more memory than its accounts need.
const (
	maxResources = 2 * MaxAccounts
	// maxMembers bounds the members of all groups, and each list of one resource.
	maxMembers = 200_000
)

type (
	scimResources []scimResource
	scimValues    []scimValue
)

// UnmarshalJSON reads at most maxResources.
func (r *scimResources) UnmarshalJSON(b []byte) (err error) {
	*r, err = elements[scimResource](b, "Resources", maxResources)
	return err
}

// UnmarshalJSON reads at most maxMembers.
func (v *scimValues) UnmarshalJSON(b []byte) (err error) {
	*v, err = elements[scimValue](b, "a list of a resource", maxMembers)
	return err
}

// elements reads an array, or null, and stops where there are more than most.
func elements[T any](b []byte, what string, most int) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	switch open, err := d.Token(); {
	case err != nil:
		return nil, fmt.Errorf("%w: %s cannot be read", ErrImport, what)
	case open == nil:
		return nil, nil
	case open != json.Delim('['):
		return nil, fmt.Errorf("%w: %s has another type than SCIM gives it", ErrImport, what)
	}
	var out []T
	for d.More() {
		if len(out) == most {
			return nil, fmt.Errorf("%w: %s has more than %d elements", ErrImport, what, most)
		}
		var v T
		if err := d.Decode(&v); errors.Is(err, ErrImport) {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%w: %s: a member of element %d has another type than SCIM gives it", ErrImport, what, len(out))
		}
		out = append(out, v)
	}
	return out, nil
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
		Schemas   []string      `json:"schemas"`
		Total     *int          `json:"totalResults"`
		Resources scimResources `json:"Resources"`
	}
	if err := json.Unmarshal(src, &doc); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.Is(err, ErrImport):
			return nil, err
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
	members := 0
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
		if members += len(r.Members); members > maxMembers {
			return nil, fmt.Errorf("%w: the groups have more than %d members", ErrImport, maxMembers)
		}
		for _, m := range r.Members {
			groups[m.Value] = append(groups[m.Value], name)
		}
	}
	var out []Account
	ids := make(map[string]bool)
	for i, r := range doc.Resources {
		if slices.Contains(r.Schemas, scimGroup) {
			continue
		}
		if !slices.Contains(r.Schemas, scimUser) {
			return nil, fmt.Errorf("%w: Resources/%d: neither a User nor a Group", ErrImport, i)
		}
		if ids[r.ID] {
			return nil, fmt.Errorf("%w: Resources/%d: its id is that of a User before it", ErrImport, i)
		}
		ids[r.ID] = r.ID != ""
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
