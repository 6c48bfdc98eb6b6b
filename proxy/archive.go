package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/objectlock"
)

// ArchiveConfig says where the audit log is copied to: a bucket with Object Lock,
// whose objects nobody can delete before their time, the owner of the account
// included. Nothing that the gateway does waits for it.
type ArchiveConfig struct {
	// URL is s3://BUCKET or s3://BUCKET/PREFIX. Required. Credentials come from the
	// environment, AWS's shared files, or the role of the machine or container, and
	// need no right to delete versions.
	URL string `json:"url"`
	// Endpoint is the address of an S3 server that is not AWS. Default AWS.
	Endpoint string `json:"endpoint,omitempty"`
	// Region of the bucket. Default: what the environment says.
	Region string `json:"region,omitempty"`
	// Retain is how long objects stay locked after the half year that they belong to,
	// as P12M or P6Y. It cannot be shortened later. Default P12M.
	Retain string `json:"retain,omitempty"`
	// Every is the time between two runs. Default 5 minutes.
	Every caddy.Duration `json:"every,omitempty"`
}

// months is Retain in months, 0 for the default.
func (c *ArchiveConfig) months() (int, error) {
	if c.Retain == "" {
		return 0, nil
	}
	n := len(c.Retain)
	if n < 3 || c.Retain[0] != 'P' {
		return 0, errRetain
	}
	count, err := strconv.ParseUint(c.Retain[1:n-1], 10, 16)
	if err != nil || count == 0 {
		return 0, errRetain
	}
	switch c.Retain[n-1] {
	case 'M':
	case 'Y':
		count *= 12
	default:
		return 0, errRetain
	}
	if count > maxRetain {
		return 0, errors.New("archive retain is longer than a hundred years, and a lock cannot be taken back")
	}
	return int(count), nil
}

var errRetain = errors.New("archive retain wants months or years, as P12M or P6Y")

// maxRetain is a hundred years in months: more is a slip of the finger that could
// never be corrected.
const maxRetain = 1200

func (c *ArchiveConfig) validate() error {
	if c == nil {
		return nil
	}
	if _, _, err := objectlock.ParseURL(c.URL); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if c.Every < 0 {
		return errors.New("archive every lies in the past")
	}
	_, err := c.months()
	return err
}

// parseArchive reads
//
//	archive s3://<bucket>[/<prefix>] {
//		endpoint <url>
//		region   <name>
//		retain   P12M
//		every    5m
//	}
func parseArchive(d *caddyfile.Dispenser) (*ArchiveConfig, error) {
	c := new(ArchiveConfig)
	if !d.Args(&c.URL) {
		return nil, d.Err("archive wants a bucket with Object Lock, for example: archive s3://acme-audit")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		var value string
		if !d.Args(&value) {
			return nil, d.ArgErr()
		}
		switch option {
		case "endpoint":
			c.Endpoint = value
		case "region":
			c.Region = value
		case "retain":
			c.Retain = value
		case "every":
			every, err := caddy.ParseDuration(value)
			if err != nil {
				return nil, d.Errf("archive every: %v", err)
			}
			c.Every = caddy.Duration(every)
		default:
			return nil, d.Errf("unknown option %s of archive; it has endpoint, region, retain, every", option)
		}
	}
	if err := c.validate(); err != nil {
		return nil, d.Err(err.Error())
	}
	return c, nil
}

// compareTime bounds the question to the archive at a start. Calls wait for it, and a
// bucket that is out of reach must not keep the gateway from starting.
const compareTime = 15 * time.Second

// openArchive prepares the archive and compares the log with it, before the log is
// opened. A log that is older than its archive is not opened (audit invariant A19). When
// the bucket cannot be asked, calls go on, and the first run that reaches it decides.
func (a *App) openArchive(ctx context.Context) (archive *audit.Archive, compared bool, err error) {
	if a.Archive == nil {
		return nil, false, nil
	}
	repl := caddy.NewReplacer()
	months, err := a.Archive.months()
	if err != nil {
		return nil, false, err
	}
	bucket, prefix, err := objectlock.Open(ctx, objectlock.Config{
		URL: repl.ReplaceKnown(a.Archive.URL, ""), Endpoint: repl.ReplaceKnown(a.Archive.Endpoint, ""), Region: repl.ReplaceKnown(a.Archive.Region, ""),
	})
	if err != nil {
		return nil, false, fmt.Errorf("archive: %w", err)
	}
	archive, err = audit.NewArchive(a.config.Dir, audit.ArchiveConfig{
		Bucket: bucket, Prefix: prefix, Retain: months, Every: time.Duration(a.Archive.Every), Logger: a.config.Logger,
	})
	if err != nil {
		return nil, false, err
	}
	if _, _, err := holdsData(a.config.Dir); err != nil {
		return nil, false, err
	}
	ask, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	switch err := archive.Compare(ask); {
	case errors.Is(err, audit.ErrArchiveDiffers):
		return nil, false, err
	case errors.Is(err, audit.ErrMissing):
		return archive, true, nil // the log is about to be made
	case err != nil:
		a.logger.Warn("the archive cannot be asked whether the audit log was set back; the first run that reaches it will", zap.Error(err))
		return archive, false, nil
	}
	return archive, true, nil
}

// startArchive begins to archive the log until this configuration is over. Two
// configurations may do so at once for a moment: what one has stored the other
// finds there.
func (a *App) startArchive(archive *audit.Archive, compared bool) {
	if archive == nil {
		return
	}
	run, log := a.running(), a.gen.data.Log
	go func() {
		failing := true // until the first run has ended
		// The archive itself tells what went wrong; Run returns when it is over.
		err := archive.Run(run, func(size int64, err error) {
			a.metrics.archived(size, err)
			if failing && err == nil {
				a.logger.Info("the audit log is archived", zap.String("bucket", a.Archive.URL), zap.Int64("entries", size))
			}
			failing = err != nil
			compared = compared || err == nil
		})
		if errors.Is(err, audit.ErrArchiveDiffers) && !compared {
			log.Refuse(err)
		}
	}()
}
