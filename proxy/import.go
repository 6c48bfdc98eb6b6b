package proxy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/retention/index"
)

// consoleImports reads what a vendor has already into the index of records, a page for each
// call of Next. The gateway makes the calls, with the route's own credential and connections,
// and reads answers as it reads everybody's: nobody else holds the credential, and a record
// is found by import where it is found in traffic. Who asks for the pages decides how long
// it goes on; that nothing runs by itself means that nothing runs which nobody looks at.
type consoleImports struct{ a *App }

var _ console.Imports = consoleImports{}

// eventImported is the event about the end of an import: counts, and nothing of the records.
const eventImported = "channel.imported"

// Bounds of an import.
const (
	// importBody and importValues bound a page, where the route's limits are lower: a page
	// has up to 1,000 tickets.
	importBody   = 32 << 20
	importValues = 1_000_000
	// importPages are read of one list at most.
	importPages = 1_000_000
	// importAgain is how long the next try waits after a failure that may pass.
	importAgain = 15 * time.Second
)

// importRoute finds the route of an import: the one with the name, or the only one of the
// channel of that name.
func (a *App) importRoute(name string) (*Handler, error) {
	var found []*Handler
	for _, h := range a.routes {
		if !h.Webhooks && h.Route == name {
			found = []*Handler{h}
			break
		}
		if !h.Webhooks && h.ch.Name == name {
			found = append(found, h)
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%w: no governed route or channel is called so; `caregate doctor` lists the routes", console.ErrNotFound)
	case len(found) > 1:
		return nil, fmt.Errorf("%w: the channel has several routes: name the route", console.ErrInvalid)
	}
	return found[0], a.importable(found[0])
}

// importable tells what is missing for an import over a route.
func (a *App) importable(h *Handler) error {
	switch {
	case len(h.ch.Imports) == 0:
		return fmt.Errorf("%w: the channel file of %s names no lists (`imports`)", console.ErrInvalid, h.ch.Name)
	case h.Credential == nil:
		return fmt.Errorf("%w: the route %s adds no credential, and the gateway has none to ask with: give it one (`credential`)", console.ErrInvalid, h.Route)
	case a.transports[h.Route] == nil:
		return fmt.Errorf("%w: the transport of the route %s does not name it (`route`)", console.ErrInvalid, h.Route)
	}
	return nil
}

// importAccount is what an import and a budget are kept under.
func (a *App) importAccount(h *Handler) string { return h.ch.Name + "/" + a.account(h) }

// Begin implements console.Imports.
func (c consoleImports) Begin(ctx context.Context, n console.NewImport) (console.Import, error) {
	h, err := c.a.importRoute(n.Route)
	if err != nil {
		return console.Import{}, err
	}
	d := c.a.gen.data
	account := c.a.importAccount(h)
	s, version, err := d.imports.load(ctx, account)
	if err != nil {
		return console.Import{}, err
	}
	if s != nil && s.Told && !n.Restart {
		n.Restart = true // what was read to its end is read again
	}
	if s == nil || n.Restart || !sameLists(s, h.ch) {
		s = &importState{V: importStateVersion, Run: audit.NewID().String(), Begun: c.a.now().UTC().Truncate(time.Second)}
		for _, list := range h.ch.Imports {
			s.Lists = append(s.Lists, importList{Name: list.Name})
		}
		if err := d.imports.put(ctx, account, s, version); err != nil {
			return console.Import{}, importError(err)
		}
	}
	return importView(h, account, s), nil
}

// sameLists tells whether a state is about the lists that the channel file has now.
func sameLists(s *importState, ch *channel.Channel) bool {
	return slices.EqualFunc(s.Lists, ch.Imports, func(l importList, i *channel.Import) bool { return l.Name == i.Name })
}

// importError gives errors the names under which console knows them.
func importError(err error) error {
	if errors.Is(err, errImportMoved) {
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

func importView(h *Handler, account string, s *importState) console.Import {
	out := console.Import{ID: s.Run, Route: h.Route, Account: account, Begun: s.Begun, Ended: s.Ended, Done: s.Told}
	for i := range s.Lists {
		l := &s.Lists[i]
		out.Lists = append(out.Lists, console.ImportList{Name: l.Name, Pages: l.Pages, Records: l.Records, Done: l.Done})
	}
	return out
}

// Next implements console.Imports. It reads one page, or says how long to wait for it.
func (c consoleImports) Next(ctx context.Context, run string) (console.Import, error) {
	a, d := c.a, c.a.gen.data
	account, s, version, err := d.imports.find(ctx, run)
	switch {
	case err != nil:
		return console.Import{}, err
	case s == nil:
		return console.Import{}, fmt.Errorf("%w: there is no such import, or another one has taken its place", console.ErrNotFound)
	}
	i := slices.IndexFunc(a.routes, func(h *Handler) bool { return !h.Webhooks && a.importAccount(h) == account && a.importable(h) == nil })
	if i < 0 || !sameLists(s, a.routes[i].ch) {
		return console.Import{}, fmt.Errorf("%w: the configuration has no route for this import any more, or its lists are others: begin it again", console.ErrInvalid)
	}
	h := a.routes[i]
	l := s.list()
	if l == nil {
		if err := a.importEnded(ctx, account, s, version); err != nil {
			return console.Import{}, importError(err)
		}
		return importView(h, account, s), nil
	}
	list := h.ch.Import(l.Name)
	buckets := []bucket{{account: account, rate: h.ch.Budget.Rate}}
	if !list.Limit.IsZero() {
		buckets = append(buckets, bucket{account: account + " " + list.Name, rate: list.Limit, fixed: true})
	}
	wait, err := d.budgets.take(ctx, a.now(), buckets...)
	if err != nil {
		return console.Import{}, err
	}
	if wait > 0 {
		out := importView(h, account, s)
		out.Wait = wait.Milliseconds()
		return out, nil
	}
	page, seen, trouble := a.importPage(ctx, h, list, l.Cursor, account)
	if trouble != nil && trouble.own {
		return console.Import{}, trouble
	}
	if trouble == nil {
		trouble = s.advance(l, page)
	}
	if trouble != nil {
		// Nothing of the page is noted, and the place in the list is where it was.
		out := importView(h, account, s)
		out.Trouble, out.Wait, out.Again = trouble.Error(), trouble.wait.Milliseconds(), trouble.again
		if trouble.again && !trouble.limited {
			out.Wait = max(out.Wait, importAgain.Milliseconds())
		}
		if at := importedAt(s, list); at != "" {
			out.Trouble = at + ": " + out.Trouble
		}
		return out, nil
	}
	// The sightings and the place behind them become durable together: whatever ends the
	// process, a page is noted once or asked for again.
	err = d.Index.NoteWith(ctx, seen, func(ctx context.Context, tx *sql.Tx) error {
		return d.imports.save(ctx, tx, account, s, version)
	})
	if err != nil {
		return console.Import{}, importError(err)
	}
	return importView(h, account, s), nil
}

// importedAt says where in an import something happened.
func importedAt(s *importState, list *channel.Import) string {
	for i := range s.Lists {
		if l := &s.Lists[i]; l.Name == list.Name {
			return "list " + l.Name + ", page " + strconv.Itoa(l.Pages+1)
		}
	}
	return ""
}

// importEnded puts the end of an import on record, once: a crash before the event is known
// to be there finds it by its id.
func (a *App) importEnded(ctx context.Context, account string, s *importState, version int64) error {
	if s.Told {
		return nil
	}
	d := a.gen.data
	id, err := audit.ParseID(s.Run)
	if err != nil {
		return fmt.Errorf("the end of an import: %w", err)
	}
	if err := d.Log.Settle(ctx); err != nil {
		return err
	}
	if _, err := d.Log.Find(ctx, id); errors.Is(err, audit.ErrNotFound) {
		err = a.recordImport(ctx, id, account, s)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	s.Told, s.Ended = true, a.now().UTC().Truncate(time.Second)
	return d.imports.put(ctx, account, s, version)
}

func (a *App) recordImport(ctx context.Context, id audit.ID, account string, s *importState) error {
	slot, err := a.gen.data.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return err
	}
	defer slot.Release()
	name, host, _ := strings.Cut(account, "/")
	attrs := map[string]string{"account": host}
	for i := range s.Lists {
		attrs["records_"+s.Lists[i].Name] = strconv.Itoa(s.Lists[i].Records)
		attrs["pages_"+s.Lists[i].Name] = strconv.Itoa(s.Lists[i].Pages)
	}
	limited, cancel := detached(ctx)
	defer cancel()
	_, err = slot.Append(audit.Event{ID: id, Type: eventImported, Tenant: tenant, Channel: name, Attrs: attrs, Retention: retentionAdministration}).Wait(limited)
	return err
}

// importTrouble is why a page was not read. Its text may be shown: it has nothing of an
// answer.
type importTrouble struct {
	text string
	// again says that the next try may find another answer, limited that the vendor wants to
	// be left alone for wait, own that it is ours.
	again, limited, own bool
	wait                time.Duration
	err                 error
}

func (t *importTrouble) Error() string {
	if t.text == "" {
		return t.err.Error()
	}
	return t.text
}

func (t *importTrouble) Unwrap() error { return t.err }

// advance moves the place in the list behind a page.
func (s *importState) advance(l *importList, page channel.ImportPage) *importTrouble {
	moved := *l
	moved.Records += len(page.IDs)
	switch {
	case page.Next == "":
		moved.Pages++
		moved.Done, moved.Cursor, moved.Mark, moved.MarkAt = true, "", "", 0
	case moved.turned(page.Next):
		return &importTrouble{text: "the vendor's cursors go in a circle: it gives one again that it gave before"}
	case moved.Pages >= importPages:
		return &importTrouble{text: "the list does not end: more than " + strconv.Itoa(importPages) + " pages"}
	}
	*l = moved
	return nil
}

// importPage asks the vendor for a page and reads it as an answer is read that passes.
func (a *App) importPage(ctx context.Context, h *Handler, list *channel.Import, cursor, account string) (page channel.ImportPage, seen []index.Sighting, trouble *importTrouble) {
	asked := a.now()
	x := a.ownExchange(h, list.Operation)
	x.response.people.most = importValues
	res, trouble := a.ownCall(ctx, x, http.MethodGet, list.Operation.Pattern+"?"+list.Query(cursor), nil)
	if trouble != nil {
		return page, nil, trouble
	}
	defer res.Body.Close()
	wait, err := a.gen.data.budgets.answered(ctx, a.now(), account, h.ch.Budget, res.StatusCode, res.Header)
	if err != nil {
		return page, nil, &importTrouble{own: true, err: err}
	}
	if trouble := importStatus(res.StatusCode, wait, cursor); trouble != nil {
		return page, nil, trouble
	}
	if ref := x.readResponse(res); ref != nil {
		return page, nil, importUnread(ref, x.h.Limits.Body)
	}
	if b := &x.response.body; b.present && b.kind != walk.JSON {
		return page, nil, &importTrouble{text: "the answer is no JSON, by its Content-Type"}
	}
	if ref := x.detectBody(&x.response, list.Operation.Response); ref != nil {
		return page, nil, importUnread(ref, x.h.Limits.Body)
	}
	if page, err = list.Read(cursor, x.response.body.plain); err != nil {
		return page, nil, &importTrouble{err: err}
	}
	if err := x.index(ctx, &x.response); err != nil {
		return page, nil, &importTrouble{own: true, err: err}
	}
	seen = x.sightings(&x.response, res.StatusCode)
	of := make(map[string]bool, len(seen))
	for i := range seen {
		seen[i].At, seen[i].Backfilled = asked, true
		if seen[i].Record.Type == list.Record {
			of[seen[i].Record.ID] = true
		}
	}
	for i, id := range page.IDs {
		if !of[id] {
			return page, nil, &importTrouble{text: "the places of " + list.Operation.Name + " in the channel file find no record " + list.Record + " in element " + strconv.Itoa(i+1)}
		}
	}
	return page, seen, nil
}

// importStatus reads the status of an answer.
func importStatus(status int, wait time.Duration, cursor string) *importTrouble {
	said := "the vendor answered " + strconv.Itoa(status)
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return &importTrouble{text: said, again: true, limited: true, wait: wait}
	case status >= 500:
		return &importTrouble{text: said, again: true}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &importTrouble{text: said + ": the credential of the route may not read this list"}
	case cursor != "":
		return &importTrouble{text: said + ": it may not know the place any more at which the import stood; --restart begins at the first page"}
	}
	return &importTrouble{text: said}
}

// importUnread is an answer that could not be read.
func importUnread(ref *refusal, most int64) *importTrouble {
	t := &importTrouble{text: "the answer could not be read (" + ref.code + ")", err: ref}
	if ref.offset >= 0 {
		t.text += " at byte " + strconv.FormatInt(ref.offset, 10)
	}
	switch ref.code {
	case reasonUpstreamAborted, reasonUpstreamTimeout:
		t.again = true
	case reasonTooLarge:
		t.text += ": it is longer than " + strconv.FormatInt(most>>20, 10) + " MiB"
	}
	return t
}
