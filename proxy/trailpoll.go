package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/redact/detect"
)

// poller reads one trail into the log. run is its goroutine; state is read by others
// under mu.
type poller struct {
	// name is "<channel>/<log>", key the name of the cursor.
	name, key, upstream string
	ch                  *channel.Channel
	trail               *channel.Trail
	client              *http.Client
	authorize           func() (string, error)
	every, history      time.Duration
	only                []string
	detector            func() *detect.Detector
	metrics             following
	logger              *slog.Logger
	now                 func() time.Time
	pause               func(context.Context, time.Duration) error

	data *Data
	// recent are events that this process found in the log or wrote, so that it need
	// not ask the index for what it reads again.
	recent *lru.Cache[audit.ID, struct{}]
	cur    *trailCursor
	// said is the last trouble that the operator was told of.
	said string

	mu    sync.Mutex
	state trailState
}

// trailState is what status, doctor and metrics tell.
type trailState struct {
	// Until is up to when the vendor's entries are in the log.
	Until time.Time
	// Trouble is the code of what keeps the trail from being read, empty while nothing
	// does, and Status the vendor's answer where there was one.
	Trouble string
	Status  int
	// Gaps counts the leaves about gaps that this process wrote.
	Gaps int64
}

// Codes of what keeps a trail from being read.
const (
	trailCredential = "credential"  // 401, 403, or the reference stands for nothing
	trailLimited    = "limited"     // 429
	trailDown       = "unreachable" // no answer, or 5xx
	trailRefused    = "refused"     // another 4xx, or a redirect
	trailUnreadable = "unreadable"  // an answer that cannot be read
	trailOwn        = "own"         // log, vault or database of the gateway
)

// trailTrouble is a failure to read on. Its text holds nothing of an answer.
type trailTrouble struct {
	code   string
	status int
	// wait is how long the vendor wants to be left alone.
	wait time.Duration
	err  error
}

func (t *trailTrouble) Error() string {
	s := "reading a vendor's log: " + t.code
	if t.status != 0 {
		s += " (HTTP " + strconv.Itoa(t.status) + ")"
	}
	if t.err != nil {
		s += ": " + t.err.Error()
	}
	return s
}

func (t *trailTrouble) Unwrap() error { return t.err }

// Bounds of the calls of one trail.
const (
	// trailPage is the largest answer, decoded.
	trailPage = 10 << 20
	// trailPages are read in one window at most. A window with more is halved.
	trailPages = 1000
	// trailWindowMax is the longest window, for a gateway that was away.
	trailWindowMax = 24 * time.Hour
	// trailPace lies between two calls: vendors allow some 50 a minute for these logs,
	// and other programs want some of them.
	trailPace = 2 * time.Second
	// trailLag is how far a window's end lies behind now: entries are written with the
	// time at which something began.
	trailLag = 10 * time.Second
	// trailRetry and trailRetryMax bound the time to the next try after a failure, which
	// doubles; a vendor's own word may ask for more, up to trailWaitMax.
	trailRetry    = 15 * time.Second
	trailRetryMax = 15 * time.Minute
	trailWaitMax  = 2 * time.Hour
	// trailTries are made of a page that cannot be read; with the pauses between them
	// they take an hour, which a page of a vendor's maintenance may too.
	trailTries = 8
	// trailRecent bounds poller.recent: 16 bytes for each entry of the last minutes.
	trailRecent = 1 << 16
)

// run reads the trail until ctx ends. gen lends it the data directory, run by run.
func (p *poller) run(ctx context.Context, gen *generation) {
	release, err := p.data.trails.hold(ctx, p.key)
	if err != nil {
		return
	}
	defer release()
	for failures := 0; ; {
		more, err := p.borrowed(ctx, gen)
		if ctx.Err() != nil {
			return
		}
		wait := p.every
		switch {
		case err != nil:
			wait = min(trailRetry<<min(failures, 6), trailRetryMax)
			var t *trailTrouble
			if errors.As(err, &t) {
				wait = max(wait, min(t.wait, trailWaitMax))
			}
			failures++
		case more:
			wait, failures = trailPace, 0
		default:
			failures = 0
		}
		p.tell(err)
		if p.pause(ctx, wait) != nil {
			return
		}
	}
}

