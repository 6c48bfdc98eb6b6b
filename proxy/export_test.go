package proxy

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/vault"
)

// What these times bound takes milliseconds. On a busy machine, and under the race detector,
// it takes as long as it takes: that somebody gives up is tested where it is meant, with
// Within.
func init() {
	const patience = 5 * time.Minute
	for _, bound := range []*time.Duration{&recordTimeout, &settleTime, &repetitionWait, &lingerTime, &policyTimeout} {
		*bound = patience
	}
	startWait = time.Minute
}

// Times that a test may need to be others.
var (
	FirstDelay   = &firstDelay
	RefreshEvery = &refreshEvery
	// YoungestToken is oauth.KeeperConfig's Youngest.
	YoungestToken = &youngestToken
)

// LingerTime is how long a caller who was refused may go on sending.
func LingerTime() time.Duration { return lingerTime }

// RestlessAfter is how long files of the policy may go on changing before that is told.
var RestlessAfter = &restlessAfter

// Within makes a time another one until the test has ended. A test that calls it is not
// parallel, and starts its gateway behind.
func Within(tb testing.TB, bound *time.Duration, d time.Duration) {
	tb.Helper()
	was := *bound
	*bound = d
	tb.Cleanup(func() { *bound = was })
}

// RolloutEvery is how often rollouts are looked at.
var RolloutEvery = &rolloutEvery

// LapseEvery is how often unused rights to reveal are looked for.
var LapseEvery = &lapseEvery

// NoteRevealerPause is for how long no holder of a right to reveal is noted after a failure.
var NoteRevealerPause = &noteRevealerPause

// IdleEnough is how long a connection has rested before a reload may close it.
const IdleEnough = idleEnough

// Break makes a stage of every running governed route panic, and returns what
// repairs it. No call may be in that stage meanwhile.
func Break(stage string) (repair func()) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		panic(err)
	}
	a := v.(*App)
	// In place, so that calls under way are hit. Nothing else may read what is broken: the
	// policy's engine is watched, every RolloutEvery.
	in := a.detection.Load()
	switch stage {
	case "identify":
		return without(&in.policy.resolver)
	case "detect":
		return without(&in.detector)
	case "decide":
		return without(&in.policy.engine)
	}
	panic("no stage that is called " + stage)
}

func without[T any](part **T) (repair func()) {
	was := *part
	*part = nil
	return func() { *part = was }
}

// LeaveRoom fills a lane of the running gateway's queue until there is room for n events of
// it and returns what empties it again.
func LeaveRoom(ctx context.Context, lane audit.Lane, n int) (free func(), err error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return nil, err
	}
	log := v.(*App).gen.data.Log
	var slots []*audit.Slot
	for {
		s, err := log.Reserve(ctx, lane)
		if err != nil {
			break
		}
		slots = append(slots, s)
	}
	for range n {
		slots[len(slots)-1].Release()
		slots = slots[:len(slots)-1]
	}
	return func() {
		for _, s := range slots {
			s.Release()
		}
	}, nil
}

// RefreshDetection looks at the lists of the running configuration once, as if it
// were now.
func RefreshDetection(now time.Time) (taken bool, err error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return false, err
	}
	return v.(*App).refreshDetection(context.Background(), now)
}

// TakePolicy takes the policy of the running configuration that is on disk, as if its files
// had been seen like stamp says.
func TakePolicy(ctx context.Context, stamp string) error {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return err
	}
	return v.(*App).takePolicy(ctx, stamp)
}

// PolicyInForce is the digest of the running configuration's policy.
func PolicyInForce() string {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		panic(err)
	}
	return v.(*App).rules().engine.Digest()
}

// SetNow makes the running configuration take now for the time.
func SetNow(now func() time.Time) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		panic(err)
	}
	v.(*App).clock.Store(&now)
}

