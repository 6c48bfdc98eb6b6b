// Package objectlocktest starts an S3 server with Object Lock for tests: versitygw,
// compiled from the module of tools that evidence needs. It listens on loopback,
// keeps its objects in a temporary folder, and ends with the test.
package objectlocktest

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/caregate/caregate/internal/loopback"
)

// The owner of the server.
const (
	accessKey = "test"
	secretKey = "testsecret"
	region    = "us-east-1"
)

// Environment is what a program needs in its environment to be the server's owner.
func Environment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_REGION": region, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	}
}

// Start starts a server and returns its address. With -short the test is skipped,
// because compiling the server takes minutes on a new machine.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	if testing.Short() {
		t.Skip("compiling versitygw takes minutes on a new machine")
	}
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("asking for the module: %v", err)
	}
	find := exec.CommandContext(t.Context(), "go", "tool", "-n", "versitygw") // compiles it, and says where it is
	find.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), "tools", "evidence")
	find.Stderr = os.Stderr
	path, err := find.Output()
	if err != nil {
		t.Fatalf("compiling versitygw: %v", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"data", "versions", "iam"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		// Somebody else may be given the address before the server listens on it. Then the
		// server ends.
		if address, ok := serve(t, strings.TrimSpace(string(path)), dir); ok {
			return "http://" + address
		}
	}
	t.Fatal("versitygw ends whatever address it is given")
	return ""
}

// serve starts the server on an address that nobody listens on. It reports false when the
// server has ended by itself.
func serve(t testing.TB, path, dir string) (address string, ok bool) {
	t.Helper()
	address, err := loopback.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--port", address, "--iam-dir", filepath.Join(dir, "iam"), "--quiet",
		"posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // an end that nobody wanted shows in what is asked of it
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Minute); ; <-tick.C {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		select {
		case <-ended:
			return "", false
		default:
		}
		if err == nil {
			return address, true
		}
		if time.Now().After(deadline) {
			t.Fatalf("versitygw does not listen: %v", err)
		}
	}
}

// CreateBucket makes a bucket, with Object Lock or without.
func CreateBucket(t testing.TB, endpoint, name string, lock bool) {
	t.Helper()
	if _, err := owner(endpoint).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(lock)}); err != nil {
		t.Fatal(err)
	}
}

// Overwrite puts a new version over every object whose key holds part, as somebody
// may who has the owner's rights, and returns over how many.
func Overwrite(t testing.TB, endpoint, name, part string) (n int) {
	t.Helper()
	client := owner(endpoint)
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &name})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		if !strings.Contains(*o.Key, part) {
			continue
		}
		n++
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: o.Key, Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func owner(endpoint string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, Region: region, Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

// Put stores an object.
func Put(t testing.TB, endpoint, name, key string, data []byte) {
	t.Helper()
	if _, err := owner(endpoint).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
}
