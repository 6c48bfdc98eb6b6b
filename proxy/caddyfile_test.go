package proxy_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caregate/caregate/proxy"
)

var updateGolden = flag.Bool("update-golden", false, "write testdata/caddyfile/*.json anew")

func adapt(t *testing.T, file, text string) (string, error) {
	t.Helper()
	out, _, err := caddyconfig.GetAdapter(proxy.AdapterName).Adapt([]byte(text), map[string]any{"filename": file})
	if err != nil {
		return "", err
	}
	var v any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(pretty) + "\n", nil
}

// Each testdata/caddyfile/*.Caddyfile adapts to the JSON beside it. FOLDER stands
// for the folder of the Caddyfile, against which relative paths are resolved.
func TestCaddyfileGolden(t *testing.T) {
	t.Setenv("CAREGATE_KEYS", "geheim")
	t.Setenv("ZENDESK_WEBHOOK_SECRET", "geheim")
	t.Setenv("ZENDESK_TOKEN", "geheim")
	files, err := filepath.Glob("testdata/caddyfile/*.Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "policy.yaml"), []byte("# no rows"), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := adapt(t, filepath.Join(folder, "Caddyfile"), string(text))
			if err != nil {
				t.Fatal(err)
			}
			got = strings.ReplaceAll(got, folder, "FOLDER")
			golden := strings.TrimSuffix(file, ".Caddyfile") + ".json"
			if *updateGolden {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("%s (%v): got\n%s", golden, err, got)
			}
			if strings.Contains(got, "geheim") {
				t.Error("a placeholder was resolved while parsing: the secret would stand in the stored configuration")
			}
		})
	}
}

const minimal = "{\n\tcaregate {\n\t\tname acme\n\t}\n}\nhttp://desk.localhost:8080 {\n\tbind 127.0.0.1\n\t%GOVERN%\n}\n"

