package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/caregate/caregate/internal/loopback"
)

// sample is what one measurement saw.
type sample struct {
	requests int
	elapsed  time.Duration
	cpu      time.Duration // of the gateway's process
	latency  []time.Duration
}

func (s *sample) add(o sample) {
	s.requests += o.requests
	s.elapsed += o.elapsed
	s.cpu += o.cpu
	s.latency = append(s.latency, o.latency...)
}

func (s *sample) rate() float64 { return float64(s.requests) / s.elapsed.Seconds() }

func (s *sample) percentile(p float64) time.Duration {
	slices.Sort(s.latency)
	return s.latency[int(p*float64(len(s.latency)-1))]
}

// perThousand is the gateway's processor time for a thousand requests.
func (s *sample) perThousand() time.Duration {
	return s.cpu * 1000 / time.Duration(s.requests)
}

// exchanges measures governed exchanges against the bare reverse proxy of the
// same binary, turn by turn, so that a machine that becomes slower or faster
// meanwhile does so for both.
func (b bench) exchanges(ctx context.Context, out *tabwriter.Writer) error {
	upstream, err := startUpstream()
	if err != nil {
		return err
	}
	defer func() { _ = upstream.Close() }()
	dir, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bare, err := b.startGateway(ctx, dir, "bare", "reverse_proxy http://"+upstream.Addr, upstream.Addr)
	if err != nil {
		return err
	}
	defer bare.stop()
	governed, err := b.startGateway(ctx, dir, "governed", "govern zendesk http://"+upstream.Addr, upstream.Addr)
	if err != nil {
		return err
	}
	defer governed.stop()

	fmt.Fprintln(out, "JSON both ways\tbare/s\tgoverned/s\tratio\tbare p50\tp99\tgoverned p50\tp99\tbare CPU/1000\tgoverned CPU/1000\tns/byte added")
	for _, size := range []int{1 << 10, 4 << 10, 64 << 10} {
		var one, two sample
		body := ticket(size)
		for round := range b.rounds + 1 {
			s1, err := b.load(ctx, bare, body)
			if err != nil {
				return err
			}
			s2, err := b.load(ctx, governed, body)
			if err != nil {
				return err
			}
			if round == 0 {
				continue // warming up: connections, caches, the first checkpoint
			}
			one.add(s1)
			two.add(s2)
		}
		added := float64((two.perThousand() - one.perThousand()).Nanoseconds()) / 1000 / float64(2*len(body))
		fmt.Fprintf(out, "%d KiB\t%.0f\t%.0f\t%.2f\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\n", size>>10, one.rate(), two.rate(), two.rate()/one.rate(),
			round(one.percentile(.5)), round(one.percentile(.99)), round(two.percentile(.5)), round(two.percentile(.99)),
			one.perThousand().Round(time.Millisecond), two.perThousand().Round(time.Millisecond), added)
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// ticket is a clean JSON document of about n bytes in the shape of a ticket page:
// mostly ids, times and prose, as helpdesk traffic is. No two descriptions of a page
// are alike: the reader remembers texts that a document repeats.
func ticket(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"tickets":[`)
	for i := 0; b.Len() < n-350; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"url":"https://acme.example/api/v2/tickets/%d.json","created_at":"2026-11-%02dT08:%02d:30Z","subject":"Where is my %s?","description":"%s","requester_id":%d,"tags":["delivery","lamp"],"via":{"channel":"email"}}`,
			4402126790000+i, 4402126790000+i, 1+i%28, i%60, thing(i), complaint(i), 360000000000+i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// things and what people say of them, for pages without repetition.
var (
	colours   = strings.Fields("blue green grey black white yellow brown silver orange purple striped dotted heavy little")
	items     = strings.Fields("parcel lamp chair kettle jacket keyboard mirror carpet speaker backpack blender curtain toaster")
	greetings = strings.Split("Hello,|Hi there,|Good morning,|Good evening,|Dear team,|Hey,|Once more,", "|")
	stories   = strings.Split("I ordered it last week and nothing has arrived so far.|only half of it was in the box when I opened it.|it came with a scratch along the side.|"+
		"the courier left it with a neighbour whom I do not know.|I would like to send it back as soon as that is possible.|it stopped working on the second evening.|"+
		"the map has shown the same place for days.|somebody cancelled it, and it was not me.|I was promised another one and hear nothing any more.|the colour is not the one in the pictures.|"+
		"one of the screws is missing, so it cannot stand.", "|")
	endings = strings.Split("Could you have a look, please? Kind regards|What shall I do now?|Thank you for your help so far.|Please call me at noon if you can.|I hope to hear from you soon.", "|")
)

func thing(i int) string {
	return colours[i%len(colours)] + " " + items[i/len(colours)%len(items)]
}

func complaint(i int) string {
	return greetings[i%len(greetings)] + " about the " + thing(i) + ": " + stories[i%len(stories)] + " " + endings[i%len(endings)]
}

// startUpstream answers every call with the body that it was sent. It is as
// plain as it can be, so that the gateway is what is measured.
func startUpstream() (*http.Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: l.Addr().String(), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})}
	go func() { _ = s.Serve(l) }()
	return s, nil
}

// gateway is a process of the measured binary.
type gateway struct {
	addr string
	cmd  *exec.Cmd
}

func (b bench) startGateway(ctx context.Context, dir, name, directive, upstream string) (*gateway, error) {
	addr, err := loopback.FreeAddr()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, name)
	file := filepath.Join(dir, name+".Caddyfile")
	config := fmt.Sprintf("{\n\tauto_https off\n\tadmin off\n\tlog {\n\t\tlevel WARN\n\t}\n\tcaregate {\n\t\tname bench\n\t\tstore sqlite %s\n\t}\n}\nhttp://%s {\n\tbind 127.0.0.1\n\t%s\n}\n", data, addr, directive)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	if msg, err := exec.CommandContext(ctx, b.binary, "init", "--data", data, "--name", "bench").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, msg)
	}
	g := &gateway{addr: addr, cmd: exec.CommandContext(ctx, b.binary, "run", "--config", file, "--adapter", "caddyfile")}
	g.cmd.Stderr = os.Stderr
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < 30*time.Second; <-tick.C {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return g, nil
		}
	}
	g.stop()
	return nil, fmt.Errorf("%s gateway did not listen on %s for %s", name, addr, upstream)
}