// errGone says that the data directory was closed.
var errGone = errors.New("the data directory has been closed")

// borrowed is runOnce with the data directory held open.
func (p *poller) borrowed(ctx context.Context, gen *generation) (more bool, err error) {
	held := gen.join()
	if held == nil {
		return false, errGone
	}
	defer func() { err = errors.Join(err, held.release()) }()
	return p.runOnce(ctx)
}

// tell keeps the state for those who ask, and tells the operator once of each change.
func (p *poller) tell(err error) {
	var t *trailTrouble
	code, status := "", 0
	if errors.As(err, &t) {
		code, status = t.code, t.status
	} else if err != nil {
		code = trailOwn
	}
	p.mu.Lock()
	p.state.Trouble, p.state.Status = code, status
	p.mu.Unlock()
	if err != nil {
		p.metrics.failed(code)
	}
	p.metrics.failing(code != "")
	if code == p.said {
		return
	}
	p.said = code
	if err != nil {
		p.logger.Warn("a vendor's log cannot be read for now", "trail", p.name, "trouble", code, "error", err)
	} else {
		p.logger.Info("a vendor's log is read again", "trail", p.name)
	}
}

// State is what status tells of the trail.
func (p *poller) State() trailState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// runOnce reads one page of the trail into the log, or finds that there is none to
// be read. more says that there is another right away. After an error everything is
// as if the page had never been asked for, except that entries of it may be in the
// log.
func (p *poller) runOnce(ctx context.Context) (more bool, err error) {
	if err := p.begin(ctx); err != nil {
		return false, err
	}
	if p.cur.Window == nil && !p.open() {
		return false, p.save(ctx)
	}
	w := p.cur.Window
	query := w.Query
	if query == "" {
		query = p.trail.Query(w.From, w.To)
	}
	page, date, err := p.fetch(ctx, query)
	var t *trailTrouble
	switch {
	case err != nil && w.Back:
		return p.lookFailed(ctx, err)
	case errors.As(err, &t) && t.code == trailRefused && w.Query != "" && !w.Refused:
		// The place in the middle of the window is not known to the vendor any more. The
		// window is read from its beginning; what it shows again is known by its id.
		if err := p.gap(ctx, gapCursor, p.cur.Until, w.To, nil); err != nil {
			return false, err
		}
		p.cur.Window = w.again(w.To)
		p.cur.Window.Refused = true
		return true, p.save(ctx)
	case errors.Is(err, channel.ErrTrailNext), errors.Is(err, errTrailLong):
		return p.lost(ctx, gapPaging)
	case errors.As(err, &t) && t.code == trailUnreadable:
		if w.Failed++; w.Failed >= trailTries {
			return p.lost(ctx, gapUnreadable)
		}
		return false, errors.Join(err, p.save(ctx))
	case err != nil:
		return false, err
	}
	if err := p.record(ctx, page.Entries); err != nil {
		return false, err
	}
	w = p.cur.Window
	w.Unreadable += page.Unreadable
	if w.Pages == 0 {
		w.Clock = date
	}
	w.Query, w.Pages = page.Next, w.Pages+1
	switch {
	case page.Next == "" && w.Back:
		return p.looked(ctx)
	case w.Back && w.Pages >= trailLookPages:
		return p.lookedEnough(ctx)
	case page.Next == "":
		if err := p.close(ctx); err != nil {
			return false, err
		}
		return p.cur.Until.Equal(w.To) && w.To.Before(p.end().Add(-p.every)), p.save(ctx)
	case w.Pages >= trailPages:
		return p.lost(ctx, gapPaging)
	}
	return true, p.save(ctx)
}

