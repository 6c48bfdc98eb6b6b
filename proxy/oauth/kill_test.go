package oauth_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy/oauth"
)

// childEnv makes the test binary a gateway's part that asks for a token: the database, the
// vendor and the first refresh token, with bars between. It prints the token's version and
// waits for its end.
const childEnv = "CAREGATE_OAUTH_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(strings.Split(what, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(args []string) error {
	db, err := store.Open(context.Background(), args[0], store.Options{Create: true})
	if err != nil {
		return err
	}
	k, err := oauth.Open(context.Background(), db, oauth.KeeperConfig{Sealer: new(sealer), Digest: digest, Attempt: 2 * time.Minute})
	if err != nil {
		return err
	}
	t, err := k.Source(oauth.Client{Name: "desk", TokenURL: args[1], ID: "gateway", Secret: "client-secret", Refresh: true, Seed: policy.Secret(args[2]), HTTP: &http.Client{}}).Token(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(t.Version)
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// A gateway that asks for a token is killed: before the vendor rotated, between that and the
// answer, and after the pair was durable. Its successor goes on with what counts, or says
// that nothing does.
func TestKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, where string) {
		for name, test := range map[string]struct {
			// at is when the first process is killed.
			before, after bool
			want          error
			questions     int
			lost          string
		}{
			"before the vendor rotates":  {before: true, questions: 2},
			"after the vendor rotated":   {after: true, questions: 2, want: oauth.ErrLost, lost: "unanswered"},
			"after the pair was durable": {questions: 1},
		} {
			t.Run(name, func(t *testing.T) {
				where := where
				if strings.HasPrefix(where, "postgres") {
					where = pgtest.Database(t)
				} else {
					where += strings.ReplaceAll(name, " ", "-")
				}
				v := newVendor(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cmd := exec.CommandContext(ctx, os.Args[0])
				cmd.Env = append(os.Environ(), childEnv+"="+where+"|"+v.URL+"|seed-token-0")
				cmd.Stderr = os.Stderr
				_, err := cmd.StdinPipe() // stays open
				if err != nil {
					t.Fatal(err)
				}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				started, dead := make(chan struct{}), make(chan struct{})
				kill := func() {
					<-started
					_ = cmd.Process.Kill()
					<-dead
				}
				v.set(func() {
					v.before = func(n int) {
						if n == 1 && test.before {
							kill()
							panic(http.ErrAbortHandler)
						}
					}
					v.after = func(n int, _ http.ResponseWriter) bool {
						if n == 1 && test.after {
							kill()
							panic(http.ErrAbortHandler)
						}
						return false
					}
				})
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				close(started)
				line, _ := bufio.NewReader(out).ReadString('\n')
				if line != "" {
					_ = cmd.Process.Kill()
				}
				_ = cmd.Wait()
				close(dead)
				if (line == "2\n") == (test.before || test.after) {
					t.Fatalf("the first process got as far as %q", line)
				}
				b := openBench(t, where, &clock{t: time.Now()})
				tok, err := b.keeper.Source(client(v, "seed-token-0")).Token(t.Context())
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Fatalf("the second process: got %v, want %v", err, test.want)
				}
				if n := v.questions(); n != test.questions {
					t.Errorf("%d questions, want %d", n, test.questions)
				}
				if st := b.keeper.Status(); st[0].Lost != test.lost {
					t.Errorf("lost as %q, want %q", st[0].Lost, test.lost)
				}
				if test.lost != "" && (!strings.Contains(b.log.String(), "never kept") || !strings.Contains(b.log.String(), "authorise the gateway again")) {
					t.Error("the log does not say what was lost and what to do")
				}
				if err == nil && tok.Version < 2 {
					t.Errorf("version %d", tok.Version)
				}
			})
		}
	})
}
