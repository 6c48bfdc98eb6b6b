package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// maxGatewayName bounds the name of a gateway, in bytes: it is part of its log's origin.
const maxGatewayName = 32

// ErrGatewayName says that a name cannot be one of several gateways'.
var ErrGatewayName = errors.New("the name of a gateway has letters, digits and dashes, 32 at most")

// validGateway refuses what is no name of a gateway.
func validGateway(name string) error {
	if name == "" || len(name) > maxGatewayName {
		return ErrGatewayName
	}
	for _, b := range []byte(name) {
		if b != '-' && (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			return ErrGatewayName
		}
	}
	return nil
}

// logName is the first part of the log's origin: the deployment's name, and behind a dot
// that of the gateway where there are several.
func (c DataConfig) logName() string {
	if c.Gateway == "" {
		return c.Name
	}
	return c.Name + "." + c.Gateway
}

// mayJoin refuses a database that is one gateway's alone, before anything is made in it:
// with its log it has what several cannot share.
func mayJoin(ctx context.Context, database string) (err error) {
	db, err := store.Open(ctx, database, store.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	alone, err := db.HasTable(ctx, "audit_lock")
	if err == nil && alone {
		return fmt.Errorf("%s holds the log of a gateway that is alone: others cannot join it", db.Path)
	}
	return err
}

// gateways are those that share a database, as one of them sees them. Safe for concurrent
// use.
type gateways struct {
	db             *store.DB
	name, instance string
}

// joinGateways enters the gateway whose log is in dir, or finds it there. A name stands for
// one log: with another log of that name nobody could tell whose events are whose. The
// process that came last has the name; keepName stops the one before.
func joinGateways(ctx context.Context, db *store.DB, name, dir string) (*gateways, error) {
	public, err := os.ReadFile(filepath.Join(dir, "audit", "log.pub"))
	if err != nil {
		return nil, fmt.Errorf("joining the other gateways: %w", err)
	}
	first, _, _ := strings.Cut(string(public), "\n")
	g := &gateways{db: db, name: name, instance: rand.Text()}
	now, err := db.Now(ctx)
	if err != nil {
		return nil, fmt.Errorf("joining the other gateways: %w", err)
	}
	res, err := db.ExecContext(ctx, `INSERT INTO gateway (name, log_key, instance, joined, opened) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, opened = excluded.opened WHERE gateway.log_key = excluded.log_key`, name, first, g.instance, now.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("joining the other gateways: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return nil, fmt.Errorf("joining the other gateways: %w", err)
	} else if n == 0 {
		return nil, fmt.Errorf("%s knows another gateway called %s, with a log of its own: give this one another name", db.Path, name)
	}
	return g, nil
}

// gateways are those of a data directory that no process has open, until done is called;
// nil for one that is alone.
func (c DataConfig) gateways(ctx context.Context) (g *gateways, done func() error, err error) {
	if c.Gateway == "" {
		return nil, func() error { return nil }, nil
	}
	db, err := store.Open(ctx, c.Database, store.Options{MaxConns: 1, ReadOnly: true})
	if err != nil {
		return nil, nil, fmt.Errorf("looking for other gateways: %w", err)
	}
	return &gateways{db: db, name: c.Gateway}, db.Close, nil
}

// others are the names of the other gateways, sorted; none for one that is alone.
func (g *gateways) others(ctx context.Context) (names []string, err error) {
	if g == nil {
		return nil, nil
	}
	rows, err := g.db.QueryContext(ctx, `SELECT name FROM gateway WHERE name <> $1 ORDER BY name`, g.name)
	if err != nil {
		return nil, fmt.Errorf("looking for other gateways: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("looking for other gateways: %w", err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// errFollowed says that the data directory was opened as a copy somewhere else.
var errFollowed = errors.New("another process has opened the log of this gateway since: its data directory was copied, and only the newest process may go on")

// follows tells whether this process is still the one that opened the gateway's log last.
func (g *gateways) follows(ctx context.Context) error {
	var instance string
	if err := g.db.QueryRowContext(ctx, `SELECT instance FROM gateway WHERE name = $1`, g.name).Scan(&instance); err != nil {
		return fmt.Errorf("looking for this gateway's row: %w", err)
	}
	if instance != g.instance {
		return errFollowed
	}
	return nil
}

// keepNameEvery is how often a gateway looks whether its name is still its own.
const keepNameEvery = 15 * time.Second

// keepName ends the log for this process when another one has opened a copy of it. Between
// the two, for as long as a look takes, both write: that such a log was forked is found by
// its archive or by whoever keeps checkpoints (A7). A database that does not answer ends
// nothing: nothing that needs it is served meanwhile.
func (d *Data) keepName(ctx context.Context, logger *slog.Logger) {
	for next(ctx, keepNameEvery) {
		if d.lookAtName(ctx, logger) {
			return
		}
	}
}

// lookAtName is one look of keepName; over says that there need be no other.
func (d *Data) lookAtName(ctx context.Context, logger *slog.Logger) (over bool) {
	looking, done := context.WithTimeout(ctx, recordTimeout)
	defer done()
	switch err := d.gateways.follows(looking); {
	case errors.Is(err, errFollowed):
		d.Log.Refuse(err)
		return true
	case err != nil && ctx.Err() == nil:
		logger.Warn("looking whether another process has this gateway's name", slog.Any("error", err))
	}
	return false
}