// again is the window up to another end, to be read from its beginning.
func (w *trailWindow) again(to time.Time) *trailWindow {
	return &trailWindow{From: w.From, To: to, Mark: w.Mark, Refused: w.Refused, Disordered: w.Disordered}
}

// begin loads the cursor, and states what the vendor no longer holds.
func (p *poller) begin(ctx context.Context) (err error) {
	if p.recent == nil {
		if p.recent, err = lru.New[audit.ID, struct{}](trailRecent); err != nil {
			return err
		}
	}
	now := p.now().UTC().Truncate(time.Second)
	if p.cur == nil {
		if p.cur, err = p.data.trails.load(ctx, p.key); err != nil {
			return err
		}
		if p.cur == nil {
			p.cur = &trailCursor{V: trailCursorVersion, Until: now.Add(-p.history), Said: now.Add(-p.history), Look: now.Add(trailLookEvery)}
			if keeps := p.trail.Keeps; keeps > 0 && p.history > keeps {
				p.cur.Until, p.cur.Said = now.Add(-keeps), now.Add(-keeps)
			}
		}
		if p.cur.Begun.IsZero() {
			p.cur.Begun = p.cur.Until
		}
		// What was durable when the last process ended is found only once it is indexed.
		if err := p.data.Log.Settle(ctx); err != nil {
			p.cur = nil
			return err
		}
		p.reached()
	}
	if keeps := p.trail.Keeps; keeps > 0 && p.cur.Until.Before(now.Add(-keeps)) {
		held := now.Add(-keeps)
		p.cur.Newest = nil
		return p.skipped(ctx, gapRetention, p.cur.Until, held)
	}
	return nil
}

// end is up to when a window may reach now.
func (p *poller) end() time.Time { return p.now().UTC().Add(-trailLag).Truncate(time.Second) }

// open begins a window, when time has passed since the last one.
func (p *poller) open() bool {
	if p.openBack() {
		return true
	}
	to := p.end()
	if limit := p.cur.Until.Add(trailWindowMax); to.After(limit) {
		to = limit
	}
	if !to.After(p.cur.Until) {
		return false // or the clock was set back: what it will have shown then is read then
	}
	// Entries may turn up late, and whether the bounds count is not known.
	p.cur.Window = &trailWindow{From: p.cur.Until.Add(-p.trail.Settles - time.Second), To: to, Mark: p.cur.Newest}
	return true
}

// lost halves a window whose pages do not end, do not lead on, or cannot be read. Of
// a short one it gives up the rest.
func (p *poller) lost(ctx context.Context, why string) (more bool, err error) {
	w := p.cur.Window
	if length := w.To.Sub(p.cur.Until); length > 2*time.Minute {
		p.cur.Window = w.again(p.cur.Until.Add(length / 2).Truncate(time.Second))
		p.cur.Window.Failed = trailTries - 2
		return true, p.save(ctx)
	}
	from := p.cur.Until
	if p.trail.Ascending && w.Last.After(from) && w.Last.Before(w.To) {
		from = w.Last
	}
	return true, p.skipped(ctx, why, from, w.To)
}

// close ends a window that was read to its end.
func (p *poller) close(ctx context.Context) error {
	w, cur := p.cur.Window, p.cur
	if w.Mark != nil && !w.Seen && !w.Mark.Time.Before(w.From.Add(time.Second)) && !w.Mark.Time.After(w.To) {
		// The vendor showed an entry once and does not any more: its log was cut or set
		// back, and what else is missing nobody knows.
		if err := p.gap(ctx, gapVanished, w.From, w.To, nil); err != nil {
			return err
		}
		w.Seen = true
	}
	if w.Unreadable > 0 {
		if err := p.gap(ctx, gapUnreadable, w.From, w.To, map[string]string{"entries": strconv.Itoa(w.Unreadable)}); err != nil {
			return err
		}
	}
	until := w.To
	if limit := w.Clock.UTC().Add(-trailLag).Truncate(time.Second); !w.Clock.IsZero() && limit.Before(until) {
		// Our clock is ahead of the vendor's. What it will write in this window it has
		// not written yet.
		until = limit
	}
	if until.Before(cur.Until.Add(-p.trail.Settles)) {
		// The vendor's clock lies behind what was read already.
		if err := p.gap(ctx, gapClock, until, cur.Until, nil); err != nil {
			return err
		}
		if until.Before(cur.Said) {
			cur.Said = until
		}
	} else if until.Before(cur.Until) {
		until = cur.Until
	}
	if err := p.covered(ctx, w, until); err != nil {
		return err
	}
	cur.Until, cur.Window = until, nil
	p.reached()
	return nil
}

