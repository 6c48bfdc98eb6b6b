package proxy_test

import (
	"strings"
	"testing"
)

// What every server with a governed route gets; others stay as Caddy makes them.
func TestAdapter(t *testing.T) {
	t.Parallel()
	const site = "http://desk.localhost:8080 {\n\tbind %BIND%\n\tgovern zendesk https://acme.zendesk.com {\n\t\tlimits {\n\t\t\theaders 128KiB\n\t\t}\n\t}\n}\n"
	for name, test := range map[string]struct {
		global, bind string
		want, not    []string
	}{
		"shared, recorded, roomy": {"", "127.0.0.1", []string{`"caregate/127.0.0.1:8080"`, `"wrapper": "caregate_refusals"`, `"max_header_bytes": 139264`}, nil},
		"IPv6":                    {"", "::1", []string{`"caregate/[::1]:8080"`}, nil},
		"a network":               {"", "tcp4/127.0.0.1", []string{`"tcp4/127.0.0.1:8080"`}, []string{"caregate/1"}},
		"a socket":                {"", "unix//run/desk.sock", []string{`"unix//run/desk.sock"`}, []string{"caregate/"}},
		"a size":                  {"servers {\n\tmax_header_size 1MiB\n}\n", "127.0.0.1", []string{`"max_header_bytes": 1048576`}, []string{"139264"}},
		"own wrappers":            {"servers {\n\tlistener_wrappers {\n\t\tcaregate_refusals\n\t\ttls\n\t}\n}\n", "127.0.0.1", []string{`"wrapper": "caregate_refusals"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := adapt(t, "Caddyfile", "{\n\tcaregate {\n\t\tname acme\n\t}\n"+test.global+"}\n"+strings.ReplaceAll(site, "%BIND%", test.bind))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if strings.Count(got, want) != 1 {
					t.Errorf("got %s, want %s once", got, want)
				}
			}
			for _, not := range test.not {
				if strings.Contains(got, not) {
					t.Errorf("got %s, want no %s", got, not)
				}
			}
		})
	}
	got, err := adapt(t, "Caddyfile", "{\n\tcaregate {\n\t\tname acme\n\t}\n}\nhttp://a.localhost:8080 {\n\tcaregate_api\n}\n")
	if err != nil || strings.Contains(got, "caregate_refusals") || strings.Contains(got, "caregate/") {
		t.Errorf("a server without a governed route: got %s, %v", got, err)
	}
}
