package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
)

// errNotRunning tells that nobody listens on the socket of a data directory.
var errNotRunning = errors.New("no gateway runs on this data directory")

// callTime bounds one call of the running gateway; a change waits for a durable
// audit event, which takes milliseconds.
const callTime = 30 * time.Second

// maxAnswer bounds what is read of an answer. The longest are reports of reviews.
const maxAnswer = 64 << 20

// gateway is a running gateway, reached over the socket in its data directory.
type gateway struct {
	dir    string
	client *http.Client
	// key and token are what a call is made with, when it is not whoever may open the
	// socket.
	key, token policy.Secret
	// approval is the id of one that others have given for the call.
	approval string
	// ticket is the number of the change ticket behind it.
	ticket string
}

func newGateway(dir string) *gateway {
	path := filepath.Join(dir, proxy.SocketName)
	return &gateway{dir: dir, client: &http.Client{
		Timeout: callTime,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			},
		},
	}}
}

// refusal is an answer of the gateway that is no success.
type refusal struct {
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Reason  string `json:"reason"`
	Cause   string `json:"cause"`
	Receipt string `json:"receipt"`
	Status  int    `json:"status"`
}

// Error says what happened.
func (r *refusal) Error() string {
	s := "the gateway refused (" + r.Reason + "): " + r.Title
	if r.Cause != "" {
		s += " " + r.Cause + "."
	}
	if r.Receipt != "" {
		s += " Receipt " + r.Receipt + "."
	}
	return s
}

// call makes one call of the API. in is the body, nil for none; out receives the
// answer, nil when there is none to read.
func (g *gateway) call(ctx context.Context, method, path string, in, out any) (receipt string, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return "", err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://caregate/api/v1"+path, body)
	if err != nil {
		return "", err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if g.approval != "" {
		req.Header.Set("Caregate-Approval", g.approval)
	}
	if g.ticket != "" {
		req.Header.Set("Caregate-Ticket", g.ticket)
	}
	if g.key != "" {
		req.Header.Set("Caregate-Key", string(g.key))
	}
	if g.token != "" {
		req.Header.Set("Caregate-Token", string(g.token))
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return "", g.unreachable(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("reading the gateway's answer: %w", err)
	}
	receipt = resp.Header.Get("Caregate-Receipt")
	if resp.StatusCode >= http.StatusBadRequest {
		r := new(refusal)
		if err := json.Unmarshal(raw, r); err != nil {
			return receipt, fmt.Errorf("the gateway answered with status %d", resp.StatusCode)
		}
		return receipt, &failure{code: exitFailed, err: r, hint: r.Detail}
	}
	if out == nil {
		return receipt, nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return receipt, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return receipt, nil
}

// unreachable tells an absent gateway from one that does not answer.
func (g *gateway) unreachable(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return fail("start it with `caregate run`, or name its data directory with --data", "%w: %s", errNotRunning, g.dir)
	}
	return fmt.Errorf("calling the gateway: %w", err)
}

// ready asks /readyz for its checks, which fail with a 503.
func (g *gateway) ready(ctx context.Context) ([]console.Check, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://caregate/readyz", nil)
	if err != nil {
		return nil, err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, g.unreachable(err)
	}
	defer resp.Body.Close()
	var health struct {
		Checks []console.Check `json:"checks"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&health); err != nil {
		return nil, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return health.Checks, nil
}
