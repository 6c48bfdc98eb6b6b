package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// memoryBudget is how much one stream may take, whatever its length.
const memoryBudget = 64 << 20

// streamLimit bounds one stream in time: an eighth of a gigabyte a minute would be
// a defect.
const streamLimit = 8 * time.Minute

// streams measures what a long body takes of the gateway's memory, in each
// direction. The gateway has had a short stream before, so that what is made once
// exists.
func (b bench) streams(ctx context.Context, out *tabwriter.Writer) error {
	upstream, err := startStreamUpstream()
	if err != nil {
		return err
	}
	defer func() { _ = upstream.Close() }()
	dir, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	g, err := b.startGateway(ctx, dir, "streams", "govern zendesk http://"+upstream.Addr, upstream.Addr)
	if err != nil {
		return err
	}
	defer g.stop()
	ctx, cancel := context.WithTimeout(ctx, streamLimit)
	defer cancel()

	fmt.Fprintln(out, "stream of NDJSON\tMiB\tMiB/s\tresident before\tpeak\tgrowth\tbudget")
	var over error
	for _, way := range []struct {
		name string
		pass func(ctx context.Context, addr string, size int64) error
	}{{"to the upstream", sendStream}, {"to the caller", fetchStream}} {
		if err := way.pass(ctx, g.addr, 8<<20); err != nil {
			return err
		}
		before, err := g.memory("VmRSS")
		if err != nil {
			return err
		}
		// From here on the peak is this stream's (proc(5), clear_refs).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.cmd.Process.Pid), []byte("5"), 0); err != nil {
			return err
		}
		began := time.Now()
		if err := way.pass(ctx, g.addr, b.streamed); err != nil {
			return err
		}
		took := time.Since(began)
		peak, err := g.memory("VmHWM")
		if err != nil {
			return err
		}
		grown := max(peak-before, 0)
		fmt.Fprintf(out, "%s\t%d\t%.0f\t%d MiB\t%d MiB\t%d MiB\t%d MiB\n", way.name, b.streamed>>20, float64(b.streamed>>20)/took.Seconds(), before>>20, peak>>20, grown>>20, memoryBudget>>20)
		if grown > memoryBudget {
			over = fmt.Errorf("%s: memory grew by %d MiB", way.name, grown>>20)
		}
	}
	return over
}

// memory reads one figure of the process, in bytes (proc(5), status).
func (g *gateway) memory(name string) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if figure, found := strings.CutPrefix(line, name+":"); found {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(figure), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("the kernel says no %s", name)
}

const cardNumber = "4111 1111 1111 1111"

// thousandLines are what a stream repeats; one of them has a card number.
func thousandLines() []byte {
	var b bytes.Buffer
	for i := range 1000 {
		text := "where is my parcel, it should have been here on Tuesday"
		if i == 500 {
			text = "my card is " + cardNumber
		}
		fmt.Fprintf(&b, "{\"id\":%d,\"body\":%q}\n", i, text)
	}
	return b.Bytes()
}

// repeat is a body of about size bytes in whole blocks.
func repeat(size int64) io.Reader {
	block := thousandLines()
	return &repeated{n: max(1, size/int64(len(block))), block: block}
}

type repeated struct {
	n           int64
	block, rest []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = r.block
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// whole reads a body to its end. A card number in it, or one block too few, is an
// error: nobody wants to know how fast that was.
func whole(r io.Reader, size int64) error {
	block := int64(len(thousandLines()))
	want := max(1, size/block) * block
	const carry = len(cardNumber) - 1
	buf := make([]byte, carry+64<<10)
	var total int64
	held := 0
	for {
		n, err := r.Read(buf[held:])
		total += int64(n)
		if bytes.Contains(buf[:held+n], []byte(cardNumber)) {
			return errors.New("a card number passed")
		}
		end := held + n
		held = copy(buf, buf[max(0, end-carry):end])
		switch {
		case err == io.EOF && total == want:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%d bytes arrived, want %d", total, want)
		case err != nil:
			return err
		}
	}
}

// startStreamUpstream reads what is posted, and sends a stream to who asks. The
// header X-Size says how long it is.
func startStreamUpstream() (*http.Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: l.Addr().String(), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.ParseInt(r.Header.Get("X-Size"), 10, 64)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if r.Method == http.MethodPost {
			if err := whole(r.Body, size); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.Copy(w, repeat(size))
	})}
	go func() { _ = s.Serve(l) }()
	return s, nil
}

func sendStream(ctx context.Context, addr string, size int64) error {
	res, err := callStream(ctx, http.MethodPost, addr, size, repeat(size))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusNoContent {
		msg, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		return fmt.Errorf("answered %d: %s", res.StatusCode, msg)
	}
	return nil
}

func fetchStream(ctx context.Context, addr string, size int64) error {
	res, err := callStream(ctx, http.MethodGet, addr, size, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return whole(res.Body, size)
}

func callStream(ctx context.Context, method, addr string, size int64, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+"/api/v2/tickets/1", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Size", strconv.FormatInt(size, 10))
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.SetBasicAuth("agent@example.com/token", "secret-token")
	client := http.Client{Timeout: streamLimit}
	return client.Do(req)
}
