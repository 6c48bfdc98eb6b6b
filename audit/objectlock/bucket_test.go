package objectlock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/audit/objectlock/objectlocktest"
)

func TestMain(m *testing.M) {
	for k, v := range objectlocktest.Environment() {
		if err := os.Setenv(k, v); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// newBucket makes a bucket, with Object Lock unless plain.
func newBucket(t *testing.T, endpoint, name string, plain bool) *Bucket {
	t.Helper()
	b, prefix, err := Open(t.Context(), Config{URL: "s3://" + name + "/logs", Endpoint: endpoint})
	if err != nil || prefix != "logs" {
		t.Fatalf("opening: %q, %v", prefix, err)
	}
	objectlocktest.CreateBucket(t, endpoint, name, !plain)
	return b
}

// bucketLog is a log of n events in a new data directory.
func bucketLog(t *testing.T, n int) (dir string, id audit.ID) {
	t.Helper()
	dir = t.TempDir()
	if err := audit.Create(t.Context(), dir, audit.Config{Deployment: "acme"}); err != nil {
		t.Fatal(err)
	}
	return dir, record(t, dir, n)
}

func record(t *testing.T, dir string, n int) (id audit.ID) {
	t.Helper()
	l, err := audit.Open(t.Context(), dir, audit.Config{Deployment: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		slot, err := l.Reserve(t.Context(), audit.LaneNormal)
		if err != nil {
			t.Fatal(err)
		}
		r, err := slot.Append(audit.Event{Type: "test.event"}).Wait(t.Context())
		slot.Release()
		if err != nil {
			t.Fatal(err)
		}
		id = r.ID
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}

// archiveOnce runs an archive until it has told once.
func archiveOnce(t *testing.T, dir string, b audit.Bucket) error {
	t.Helper()
	a, err := audit.NewArchive(dir, audit.ArchiveConfig{Bucket: b, Prefix: "logs"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var first error
	err = a.Run(ctx, func(_ int64, err error) { first = err; cancel() })
	return errors.Join(first, err)
}

func verify(t *testing.T, dir string, b audit.Bucket) audit.Report {
	t.Helper()
	trust, err := audit.TrustOf(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.VerifyArchive(t.Context(), b, "logs", audit.VerifyOptions{Trust: trust.Keys, Anchors: trust.Checkpoints, Deadline: time.Now().Add(5 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// F11, A9, A16, A21, against a real server with Object Lock: the archive verifies
// from the bucket alone; what is locked can neither be deleted nor replaced nor its
// lock shortened by who owns the bucket, and what is laid over it harms nothing.
func TestArchiveInS3(t *testing.T) {
	t.Parallel()
	b := newBucket(t, objectlocktest.Start(t), "audit", false)
	dir, _ := bucketLog(t, 300)
	if err := archiveOnce(t, dir, b); err != nil {
		t.Fatal(err)
	}
	record(t, dir, 300)
	if err := archiveOnce(t, dir, b); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir, b); r.Outcome != audit.Valid || r.Entries < 600 || len(r.Notes) > 0 {
		t.Fatalf("got %s, %v, %v", r.Outcome, r.Problems, r.Notes)
	}

	ctx := t.Context()
	var locked []audit.ObjectVersion
	unlocked := 0
	err := b.Versions(ctx, "logs/", func(v audit.ObjectVersion) error {
		if v.Deleted {
			return nil
		}
		out, err := b.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &b.name, Key: &v.Key, VersionId: &v.ID})
		if err != nil {
			unlocked++ // there is no retention to tell
			return nil //nolint:nilerr // that is the answer
		}
		if out.Retention.Mode != types.ObjectLockRetentionModeCompliance || out.Retention.RetainUntilDate.Before(time.Now().AddDate(1, 0, 0)) {
			t.Errorf("%s: got %s until %v", v.Key, out.Retention.Mode, out.Retention.RetainUntilDate)
		}
		locked = append(locked, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two bundles, two tiles of level 0, two checkpoints, the key; without a lock the
	// edges and "checkpoint", in all their versions.
	if len(locked) != 7 || unlocked == 0 {
		t.Errorf("got %d locked and %d other versions", len(locked), unlocked)
	}
	for _, v := range locked {
		name := strings.TrimPrefix(v.Key, "logs/")
		// Servers refuse with different codes: any error is a refusal, and then the
		// version must still be there.
		if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &v.Key, VersionId: &v.ID, BypassGovernanceRetention: aws.Bool(true)}); err == nil {
			t.Errorf("%s: its version was deleted", name)
		}
		if _, err := b.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{
			Bucket: &b.name, Key: &v.Key, VersionId: &v.ID, BypassGovernanceRetention: aws.Bool(true),
			Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: aws.Time(time.Now().Add(time.Hour))},
		}); err == nil {
			t.Errorf("%s: its lock was shortened", name)
		}
		before, err := b.Version(ctx, v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := b.Create(ctx, v.Key, []byte("x"), time.Time{}); !errors.Is(err, audit.ErrObjectExists) {
			t.Errorf("%s: creating it again: got %v, want ErrObjectExists", name, err)
		}
		// Overwriting and deleting without naming a version lay something over it.
		if err := b.Replace(ctx, v.Key, []byte("x")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.Remove(ctx, v.Key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := b.Oldest(ctx, v.Key); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the oldest version is another one: %v", name, err)
		}
	}
	r := verify(t, dir, b)
	if r.Outcome != audit.Valid || len(r.Notes) == 0 {
		t.Errorf("with all of it overwritten and deleted: got %s, %v, %v", r.Outcome, r.Problems, r.Notes)
	}
	if _, err := b.Oldest(ctx, "logs/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: got %v", err)
	}
}

// F11, A7, A11: a bucket that cannot lock, or holds another log, is refused.
func TestUnfitBucket(t *testing.T) {
	t.Parallel()
	endpoint := objectlocktest.Start(t)
	dir, _ := bucketLog(t, 10)
	if err := archiveOnce(t, dir, newBucket(t, endpoint, "plain", true)); err == nil || !strings.Contains(err.Error(), "Object Lock") {
		t.Errorf("without Object Lock: got %v", err)
	}
	b := newBucket(t, endpoint, "shared", false)
	if err := archiveOnce(t, dir, b); err != nil {
		t.Fatal(err)
	}
	other, _ := bucketLog(t, 20)
	if err := archiveOnce(t, other, b); !errors.Is(err, audit.ErrArchiveDiffers) {
		t.Errorf("another log: got %v, want ErrArchiveDiffers", err)
	}
	if r := verify(t, dir, b); r.Outcome != audit.Valid {
		t.Errorf("the first log: got %s, %v", r.Outcome, r.Problems)
	}
	missing, _, err := Open(t.Context(), Config{URL: "s3://nowhere", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	if err := archiveOnce(t, dir, missing); err == nil || errors.Is(err, audit.ErrArchiveDiffers) {
		t.Errorf("no such bucket: got %v", err)
	}
	if r, err := audit.VerifyArchive(t.Context(), missing, "logs", audit.VerifyOptions{}); err != nil || r.Outcome != audit.Incomplete || len(r.Unchecked) == 0 {
		t.Errorf("no such bucket to verify: got %s, %v", r.Outcome, err)
	}
}

// A21, F23: a server that lists without end, or sends without end, ends at the
// deadline.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	var pages atomic.Int32
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("versions") {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			return
		}
		page := pages.Add(1)
		fmt.Fprintf(w, `<?xml version="1.0"?><ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k%d</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>
			<Version><Key>logs/2026h2/checkpoints/%020d</Key><VersionId>v</VersionId><Size>100</Size></Version></ListVersionsResult>`, page, page)
	})}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listen) }()
	t.Cleanup(func() { _ = server.Close() })
	b, _, err := Open(t.Context(), Config{URL: "s3://audit/logs", Endpoint: "http://" + listen.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	// A busy machine may need more than the first time for two pages.
	for wait := 2 * time.Second; pages.Load() < 2 && wait < 5*time.Minute; wait *= 2 {
		start := time.Now()
		r, err := audit.VerifyArchive(t.Context(), b, "logs", audit.VerifyOptions{Deadline: start.Add(wait)})
		if err == nil && r.Outcome == audit.Valid {
			t.Errorf("got %s", r.Outcome)
		}
		if d := time.Since(start); d > wait+time.Minute {
			t.Errorf("took %v of %v", d, wait)
		}
	}
	if pages.Load() < 2 {
		t.Errorf("%d pages were asked for", pages.Load())
	}
	if _, err := b.Version(t.Context(), audit.ObjectVersion{Key: "logs/x"}); err == nil {
		t.Error("an object without end: got nil")
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, bucket, prefix string }{
		{"s3://acme", "acme", ""}, {"s3://acme/", "acme", ""}, {"s3://acme/logs/a/", "acme", "logs/a"},
		{"https://acme", "", ""}, {"s3:///logs", "", ""}, {"acme", "", ""}, {"s3://key:secret@acme", "", ""}, {"s3://acme?x=y", "", ""}, {"s3://%zz", "", ""},
	} {
		bucket, prefix, err := ParseURL(tt.url)
		if bucket != tt.bucket || prefix != tt.prefix || (err == nil) != (tt.bucket != "") {
			t.Errorf("%s: got %q, %q, %v", tt.url, bucket, prefix, err)
		}
	}
}
