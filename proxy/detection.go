package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/lists"
)

// detection is what one exchange detects and decides with, from its first byte to its
// last. A change of the operator's lists or policy makes a new one; exchanges that run
// keep theirs, and Caddy is not reloaded.
type detection struct {
	detector *detect.Detector
	policy   *rulesInForce
	// version changes with everything that can change an answer: policy, lists,
	// binary. suffix is its part in entity tags, see validators.go.
	version, suffix string

	lists *lists.File // nil without a file
	// What the file looked like when it was read, and when its next row ends.
	size     int64
	modified time.Time
	next     time.Time
}

// digest names the content of the lists, empty without a file.
func (d *detection) digest() string {
	if d.lists == nil {
		return ""
	}
	return d.lists.Digest()
}

// loadDetection reads the operator's lists, when there are some, and builds the
// detector for what counts at now.
func (a *App) loadDetection(rules *rulesInForce, now time.Time) (*detection, error) {
	d := &detection{policy: rules}
	var config detect.Config
	if a.Detect != "" {
		info, err := os.Stat(a.Detect)
		if err != nil {
			return nil, fmt.Errorf("reading the detection lists: %w", err)
		}
		src, err := os.ReadFile(a.Detect)
		if err != nil {
			return nil, fmt.Errorf("reading the detection lists: %w", err)
		}
		if d.lists, err = lists.Parse(a.Detect, src); err != nil {
			return nil, err
		}
		config = d.lists.Config(now)
		d.size, d.modified, d.next = info.Size(), info.ModTime(), d.lists.Next(now)
		for _, row := range d.lists.Expired(now) {
			a.logger.Warn(d.lists.Warn(row))
		}
	}
	config.Ours = a.ours
	var err error
	if d.detector, err = detect.New(config); err != nil {
		return nil, fmt.Errorf("building the detector: %w", err)
	}
	d.setVersion()
	return d, nil
}

// setVersion names what d would answer. A row that ended changes answers as much as a row
// that was edited.
func (d *detection) setVersion() {
	sum := sha256.Sum256([]byte(d.policy.engine.Digest() + "\x00" + Version() + "\x00" + d.digest() + "\x00" + d.next.String()))
	d.version = hex.EncodeToString(sum[:])
	d.suffix = etagSuffix(d.version[:8])
}

// under is the same detection under another policy.
func (d *detection) under(rules *rulesInForce) *detection {
	other := *d
	other.policy = rules
	other.setVersion()
	return &other
}

// ours finds tokens of the vault. There is one when calls are served; before, nothing
// that is read holds a token.
func (a *App) ours(dst [][2]int, text []byte) [][2]int {
	select {
	case <-a.ready:
		return a.gen.data.Vault.Spans(dst, text)
	default:
		return dst
	}
}

// refreshDetection reads the lists again when their file has changed or a row has
// ended, and reports whether they were taken. A file that is wrong or gone changes
// nothing, nor does one whose event the log does not take: what counted before goes on
// counting, and the error says so.
func (a *App) refreshDetection(ctx context.Context, now time.Time) (bool, error) {
	a.refreshing.Lock()
	defer a.refreshing.Unlock()
	old := a.detection.Load()
	info, err := os.Stat(a.Detect)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // an editor is replacing it; the lists in force stay
	}
	if err != nil {
		return false, fmt.Errorf("looking at the detection lists: %w", err)
	}
	ended := !old.next.IsZero() && !now.Before(old.next)
	if info.Size() == old.size && info.ModTime().Equal(old.modified) && !ended {
		return false, nil
	}
	d, err := a.loadDetection(old.policy, now)
	if err != nil {
		return false, err
	}
	if err := a.recordConfig(ctx, d); err != nil {
		return false, fmt.Errorf("recording the new detection lists: %w", err)
	}
	a.detection.Store(d)
	return true, nil
}

// refreshEvery is how often the file is looked at: soon enough for somebody who
// waits for the effect of an edit, and one system call.
var refreshEvery = 2 * time.Second

// watchDetection keeps the lists current, with a look at every tick, until this
// configuration is given up.
func (a *App) watchDetection(tick *time.Ticker) {
	ctx := a.running()
	defer tick.Stop()
	complained := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		taken, err := a.refreshDetection(ctx, a.now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != complained:
			complained = err.Error()
			a.logger.Error("the detection lists on disk are not in force; those read before are", zap.Error(err))
		case taken:
			complained = ""
			a.logger.Info("detection lists read again", zap.String("digest", a.detection.Load().digest()))
		}
	}
}