// A mistake is answered with file and line, and with what would be right.
func TestCaddyfileMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"no caregate block":  {"http://a.localhost {\n\tgovern zendesk https://acme.zendesk.com\n}\n", []string{"caregate block", "Caddyfile:2"}},
		"two blocks":         {"{\n\tcaregate {\n\t}\n\tcaregate {\n\t}\n}\n", []string{"one caregate block"}},
		"unknown option":     {"{\n\tcaregate {\n\t\tstorage x\n\t}\n}\n", []string{"storage", "name, store, keys, policy, detect, vault, identity, archive, syslog, trail", "Caddyfile:3"}},
		"unknown store":      {"{\n\tcaregate {\n\t\tstore mysql x\n\t}\n}\n", []string{"mysql", "sqlite", "postgres", "Caddyfile:3"}},
		"store of nothing":   {"{\n\tcaregate {\n\t\tstore postgres\n\t}\n}\n", []string{"store postgres {env.", "Caddyfile:3"}},
		"no database URL":    {"{\n\tcaregate {\n\t\tstore postgres ./data\n\t}\n}\n", []string{"postgres://user@host", "Caddyfile:3"}},
		"database password":  {"{\n\tcaregate {\n\t\tstore postgres postgres://me:geheim@db/care\n\t}\n}\n", []string{"{env.NAME}", "Caddyfile:3"}},
		"password behind":    {"{\n\tcaregate {\n\t\tstore postgres postgres://me@db/care?password=geheim\n\t}\n}\n", []string{"{env.NAME}", "Caddyfile:3"}},
		"passphrase as such": {"{\n\tcaregate {\n\t\tkeys file ./k {\n\t\t\tpassphrase geheim\n\t\t}\n\t}\n}\n", []string{"{env.NAME}", "Caddyfile:4"}},
		"two seals":          {"{\n\tcaregate {\n\t\tkeys file ./k {\n\t\t\tpassphrase {env.A}\n\t\t\tkey_file ./s\n\t\t}\n\t}\n}\n", []string{"no two of them", "Caddyfile:"}},
		"option of keys":     {"{\n\tcaregate {\n\t\tkeys file ./k {\n\t\t\tpassword geheim\n\t\t}\n\t}\n}\n", []string{"it has passphrase, key_file", "Caddyfile:4"}},
		"option of KMS":      {"{\n\tcaregate {\n\t\tkeys awskms alias/care {\n\t\t\tpassphrase {env.A}\n\t\t}\n\t}\n}\n", []string{"region, endpoint, timeout, renew, hold", "Caddyfile:4"}},
		"forgotten too soon": {"{\n\tcaregate {\n\t\tkeys awskms alias/care {\n\t\t\trenew 1h\n\t\t\thold 30m\n\t\t}\n\t}\n}\n", []string{"forgotten before", "Caddyfile:"}},
		"time of KMS":        {"{\n\tcaregate {\n\t\tkeys awskms alias/care {\n\t\t\ttimeout soon\n\t\t}\n\t}\n}\n", []string{"want a duration", "Caddyfile:4"}},
		"keys elsewhere":     {"{\n\tcaregate {\n\t\tkeys vault ./k\n\t}\n}\n", []string{"keys vault", "Caddyfile:3"}},
		"syslog in clear":    {"{\n\tcaregate {\n\t\tsyslog udp://siem.example.com:514\n\t}\n}\n", []string{"tls://", "not sent in the clear", "Caddyfile:3"}},
		"syslog to whom":     {"{\n\tcaregate {\n\t\tsyslog\n\t}\n}\n", []string{"syslog tls://", "Caddyfile:3"}},
		"syslog option":      {"{\n\tcaregate {\n\t\tsyslog tls://a {\n\t\t\tinsecure\n\t\t}\n\t}\n}\n", []string{"ca, client_cert", "Caddyfile:4"}},
		"identity without":   {"{\n\tcaregate {\n\t\tidentity jwt {\n\t\t\tissuer https://a\n\t\t}\n\t}\n}\n", []string{"audience", "jwks"}},
		"identity of nobody": {"{\n\tcaregate {\n\t\tidentity jwt {\n\t\t\tissuer https://a\n\t\t\taudience b\n\t\t\tjwks ./keys.json\n\t\t}\n\t}\n}\n", []string{"role support-team agent", "Caddyfile:"}},
		"change alone":       {"{\n\tcaregate {\n\t\tchange\n\t}\n}\n", []string{"number of a ticket", "Caddyfile:3"}},
		"change in words":    {"{\n\tcaregate {\n\t\tchange \"new roles\"\n\t}\n}\n", []string{"ticket wants", "Caddyfile:3"}},
		"change by a name":   {"{\n\tcaregate {\n\t\tchange C-1 {\n\t\t\tauthor Jane\n\t\t}\n\t}\n}\n", []string{"e-mail address", "Caddyfile:"}},
		"change by one":      {"{\n\tcaregate {\n\t\tchange C-1 {\n\t\t\tauthor a@b.c\n\t\t\tapprover A@b.c\n\t\t}\n\t}\n}\n", []string{"somebody else", "Caddyfile:"}},
		"change by two":      {"{\n\tcaregate {\n\t\tchange C-1 {\n\t\t\tauthor a@b.c d@e.f\n\t\t}\n\t}\n}\n", []string{"Caddyfile:4"}},
		"two changes":        {"{\n\tcaregate {\n\t\tchange C-1\n\t\tchange C-2\n\t}\n}\n", []string{"one change only", "Caddyfile:4"}},
		"missing document":   {"{\n\tcaregate {\n\t\tpolicy builtin ./nothing.yaml\n\t}\n}\n", []string{"nothing.yaml", "Caddyfile:3"}},
		"two of one name":    {govern("govern zendesk https://a.b\n\tgovern zendesk https://c.d"), []string{"two governed routes are called zendesk", "`route`", "Caddyfile:9"}},
		"size":               {govern("govern zendesk https://a.b {\n\t\tlimits {\n\t\t\tbody 10Mx\n\t\t}\n\t}"), []string{"10Mx is no size", "10MiB", "Caddyfile:10"}},
		"count":              {govern("govern zendesk https://a.b {\n\t\tlimits {\n\t\t\tdepth deep\n\t\t}\n\t}"), []string{"deep is no number", "Caddyfile:10"}},
		"upstream password":  {govern("govern zendesk https://me:geheim@a.b"), []string{"callers bring their own", "Caddyfile:8"}},
		"absolute path":      {govern("govern /etc/desk.yaml https://a.b"), []string{"govern * /", "Caddyfile:8"}},
		"no upstream":        {govern("govern zendesk"), []string{"govern zendesk https://", "Caddyfile:8"}},
		"unknown channel":    {govern("govern zendisk https://a.b"), []string{"zendisk", "zendesk", "Caddyfile:8"}},
		"missing file":       {govern("govern ./nothing.yaml https://a.b"), []string{"nothing.yaml", "Caddyfile:8"}},
		"no webhook secret":  {govern("govern zendesk/webhooks http://a.b"), []string{"govern zendesk/webhooks", "webhook_secret {env.", "Caddyfile:8"}},
		"an empty block":     {govern("govern zendesk/webhooks http://a.b {\n\t}"), []string{"webhook_secret {env.", "Caddyfile:9"}},
		"a secret as such":   {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret geheim\n\t}"), []string{"{env.NAME}", "Caddyfile:9"}},
		"half a reference":   {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret geheim{env.A}\n\t}"), []string{"{env.NAME}", "Caddyfile:9"}},
		"another reference":  {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret {http.request.uri}\n\t}"), []string{"{env.NAME}", "Caddyfile:9"}},
		"no word for it":     {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret\n\t}"), []string{"one reference", "Caddyfile:9"}},
		"three secrets":      {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret {env.A} {env.B} geheim\n\t}"), []string{"two while", "Caddyfile:9"}},
		"secret twice":       {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret {env.A}\n\t\twebhook_secret {env.B}\n\t}"), []string{"stands once", "Caddyfile:10"}},
		"secret elsewhere":   {govern("govern zendesk https://a.b {\n\t\twebhook_secret {env.A}\n\t}"), []string{"govern zendesk/webhooks", "Caddyfile:9"}},
		"tolerance of none":  {govern("govern zendesk https://a.b {\n\t\twebhook_tolerance 1h\n\t}"), []string{"govern zendesk/webhooks", "Caddyfile:9"}},
		"tolerance of days":  {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret {env.A}\n\t\twebhook_tolerance 48h\n\t}"), []string{"up to 24h", "Caddyfile:10"}},
		"tolerance of zero":  {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret {env.A}\n\t\twebhook_tolerance 0\n\t}"), []string{"above zero", "Caddyfile:10"}},
		"identity of what":   {govern("govern zendesk https://a.b {\n\t\tidentity jwt\n\t}"), []string{"identity wants session", "Caddyfile:9"}},
		"identity of more":   {govern("govern zendesk https://a.b {\n\t\tidentity session jwt\n\t}"), []string{"jwt", "Caddyfile:9"}},
		"webhooks, session":  {govern("govern zendesk/webhooks http://a.b {\n\t\twebhook_secret {env.A}\n\t\tidentity session\n\t}"), []string{"signature only", "Caddyfile:"}},
		"adds to webhooks":   {govern("govern zendesk/webhooks http://a.b {\n\t\tcredential bearer {env.A}\n\t}"), []string{"towards the vendor", "Caddyfile:9"}},
		"adds a secret":      {govern("govern zendesk https://a.b {\n\t\tcredential bearer geheim\n\t}"), []string{"{env.NAME}", "Caddyfile:9"}},
		"adds a password":    {govern("govern zendesk https://a.b {\n\t\tcredential basic ana@a.b/token geheim\n\t}"), []string{"{env.NAME}", "Caddyfile:9"}},
		"adds nothing":       {govern("govern zendesk https://a.b {\n\t\tcredential geheim\n\t}"), []string{"credential bearer {env.NAME}, credential basic USER", "Caddyfile:9"}},
		"adds words":         {govern("govern zendesk https://a.b {\n\t\tcredential bearer {env.A} geheim\n\t}"), []string{"one of", "Caddyfile:9"}},
		"adds in clear":      {govern("govern zendesk http://a.b {\n\t\tcredential bearer {env.A}\n\t}"), []string{"not sent in the clear", "https://", "Caddyfile:9"}},
		"adds twice":         {govern("govern zendesk https://a.b {\n\t\tcredential bearer {env.A}\n\t\tcredential bearer {env.B}\n\t}"), []string{"stands once", "Caddyfile:10"}},
		"adds as a type":     {govern("govern zendesk https://a.b {\n\t\tcredential header Content-Type {env.A}\n\t}"), []string{"X-API-Key", "Caddyfile:9"}},
		"adds as ours":       {govern("govern zendesk https://a.b {\n\t\tcredential header Caregate-Key {env.A}\n\t}"), []string{"X-API-Key", "Caddyfile:9"}},
		"adds as no header":  {govern("govern zendesk https://a.b {\n\t\tcredential header X:Y {env.A}\n\t}"), []string{"X-API-Key", "Caddyfile:9"}},
		"adds with a colon":  {govern("govern zendesk https://a.b {\n\t\tcredential basic ana:geheim {env.A}\n\t}"), []string{"without a colon", "Caddyfile:9"}},
		"grant in clear":     {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\ttoken_url http://a.b/t\n\t\t\tclient_id x\n\t\t\tclient_secret {env.A}\n\t\t}\n\t}"), []string{"not sent in the clear"}},
		"grant, a secret":    {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\ttoken_url https://a.b/t\n\t\t\tclient_id x\n\t\t\tclient_secret geheim\n\t\t}\n\t}"), []string{"{env.NAME}"}},
		"grant, a token":     {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\ttoken_url https://a.b/t\n\t\t\tclient_id x\n\t\t\trefresh_token geheim\n\t\t}\n\t}"), []string{"{env.NAME}"}},
		"grant of nothing":   {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\ttoken_url https://a.b/t\n\t\t\tclient_id x\n\t\t}\n\t}"), []string{"client_secret {env.NAME}"}},
		"grant, no address":  {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\tclient_id x\n\t\t\tclient_secret {env.A}\n\t\t}\n\t}"), []string{"token_url"}},
		"grant, option":      {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\tpassword geheim\n\t\t}\n\t}"), []string{"it has token_url, client_id", "Caddyfile:10"}},
		"grant, scope":       {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\ttoken_url https://a.b/t\n\t\t\tclient_id x\n\t\t\trefresh_token {env.A}\n\t\t\tscope read\n\t\t}\n\t}"), []string{"belongs to client credentials"}},
		"grant, auth":        {govern("govern zendesk https://a.b {\n\t\tcredential oauth {\n\t\t\ttoken_url https://a.b/t\n\t\t\tclient_id x\n\t\t\tclient_secret {env.A}\n\t\t\tclient_auth jwt\n\t\t}\n\t}"), []string{"basic or post"}},
		"no such webhooks":   {govern("govern ./testdata/silent.yaml/webhooks http://a.b"), []string{"silent", "no webhooks", "Caddyfile:8"}},
		"unknown webhooks":   {govern("govern zendisk/webhooks http://a.b"), []string{"zendisk", "zendesk", "Caddyfile:8"}},
		"no scheme":          {govern("govern zendesk acme.zendesk.com"), []string{"https://acme.zendesk.com"}},
		"wrong scheme":       {govern("govern zendesk ftp://acme.zendesk.com"), []string{"http or https"}},
		"path":               {govern("govern zendesk https://acme.zendesk.com/api"), []string{"scheme and host only"}},
		"unknown word":       {govern("govern zendesk https://a.b {\n\t\tignore\n\t}"), []string{"ignore", "uninspected", "Caddyfile:9"}},
		"wrong value":        {govern("govern zendesk https://a.b {\n\t\tuninspected maybe\n\t}"), []string{"refuse or pass"}},
		"vault_down":         {govern("govern zendesk https://a.b {\n\t\tvault_down pass\n\t}"), []string{"deny or mask"}},
		"audit_down":         {govern("govern zendesk https://a.b {\n\t\taudit_down perhaps\n\t}"), []string{"refuse or pass"}},
		"unknown limit":      {govern("govern zendesk https://a.b {\n\t\tlimits {\n\t\t\tsize 3\n\t\t}\n\t}"), []string{"size", "read_timeout", "Caddyfile:10"}},
		"limit not a size":   {govern("govern zendesk https://a.b {\n\t\tlimits {\n\t\t\tbody big\n\t\t}\n\t}"), []string{"limits body"}},
		"too many words":     {govern("govern zendesk https://a.b {\n\t\tobserve twice\n\t}"), []string{"twice", "Caddyfile:9"}},
		"archive, no bucket": {"{\n\tcaregate {\n\t\tarchive\n\t}\n}\n", []string{"s3://acme-audit", "Caddyfile:3"}},
		"archive, no S3":     {"{\n\tcaregate {\n\t\tarchive https://acme\n\t}\n}\n", []string{"s3://BUCKET/PREFIX", "Caddyfile:3"}},
		"archive, option":    {"{\n\tcaregate {\n\t\tarchive s3://acme {\n\t\t\tmode governance\n\t\t}\n\t}\n}\n", []string{"mode", "endpoint, region, retain, every", "Caddyfile:4"}},
		"archive, retain":    {"{\n\tcaregate {\n\t\tarchive s3://acme {\n\t\t\tretain 365d\n\t\t}\n\t}\n}\n", []string{"P12M"}},
		"archive, for ever":  {"{\n\tcaregate {\n\t\tarchive s3://acme {\n\t\t\tretain P999Y\n\t\t}\n\t}\n}\n", []string{"a hundred years"}},
		"archive, every":     {"{\n\tcaregate {\n\t\tarchive s3://acme {\n\t\t\tevery often\n\t\t}\n\t}\n}\n", []string{"every"}},
		"trail of nothing":   {"{\n\tcaregate {\n\t\ttrail zendesk\n\t}\n}\n", []string{"trail zendesk/audit https://", "Caddyfile:3"}},
		"unknown trail":      {"{\n\tcaregate {\n\t\ttrail zendesk/logins https://a.b\n\t}\n}\n", []string{"it has audit, access", "Caddyfile:3"}},
		"trail, option":      {"{\n\tcaregate {\n\t\ttrail zendesk/audit https://a.b {\n\t\t\ttoken x\n\t\t}\n\t}\n}\n", []string{"token", "bearer, basic, every", "Caddyfile:4"}},
		"trail, secret":      {"{\n\tcaregate {\n\t\ttrail zendesk/audit https://a.b {\n\t\t\tbearer geheim\n\t\t}\n\t}\n}\n", []string{"{env.NAME}"}},
		"trail, in clear":    {"{\n\tcaregate {\n\t\ttrail zendesk/audit http://a.b {\n\t\t\tbearer {env.A}\n\t\t}\n\t}\n}\n", []string{"want https://"}},
		"vault of nothing":   {"{\n\tcaregate {\n\t\tvault\n\t}\n}\n", []string{"cards or expires", "Caddyfile:3"}},
		"vault, option":      {"{\n\tcaregate {\n\t\tvault {\n\t\t\tcvv\n\t\t}\n\t}\n}\n", []string{"cvv", "cards, expires", "Caddyfile:4"}},
		"vault, cards off":   {"{\n\tcaregate {\n\t\tvault cards off\n\t}\n}\n", []string{"off", "Caddyfile:3"}},
		"vault, expires":     {"{\n\tcaregate {\n\t\tvault expires 5m\n\t}\n}\n", []string{"400d", "Caddyfile:3"}},
		"vault, for ever":    {"{\n\tcaregate {\n\t\tvault expires\n\t}\n}\n", []string{"400d", "Caddyfile:3"}},
		"two archives":       {"{\n\tcaregate {\n\t\tarchive s3://acme\n\t\tarchive s3://other\n\t}\n}\n", []string{"one archive"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := adapt(t, "Caddyfile", test.text)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("got %q, which repeats a secret", err)
			}
		})
	}
}

func govern(line string) string { return strings.Replace(minimal, "%GOVERN%", line, 1) }