// SweepConversations wipes what is too old at now of what the running configuration
// remembers, and returns how many conversations are left.
func SweepConversations(now time.Time) int {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		panic(err)
	}
	return v.(*App).gen.data.conversations.sweep(now)
}

// SubjectDetails opens the sealed details of an event that are about no actor. The
// event has to be in the log's tree.
func SubjectDetails(ctx context.Context, receipt string) ([]string, error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return nil, err
	}
	data := v.(*App).gen.data
	id, err := audit.ParseID(receipt)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, filepath.Join(data.Dir, "audit", "detail.db"), store.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT part, key, ciphertext, commitment FROM audit_detail WHERE part LIKE 'subject%'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var part string
		var s vault.Sealed
		if err := rows.Scan(&part, &s.Key, &s.Ciphertext, &s.Commitment); err != nil {
			return nil, err
		}
		plain, err := data.Vault.Open(ctx, s, vault.AD(data.Log.Origin(), id, part))
		if err == nil { // the others are of other events
			out = append(out, string(plain))
		}
	}
	return out, rows.Err()
}

// EarlierPieces reads the counter of earlier pieces, of all routes and classes.
func EarlierPieces() (n float64) {
	r := prometheus.NewRegistry()
	r.MustRegister(processMetrics.earlier)
	families, err := r.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}

// PolicyMetrics reads whether what is offered of the policy is not in force, and the
// revision of the bundle that is.
func PolicyMetrics() (behind, revision float64) {
	r := prometheus.NewRegistry()
	r.MustRegister(processMetrics.policyBehind, processMetrics.bundleRevision)
	families, err := r.Gather()
	if err != nil {
		panic(err)
	}
	// In order of name: behind, bundle.
	return families[0].GetMetric()[0].GetGauge().GetValue(), families[1].GetMetric()[0].GetGauge().GetValue()
}

// TokenNames are the names of tokens in the leaf of a receipt.
func TokenNames(ctx context.Context, receipt string) ([]string, error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return nil, err
	}
	id, err := audit.ParseID(receipt)
	if err != nil {
		return nil, err
	}
	e, err := v.(*App).gen.data.Log.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.Tokens, nil
}

// TellExpired records that an approval's time was over, in the running configuration.
func TellExpired(ctx context.Context, ap policy.Approval) error {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return err
	}
	return v.(*App).gen.data.tellExpired(ctx, ap)
}

// RevealToken is the value behind a token in the vault of the running configuration.
func RevealToken(ctx context.Context, token string) (string, error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return "", err
	}
	value, err := v.(*App).gen.data.Vault.Reveal(ctx, token)
	return string(value.Text), err
}

// CloseVault closes the vault of the running configuration, its database too.
func CloseVault() error {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return err
	}
	return v.(*App).gen.data.Vault.Close()
}

// RenewVault asks the seal of the running configuration's keys again, as it does from
// time to time.
func RenewVault(ctx context.Context) error {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return err
	}
	return v.(*App).gen.data.Vault.Renew(ctx)
}

// PeriodBefore is the midnight before which what is kept for a period has expired.
func PeriodBefore(period string, now time.Time) (time.Time, error) {
	p, err := parsePeriod(period)
	return p.before(now), err
}

// Expire deletes the details whose retention would be over at now.
func Expire(ctx context.Context, d *Data, now time.Time) (why string, n int64, err error) {
	list, err := (*DetailsConfig)(nil).periods()
	if err != nil {
		return "", 0, err
	}
	return d.expire(ctx, now, list, time.Time{})
}

// JudgeRollouts writes what was counted of rollouts and sends back what passes its rates, as
// happens four times a second.
func JudgeRollouts(ctx context.Context) error {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return err
	}
	a := v.(*App)
	return a.judgeRollouts(ctx, a.rules().engine, false)
}

// LookAgain looks once at what lies in no trash any more, and says how long to wait for the next.
func LookAgain(ctx context.Context) (time.Duration, error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return 0, err
	}
	return v.(*App).lookOnce(ctx)
}
