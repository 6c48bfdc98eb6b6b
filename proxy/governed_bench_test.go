package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// BenchmarkGoverned is a whole exchange of 4 KiB JSON both ways, client and
// upstream included, for profiles: `make bench` has the comparison.
func BenchmarkGoverned(b *testing.B) {
	body := `{"ticket":{"subject":"` + strings.Repeat("where is my parcel ", 215) + `","requester_id":360001}}`
	u := proxytest.NewUpstream(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
	g := proxytest.Start(b, proxytest.Options{Upstream: u.URL, Global: "log {\n level ERROR\n }"})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest(http.MethodPut, g.URL+"/api/v2/tickets/1", strings.NewReader(body))
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