func (p *poller) save(ctx context.Context) error {
	if err := p.data.trails.save(ctx, p.key, p.cur); err != nil {
		p.cur = nil // what is on the disk counts
		return err
	}
	return nil
}

// reached tells how far the trail was read.
func (p *poller) reached() {
	p.mu.Lock()
	p.state.Until = p.cur.Until
	p.mu.Unlock()
	p.metrics.until(p.cur.Until)
}

// fetch asks for one page. date is when the vendor says that it answered, zero when
// it does not.
func (p *poller) fetch(ctx context.Context, query string) (page channel.TrailPage, date time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.upstream+p.trail.Path+"?"+query, nil)
	if err != nil {
		return page, date, &trailTrouble{code: trailUnreadable, err: errors.New("the address of a page is none")}
	}
	authorization, err := p.authorize()
	if err != nil {
		return page, date, &trailTrouble{code: trailCredential, err: err}
	}
	for name, value := range p.trail.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Caregate")
	res, err := p.client.Do(req)
	if err != nil {
		return page, date, &trailTrouble{code: trailDown, err: transportError(err)}
	}
	defer res.Body.Close()
	if date, err = http.ParseTime(res.Header.Get("Date")); err != nil {
		date = time.Time{}
	}
	if res.StatusCode != http.StatusOK {
		return page, date, p.statusTrouble(res)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, trailPage+1))
	switch {
	case err != nil:
		return page, date, &trailTrouble{code: trailDown, status: res.StatusCode, err: transportError(err)}
	case len(raw) > trailPage:
		return page, date, &trailTrouble{code: trailUnreadable, status: res.StatusCode, err: errTrailLong}
	}
	clean, err := p.clean(raw)
	if err == nil {
		page, err = p.trail.Read(query, raw, clean)
	}
	if err != nil {
		return page, date, &trailTrouble{code: trailUnreadable, status: res.StatusCode, err: err}
	}
	return page, date, nil
}

var errTrailLong = errors.New("the answer is longer than 10 MiB")

// transportError keeps the address out of what http.Client says: a cursor may stand
// in it.
func transportError(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// statusTrouble reads an answer that has no page.
func (p *poller) statusTrouble(res *http.Response) error {
	t := &trailTrouble{status: res.StatusCode}
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		t.code = trailCredential
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		t.code = trailLimited
		// RateLimit-Reset is what an API without Retry-After gives, as an instant or in
		// seconds.
		for _, name := range [...]string{"Retry-After", "RateLimit-Reset"} {
			t.wait = max(t.wait, waitOf(res.Header.Get(name), p.now()))
		}
	case s >= 500:
		t.code = trailDown
	default:
		t.code = trailRefused
	}
	return t
}

// waitOf reads a header that says when to come again: in seconds, or an instant.
func waitOf(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		if seconds > 1e9 { // an instant
			return time.Unix(seconds, 0).Sub(now)
		}
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now)
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return at.Sub(now)
	}
	return 0
}

// wanted tells whether an entry is recorded by itself.
func (p *poller) wanted(e *channel.TrailEntry) bool {
	return len(p.only) == 0 || e.Name == channel.OtherEvent || slices.Contains(p.only, string(e.Effect)) || slices.Contains(p.only, string(e.Scope))
}

// fmtInstant is how leaves write the vendor's times.
func fmtInstant(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
