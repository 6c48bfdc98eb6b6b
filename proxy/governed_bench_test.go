package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// BenchmarkGoverned is a whole exchange of JSON both ways, client and upstream
// included, for profiles: `make bench` has the comparison.
func BenchmarkGoverned(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) { governed(b, tickets(size)) })
	}
}

// tickets is a page of about n bytes, mostly ids, times and prose.
func tickets(n int) string {
	var page strings.Builder
	page.WriteString(`{"tickets":[`)
	for i := 0; page.Len() < n-350; i++ {
		if i > 0 {
			page.WriteByte(',')
		}
		fmt.Fprintf(&page, `{"id":%d,"url":"https://acme.example/api/v2/tickets/%d.json","created_at":"2026-11-%02dT08:15:30Z","subject":"Where is my parcel?","description":"Hello, I ordered two lamps last week and only one has arrived so far. Could you have a look, please? Kind regards","requester_id":%d,"tags":["delivery","lamp"],"via":{"channel":"email"}}`,
			4402126790000+i, 4402126790000+i, 1+i%28, 360000000000+i)
	}
	page.WriteString(`]}`)
	return page.String()
}

func governed(b *testing.B, body string) {
	u := proxytest.NewUpstream(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
	g := proxytest.Start(b, proxytest.Options{Upstream: u.URL, Global: "log {\n level ERROR\n }"})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest(http.MethodPost, g.URL+"/api/v2/tickets/1/tags", strings.NewReader(body))
			req.Header.Set("Authorization", basicAuth)
			req.Header.Set("Content-Type", "application/json")
			res, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Errorf("status %d", res.StatusCode)
				return
			}
		}
	})
}
