package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// leftEnv makes the test binary start a server, print its folder and wait to be
// killed.
const leftEnv = "CAREGATE_PGTEST_LEFT"

func TestMain(m *testing.M) {
	if os.Getenv(leftEnv) == "" {
		os.Exit(m.Run())
	}
	s, err := shared()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.dir)
	<-time.After(time.Hour) // not for ever: with nothing to wait for, the runtime would end it
}

// TestServerEndsWithItsProcess: a test binary that is killed leaves no server and no
// folder.
func TestServerEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leftEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := bufio.NewScanner(out)
	if !line.Scan() {
		t.Fatalf("no folder was printed: %v", cmd.Wait())
	}
	s := &server{dir: line.Text()}
	url := s.url("postgres")
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is still there", s.dir)
		}
	}
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("the server still answers")
	}
}

// TestDatabasesAreApart: each test has tables of its own, and a copy is a copy.
func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, two := Database(t), Database(t)
	Exec(t, one, "CREATE TABLE t (a BIGINT)", "INSERT INTO t VALUES (7)")
	Exec(t, two, "CREATE TABLE t (a TEXT)")
	db, err := store.Open(t.Context(), Copy(t, one), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got int
	if err := db.QueryRow("SELECT a FROM t").Scan(&got); err != nil || got != 7 {
		t.Errorf("copy: got %d, %v, want 7", got, err)
	}
}

// TestPair: a standby has what was committed before it was cut off, and takes over.
func TestPair(t *testing.T) {
	t.Parallel()
	p := StartPair(t)
	p.Synchronous(t)
	db, err := store.Open(t.Context(), p.Either, store.Options{MaxConns: 1}) // unlike Exec, it waits
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (a BIGINT)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	Set(t, p.Primary, "synchronous_standby_names", "")
	p.Sever(t)
	Exec(t, p.Either, "INSERT INTO t VALUES (8)")
	p.Crash(t)
	p.Promote(t)
	Exec(t, p.Either, "INSERT INTO t VALUES (9)")
	Await(t, p.Either, "SELECT string_agg(a::text, ' ' ORDER BY a) FROM t", "7 9")
}
