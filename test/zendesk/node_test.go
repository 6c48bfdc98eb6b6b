// Package zendesk_test lets a real client library, node-zendesk, work through a
// real gateway against the sample helpdesk, and reads all three ends: what the
// helpdesk stored, what the client was given, and what stands in the log. It
// needs node and npm; without them it fails and says how to get them.
package zendesk_test

import (
	"encoding/json"
	"testing"

	"github.com/caregate/caregate/internal/nodetest"
)

// script is the driver of the library.
const script = "client.cjs"

// answer is one HTTP answer that the library met.
type answer struct {
	Method, URL     string
	Status          int
	Receipt, Reason string
	// Problem is the body of a refusal. The library does not read it; programs get
	// it from the library's debug events.
	Problem *struct {
		Reason, Detail, Grant string
		FixedBy               string `json:"fixed_by"`
		Forwarded             bool
	}
}

// result is what came of one call of the library.
type result struct {
	Value json.RawMessage
	Error *struct {
		Message string
		Status  int
	}
	Answers []answer
}

// last is the newest answer of the call; it fails the test when there is none.
func (r result) last(t *testing.T) answer {
	t.Helper()
	if len(r.Answers) == 0 {
		t.Fatalf("the client met no answer: %+v", r.Error)
	}
	return r.Answers[len(r.Answers)-1]
}

// options are those of the library's createClient.
type options map[string]any

// with is o with one more option.
func (o options) with(name string, value any) options {
	out := options{name: value}
	for k, v := range o {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// client is a running node process with the library in it.
type client struct {
	t       *testing.T
	node    *nodetest.Process
	options options
}

// startClient installs the library if need be and starts a process that uses it
// with o; the process ends with the test.
func startClient(t *testing.T, o options) *client {
	t.Helper()
	return &client{t: t, node: nodetest.Start(t, script), options: o}
}

// as is the same process with other options.
func (c *client) as(o options) *client {
	other := *c
	other.options = o
	return &other
}

// stream is an argument that the library gets as a readable stream.
func stream(content string) any { return map[string]string{"stream": content} }

// call runs one method of the library and waits for what comes of it.
func (c *client) call(method string, args ...any) result {
	c.t.Helper()
	if args == nil {
		args = []any{}
	}
	var r result
	c.node.Ask(map[string]any{"options": c.options, "call": method, "args": args}, &r)
	return r
}

// must runs a call that has to succeed and decodes its value.
func (c *client) must(into any, method string, args ...any) answer {
	c.t.Helper()
	r := c.call(method, args...)
	if r.Error != nil {
		c.t.Fatalf("%s: %s (%+v)", method, r.Error.Message, r.Answers)
	}
	if into != nil {
		if err := json.Unmarshal(r.Value, into); err != nil {
			c.t.Fatalf("%s: decoding %s: %v", method, r.Value, err)
		}
	}
	return r.last(c.t)
}
