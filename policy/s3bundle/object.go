// Package s3bundle reads a policy bundle from an S3 bucket, at AWS or at any server with
// the same protocol. It writes nothing, and knows nothing of what it reads: who signed the
// bundle is looked at by package policy.
package s3bundle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Config says which object.
type Config struct {
	// URL is s3://BUCKET/KEY.
	URL string
	// Region of the bucket. Default: what the environment says (AWS_REGION, the shared
	// configuration file), else us-east-1.
	Region string
	// Endpoint is the address of a server that is not AWS. Its buckets are named by path.
	// Default: AWS.
	Endpoint string
	// Roots vouch for the server. Default: those of the system, or what AWS_CA_BUNDLE says.
	Roots *x509.CertPool
}

// Object is one object of a bucket. Credentials come from where AWS's own tools take them:
// environment, shared files, the role of the machine or container. They need s3:GetObject
// and nothing else. It is safe for concurrent use.
type Object struct {
	client      *s3.Client
	bucket, key string
}

// timeout bounds a call with its answer.
const timeout = 60 * time.Second

// ErrUnchanged says that the object is the one whose tag was given.
var ErrUnchanged = errors.New("the object has not changed")

// ParseURL splits s3://BUCKET/KEY.
func ParseURL(text string) (bucket, key string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || strings.Trim(u.Path, "/") == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", errors.New("an object is named s3://BUCKET/KEY")
	}
	return u.Host, strings.TrimPrefix(u.Path, "/"), nil
}

// Open prepares the calls and makes none.
func Open(ctx context.Context, c Config) (*Object, error) {
	bucket, key, err := ParseURL(c.URL)
	if err != nil {
		return nil, err
	}
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing S3: %w", err)
	}
	if loaded.Region == "" {
		loaded.Region = "us-east-1"
	}
	calls, ok := loaded.HTTPClient.(*awshttp.BuildableClient)
	if !ok { // a variable of the environment has the SDK prepare its own
		calls = awshttp.NewBuildableClient()
	}
	calls = calls.WithTimeout(timeout)
	if c.Roots != nil {
		calls = calls.WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.RootCAs = c.Roots })
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.HTTPClient = calls
		if c.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(c.Endpoint), true
		}
		o.Retryer = aws.NopRetryer{} // whoever calls asks again soon
	})
	return &Object{client: client, bucket: bucket, key: key}, nil
}

// Fetch reads the object, at most limit bytes of it and one more, by which the caller can
// tell that there are more, and returns its tag. With the tag of the last one that it
// returned, ErrUnchanged says that there is no other. Errors name what S3 answered and
// repeat nothing else of it.
func (o *Object) Fetch(ctx context.Context, tag string, limit int64) (data []byte, newTag string, err error) {
	in := &s3.GetObjectInput{Bucket: &o.bucket, Key: &o.key}
	if tag != "" {
		in.IfNoneMatch = &tag
	}
	out, err := o.client.GetObject(ctx, in)
	if err != nil {
		return nil, "", refusal(err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	if data, err = io.ReadAll(io.LimitReader(out.Body, limit+1)); err != nil {
		return nil, "", fmt.Errorf("reading the object: %w", reach(err))
	}
	return data, aws.ToString(out.ETag), nil
}

// refusal is what is told of an error.
func refusal(err error) error {
	var refused *awshttp.ResponseError
	if !errors.As(err, &refused) {
		return fmt.Errorf("asking S3: %w", reach(err))
	}
	if refused.HTTPStatusCode() == http.StatusNotModified {
		return ErrUnchanged
	}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return fmt.Errorf("asking S3: it answered %d %.60q", refused.HTTPStatusCode(), coded.ErrorCode())
	}
	return fmt.Errorf("asking S3: it answered %d", refused.HTTPStatusCode())
}

// reach is the cause of a call that got no whole answer. The SDK's own words around it have
// identifiers of the account's.
func reach(err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errors.New("no answer in time")
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &network):
		return network
	}
	return errors.New("no whole answer; are there credentials for it in the environment?")
}
