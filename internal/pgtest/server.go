// Package pgtest gives tests empty PostgreSQL databases: of a throw-away server that
// it starts once for each test binary, or of the one that CAREGATE_TEST_POSTGRES
// names. It never skips a test: without PostgreSQL the test fails with the command
// that installs it. Nothing outside of tests imports it.
package pgtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// server is a running PostgreSQL of ours. It listens on a socket in its own folder
// only, so that it needs no port and no password.
type server struct {
	dir string
	// life is the end of a pipe that the server's keeper watches: the server stops and
	// its folder goes away when it is closed, which the kernel does when this process
	// ends, however it ends.
	life *os.File
}

// keeper makes the data of a server with the programs in the folder $1 and runs it in
// the folder $2, as a standby of the one in the folder $3 unless that is empty, with the
// settings behind. It ends the server with its standard input, or before when told so
// there. It ignores the signals of a terminal, whose Ctrl-C is meant for the tests.
const keeper = `
trap '' INT TERM HUP
bin=$1 dir=$2 primary=$3
shift 3
cd "$dir" || exit 1
make_data() {
	if [ -z "$primary" ]; then
		"$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --no-locale --no-sync
	else
		"$bin/pg_basebackup" -D "$dir/data" -h "$primary" -U postgres -R -c fast --no-sync
	fi
}
if make_data >"$dir/log" 2>&1; then
	"$bin/postgres" -D "$dir/data" "$@" >>"$dir/log" 2>&1 &
	server=$!
else
	: >"$dir/failed"
fi
while read -r order; do
	[ "$order" = crash ] || continue
	kill -QUIT "$server"
	wait "$server"
	server=
	: >"$dir/crashed"
done
[ -z "$server" ] || { kill -QUIT "$server"; wait "$server"; }
cd /
rm -rf "$dir"
`

// start starts a server with settings like "fsync=off" beside the usual ones, as a
// standby of another one unless that is nil. It returns before the server answers.
func start(primary *server, settings ...string) (_ *server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "caregate-pg-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	watched, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer watched.Close()
	args := []string{"-c", keeper, "sh", bin, dir, ""}
	if primary != nil {
		args[len(args)-1] = primary.dir
	}
	for _, s := range append([]string{"listen_addresses=", "unix_socket_directories=" + dir, "max_connections=300", "shared_buffers=32MB", "checkpoint_timeout=1h"}, settings...) {
		args = append(args, "-c", s)
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.Stdin = watched
	// A session of its own: what is sent to the tests' process group must not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: who}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), life.Close())
	}
	return &server{dir: dir, life: life}, nil
}

// url names a database of the server.
func (s *server) url(database string) string {
	return "postgres://postgres@/" + database + "?host=" + s.dir
}

// failure says why the server does not come up, nil while it still may.
func (s *server) failure() error {
	if _, err := os.Stat(filepath.Join(s.dir, "failed")); err == nil {
		return errors.New("making the server's data failed: " + s.log())
	}
	return nil
}

// log is the end of what the server said.
func (s *server) log() string {
	f, err := os.Open(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const tail = 2000
	if fi, err := f.Stat(); err == nil && fi.Size() > tail {
		_, _ = f.Seek(-tail, io.SeekEnd) // on failure all of it is shown
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

// programs finds the folder with initdb and postgres: the one on the path, or
// Debian's, which is not on it; the newest of several.
func programs() (string, error) {
	var found []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			found = append(found, filepath.Dir(path))
		}
	}
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	newest, best := -1, ""
	for _, dir := range debian {
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && n > newest {
			newest, best = n, dir
		}
	}
	for _, dir := range append(found, best) {
		if dir == "" {
			continue
		}
		_, errInit := os.Stat(filepath.Join(dir, "initdb"))
		_, errServer := os.Stat(filepath.Join(dir, "postgres"))
		if errInit == nil && errServer == nil {
			return dir, nil
		}
	}
	return "", errors.New("PostgreSQL is not installed, or its initdb is missing. " + hint())
}

// hint is the command that installs PostgreSQL here.
func hint() string {
	const other = ", or set CAREGATE_TEST_POSTGRES to the URL of a server whose role may create databases"
	for _, manager := range [...]struct{ program, command string }{
		{"apt-get", "apt-get update && apt-get install -y --no-install-recommends postgresql"},
		{"dnf", "dnf install postgresql-server"},
		{"apk", "apk add postgresql"},
		{"brew", "brew install postgresql"},
	} {
		if _, err := exec.LookPath(manager.program); err == nil {
			return "Install it with: " + manager.command + other
		}
	}
	return "Install PostgreSQL 14 or newer" + other
}

// unprivileged is who the server runs as: nobody in particular for root, whom
// PostgreSQL refuses, and nil for everybody else.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range [...]string{"nobody", "postgres"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errU, errG); err != nil {
			return nil, fmt.Errorf("running PostgreSQL as %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user nobody or postgres")
}