func (g *gateway) stop() {
	_ = g.cmd.Process.Signal(os.Interrupt)
	_ = g.cmd.Wait()
}

// cpu is the processor time of the process so far: fields 14 and 15 of
// /proc/PID/stat, in ticks of 10 ms (proc(5)).
func (g *gateway) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, errors.New("unexpected /proc/PID/stat")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// load keeps every client busy for one slice: the next request leaves when the
// answer to the one before is read.
func (b bench) load(ctx context.Context, g *gateway, body []byte) (sample, error) {
	request := fmt.Appendf(nil, "POST /api/v2/tickets/1/tags HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46c2VjcmV0LXRva2Vu\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", g.addr, len(body), body)
	before, err := g.cpu()
	if err != nil {
		return sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.slice)
	defer cancel()
	var mu sync.Mutex
	var total sample
	var failed error
	var wg sync.WaitGroup
	began := time.Now()
	for range b.clients {
		wg.Go(func() {
			latency, err := client(ctx, g.addr, request)
			mu.Lock()
			defer mu.Unlock()
			total.latency = append(total.latency, latency...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	total.elapsed = time.Since(began)
	total.requests = len(total.latency)
	after, err := g.cpu()
	total.cpu = after - before
	if total.requests == 0 {
		failed = errors.Join(failed, errors.New("no request was answered"))
	}
	return total, errors.Join(failed, err)
}

func client(ctx context.Context, addr string, request []byte) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	var latency []time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return latency, err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return latency, err
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return latency, err
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return latency, fmt.Errorf("the gateway answered %d %s", res.StatusCode, res.Header.Get("Caregate-Error"))
		}
		latency = append(latency, time.Since(began))
	}
	return latency, nil
}
