// Package objectlock keeps the archive of an audit log in an S3 bucket with
// Object Lock: objects are created once, locked in compliance mode, and read back
// in the version that was stored first. It speaks to AWS and to every server with
// the same protocol. It never lifts or shortens a lock, and has no way to.
package objectlock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/caregate/caregate/audit"
)

// Config says which bucket.
type Config struct {
	// URL is s3://BUCKET or s3://BUCKET/PREFIX.
	URL string
	// Region of the bucket. Default: what the environment says (AWS_REGION, the
	// shared configuration file), else us-east-1.
	Region string
	// Endpoint is the address of a server that is not AWS. Its buckets are named by
	// path. Default: AWS.
	Endpoint string
}

// Bucket is a bucket of S3. Credentials come from where AWS's own tools take them:
// environment, shared files, the role of the machine or container. It is safe for
// concurrent use.
type Bucket struct {
	client *s3.Client
	name   string
}

var _ audit.Bucket = (*Bucket)(nil)

// ParseURL splits s3://BUCKET/PREFIX.
func ParseURL(text string) (bucket, prefix string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", errors.New("a bucket is named s3://BUCKET or s3://BUCKET/PREFIX")
	}
	return u.Host, strings.Trim(u.Path, "/"), nil
}

// Open prepares a bucket without speaking to it, and returns the prefix in its URL
// beside it.
func Open(ctx context.Context, c Config) (b *Bucket, prefix string, err error) {
	name, prefix, err := ParseURL(c.URL)
	if err != nil {
		return nil, "", err
	}
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, "", fmt.Errorf("preparing S3: %w", err)
	}
	if loaded.Region == "" {
		loaded.Region = "us-east-1"
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(c.Endpoint), true
		}
		// A lost reply would be repeated and then look like somebody else's object.
		// The archive repeats by itself, and compares.
		o.Retryer = aws.NopRetryer{}
	})
	return &Bucket{client: client, name: name}, prefix, nil
}

// Check implements audit.Bucket.
func (b *Bucket) Check(ctx context.Context) error {
	out, err := b.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &b.name})
	if err != nil {
		return fmt.Errorf("asking bucket %s for Object Lock, which it must have from its creation: %w", b.name, err)
	}
	if out.ObjectLockConfiguration == nil || out.ObjectLockConfiguration.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return fmt.Errorf("bucket %s has no Object Lock; create one with it, because it cannot protect anything without", b.name)
	}
	return nil
}

// Create implements audit.Bucket.
func (b *Bucket) Create(ctx context.Context, key string, data []byte, until time.Time) error {
	in := b.put(key, data)
	in.IfNoneMatch = aws.String("*")
	if !until.IsZero() {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeCompliance, aws.Time(until.UTC())
	}
	_, err := b.client.PutObject(ctx, in)
	if status(err) == http.StatusPreconditionFailed {
		return audit.ErrObjectExists
	}
	if err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}

// Replace implements audit.Bucket.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte) error {
	if _, err := b.client.PutObject(ctx, b.put(key, data)); err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}

// put prepares an upload with its checksum, which Object Lock demands.
func (b *Bucket) put(key string, data []byte) *s3.PutObjectInput {
	sum := sha256.Sum256(data)
	return &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		ContentType: aws.String("application/octet-stream"), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}
}

// Remove implements audit.Bucket.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	if err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	return nil
}

// Oldest implements audit.Bucket.
func (b *Bucket) Oldest(ctx context.Context, key string) ([]byte, error) {
	var oldest *audit.ObjectVersion
	err := b.Versions(ctx, key, func(v audit.ObjectVersion) error {
		if v.Key == key && !v.Deleted {
			oldest = &v // versions come newest first
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if oldest == nil {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return b.Version(ctx, *oldest)
}

// Versions implements audit.Bucket. Versions and marks of deletion come in two
// lists, each newest first, and are put together by key.
func (b *Bucket) Versions(ctx context.Context, prefix string, visit func(audit.ObjectVersion) error) error {
	in := &s3.ListObjectVersionsInput{Bucket: &b.name, Prefix: &prefix}
	for {
		page, err := b.client.ListObjectVersions(ctx, in)
		if err != nil {
			return fmt.Errorf("listing bucket %s: %w", b.name, err)
		}
		for _, v := range merge(page) {
			if err := visit(v); err != nil {
				return err
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		if aws.ToString(page.NextKeyMarker) == aws.ToString(in.KeyMarker) && aws.ToString(page.NextVersionIdMarker) == aws.ToString(in.VersionIdMarker) {
			return fmt.Errorf("listing bucket %s: the server repeats itself", b.name)
		}
		in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
}

// merge puts the two lists of a page in one order: by key, then the newest first.
func merge(page *s3.ListObjectVersionsOutput) []audit.ObjectVersion {
	type dated struct {
		audit.ObjectVersion
		at time.Time
	}
	var marks, out []dated
	for _, m := range page.DeleteMarkers {
		marks = append(marks, dated{audit.ObjectVersion{Key: aws.ToString(m.Key), ID: aws.ToString(m.VersionId), Deleted: true}, aws.ToTime(m.LastModified)})
	}
	for _, v := range page.Versions {
		o := dated{audit.ObjectVersion{Key: aws.ToString(v.Key), ID: aws.ToString(v.VersionId), Size: aws.ToInt64(v.Size)}, aws.ToTime(v.LastModified)}
		for len(marks) > 0 && (marks[0].Key < o.Key || marks[0].Key == o.Key && !marks[0].at.Before(o.at)) {
			out, marks = append(out, marks[0]), marks[1:]
		}
		out = append(out, o)
	}
	all := make([]audit.ObjectVersion, 0, len(out)+len(marks))
	for _, o := range append(out, marks...) {
		all = append(all, o.ObjectVersion)
	}
	return all
}

// maxObject is the largest object that is read: 256 entries of 65,535 bytes.
const maxObject = 256 * (2 + 1<<16)

// Version implements audit.Bucket.
func (b *Bucket) Version(ctx context.Context, v audit.ObjectVersion) (data []byte, err error) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &v.Key}
	if v.ID != "" {
		in.VersionId = &v.ID
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		if status(err) == http.StatusNotFound {
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return nil, fmt.Errorf("reading %s: %w", v.Key, err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	data, err = io.ReadAll(io.LimitReader(out.Body, maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", v.Key, err)
	}
	if len(data) > maxObject {
		return nil, fmt.Errorf("reading %s: it is too large", v.Key)
	}
	return data, nil
}

// status is the HTTP status of a refusal, 0 for other errors.
func status(err error) int {
	var refused *awshttp.ResponseError
	if errors.As(err, &refused) {
		return refused.HTTPStatusCode()
	}
	return 0
}
