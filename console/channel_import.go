package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Imports reads what vendors have already into the index of records. Errors wrap ErrNotFound
// for a route and an import that there are not, and ErrInvalid, with a text that may be
// shown, for what cannot be done.
type Imports interface {
	// Begin begins an import, or goes on with the one that did not come to its end.
	Begin(ctx context.Context, n NewImport) (Import, error)
	// Next reads its next page, or says how long to wait for it.
	Next(ctx context.Context, id string) (Import, error)
}

// NewImport asks for an import.
type NewImport struct {
	// Route is the name of a route, or of a channel with one route.
	Route string
	// Restart begins at the first page, whatever was read.
	Restart bool
}

// Import is how far an import came.
type Import struct {
	ID string `json:"id"`
	// Route is its route, Account channel and host of the account.
	Route   string    `json:"route"`
	Account string    `json:"account"`
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended,omitzero"`
	// Lists are those of the channel file, in the order in which they are read.
	Lists []ImportList `json:"lists"`
	// Done tells that all were read, and that this is on record.
	Done bool `json:"done"`
	// Wait is how many milliseconds to wait for the next page: the gateway's own calls take
	// a share of the vendor's limit.
	Wait int64 `json:"wait_ms"`
	// Trouble says why a page was not read, empty for one that was; Again that another try
	// may find another answer. Nothing of that page is noted.
	Trouble string `json:"trouble,omitempty"`
	Again   bool   `json:"again"`
}

// ImportList is one of the lists.
type ImportList struct {
	Name  string `json:"name"`
	Pages int    `json:"pages"`
	// Records counts its elements, as often as the vendor listed them.
	Records int  `json:"records"`
	Done    bool `json:"done"`
}

// maxRouteName bounds the name of a route.
const maxRouteName = 128

// decodeNewImport reads {"route", "restart"}.
func decodeNewImport(body []byte) (any, *Refusal) {
	var n NewImport
	if ref := decodeObject(body, member{"route", &n.Route}, member{"restart", &n.Restart}); ref != nil {
		return nil, ref
	}
	if !isText(n.Route, maxRouteName) {
		return nil, refuse(reasonInvalid, "route: want the name of a route or channel", nil)
	}
	return n, nil
}

func importRefusal(err error) *Refusal {
	switch {
	case errors.Is(err, ErrNotFound):
		return refuse(reasonNotFound, "", err)
	case errors.Is(err, ErrInvalid):
		return refuse(reasonInvalid, err.Error(), err)
	}
	return refuse(reasonInternal, "", err)
}

// beginImport answers POST /api/v1/imports.
func beginImport(a *api, c *callState) (answer, *Refusal) {
	i, err := a.Imports.Begin(c.ctx, c.body.(NewImport))
	if err != nil {
		return answer{}, importRefusal(err)
	}
	return answer{status: http.StatusOK, body: i, attrs: map[string]string{"import": i.ID, "route": i.Route, "account": i.Account}}, nil
}

// nextImport answers POST /api/v1/imports/{id}/next.
func nextImport(a *api, c *callState) (answer, *Refusal) {
	i, err := a.Imports.Next(c.ctx, c.param)
	if err != nil {
		return answer{}, importRefusal(err)
	}
	attrs := map[string]string{"import": i.ID, "account": i.Account}
	for _, l := range i.Lists {
		attrs["records_"+l.Name] = strconv.Itoa(l.Records)
	}
	return answer{status: http.StatusOK, body: i, attrs: attrs}, nil
}
