package proxy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// One address sends many bodies that never end. The others are served meanwhile.
func TestSlowUploadsLeaveRoom(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "limits {\n read_timeout 10m\n }"})
	const room, uploads = 40, 60
	free, err := proxy.LeaveRoom(t.Context(), audit.LaneNormal, room)
	if err != nil {
		t.Fatal(err)
	}
	defer free()

	// Every upload is either refused or still read; which, only its answer tells.
	refused := make(chan string, uploads)
	for range uploads {
		conn, err := net.Dial("tcp", g.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+
			"\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		go func() {
			head := make([]byte, 12)
			if _, err := io.ReadFull(conn, head); err == nil {
				refused <- string(head)
			}
		}()
	}
	// The half of the room is theirs, and what is over it is turned away.
	for range uploads - room/2 {
		select {
		case status := <-refused:
			if status != "HTTP/1.1 503" {
				t.Errorf("an upload: got %s", status)
			}
		case <-time.After(5 * time.Minute):
			t.Fatal("the uploads hold more than their share")
		}
	}

	other := &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}}
	defer other.CloseIdleConnections()
	for i := range 10 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", basicAuth)
		req.Header.Set("Content-Type", "application/json")
		res, err := other.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("call %d of another address: got %d", i, res.StatusCode)
		}
	}
}
