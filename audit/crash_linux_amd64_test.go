package audit

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/caregate/caregate/internal/callwatch"
)

// crashImages is for a long search, see `make torture`.
var crashImages = flag.Int("images", 200, "crash images that are recovered")

// platter is what a folder would hold after a power failure: a file has the bytes of
// its last sync, and a folder the names of its own. Which of the later writes and names
// reached the disk, nobody knows.
type platter struct {
	root  string
	names map[string]uint64 // synced names of files, and of folders, by path
	data  map[uint64][]byte // synced content of files
	held  map[uint64]*os.File
}

func newPlatter(t testing.TB, root string) *platter {
	t.Helper()
	p := &platter{root: root, names: map[string]uint64{}, data: map[uint64][]byte{}, held: map[uint64]*os.File{}}
	t.Cleanup(func() {
		for _, f := range p.held {
			_ = f.Close()
		}
	})
	for name, d := range p.list(t) {
		p.names[name] = p.inode(t, name)
		if d.Type().IsRegular() {
			data, ino := p.read(t, name)
			p.data[ino] = data
		}
	}
	return p
}

// list returns all names below the root, as the processes see them.
func (p *platter) list(t testing.TB) map[string]fs.DirEntry {
	t.Helper()
	out := map[string]fs.DirEntry{}
	err := filepath.WalkDir(p.root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && path != p.root {
			out[strings.TrimPrefix(path, p.root+"/")] = d
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inode identifies a file, 0 when it has no such name any more: a call that was let
// through before may be made only now. The file is held open, so that its number is not
// given to another.
func (p *platter) inode(t testing.TB, name string) uint64 {
	t.Helper()
	f, err := os.Open(filepath.Join(p.root, name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	ino := fi.Sys().(*syscall.Stat_t).Ino
	if p.held[ino] != nil {
		_ = f.Close()
	} else {
		p.held[ino] = f
	}
	return ino
}

// read returns the content that the processes see, and whose it is.
func (p *platter) read(t testing.TB, name string) (data []byte, ino uint64) {
	t.Helper()
	if ino = p.inode(t, name); ino == 0 {
		return nil, 0
	}
	fi, err := p.held[ino].Stat()
	if err == nil {
		data = make([]byte, fi.Size())
		var n int
		n, err = p.held[ino].ReadAt(data, 0)
		data = data[:n]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return data, ino
}

// see follows a call that is about to be made.
func (p *platter) see(t testing.TB, c callwatch.Call) {
	t.Helper()
	if c.Name != "fsync" && c.Name != "fdatasync" {
		return
	}
	fi, err := os.Stat(filepath.Join(p.root, c.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return // removed while it is open
	}
	if err != nil {
		t.Fatal(err)
	}
	if !fi.IsDir() {
		if data, ino := p.read(t, c.Path); ino != 0 {
			p.data[ino] = data
		}
		return
	}
	for name := range p.names {
		if filepath.Dir(name) == c.Path {
			delete(p.names, name)
		}
	}
	for name := range p.list(t) {
		if filepath.Dir(name) == c.Path {
			if ino := p.inode(t, name); ino != 0 {
				p.names[name] = ino
			}
		}
	}
}

// image writes what a power failure at this moment could leave: of each name and each
// file the synced state, that which the processes see, or for a file a mixture of both
// by sectors.
func (p *platter) image(t testing.TB, to string) {
	t.Helper()
	now := p.list(t)
	all := map[string]bool{}
	for name := range now {
		all[name] = true
	}
	for name := range p.names {
		all[name] = true
	}
	luck := rand.IntN(4) // everything newer is lost, nothing is, or some of it twice
	newer := func() bool { return luck == 1 || luck > 1 && rand.IntN(2) == 0 }
	for name := range all {
		d, seen := now[name]
		ino, synced := p.names[name]
		if !p.reachable(name, now, luck == 0) || strings.HasSuffix(name, "-shm") {
			continue
		}
		if seen && d.IsDir() {
			continue // made with what lies in it
		}
		var data []byte
		switch {
		case seen && (newer() || !synced && luck != 0):
			current, now := p.read(t, name)
			if now == 0 {
				continue
			}
			data = mixSectors(p.data[now], current, newer)
		case synced:
			if fi, err := p.held[ino].Stat(); err != nil || fi.IsDir() {
				continue
			}
			data = p.data[ino]
		default:
			continue
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// reachable says whether all folders above a name are on the disk.
func (p *platter) reachable(name string, now map[string]fs.DirEntry, strict bool) bool {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		_, synced := p.names[dir]
		if _, seen := now[dir]; !synced && (strict || !seen) {
			return false
		}
	}
	return true
}

// mixSectors is a file of which some of the newer sectors were written.
func mixSectors(old, current []byte, newer func() bool) []byte {
	const sector = 512
	if bytes.Equal(old, current) {
		return current
	}
	out := bytes.Clone(current)
	if len(old) < len(current) && !newer() {
		out = out[:len(old)+rand.IntN(len(current)-len(old)+1)]
	}
	for at := 0; at < len(out); at += sector {
		if end := min(at+sector, len(out), len(old)); end > at && !newer() {
			copy(out[at:end], old[at:end])
		}
	}
	return out
}

// mustNotAccuse tears the WAL in many more ways than there are images: none of them may
// look like damage, which would keep the gateway from starting after a power failure.
func mustNotAccuse(t testing.TB, p *platter, c callwatch.Call) {
	t.Helper()
	const wal = auditDir + "/" + intakeFile + "-wal"
	if c.Path != wal {
		return
	}
	current, ino := p.read(t, wal)
	for range 20 {
		torn := mixSectors(p.data[ino], current, func() bool { return rand.IntN(2) == 0 })
		if at, ok := scanWAL(torn); !ok {
			t.Errorf("a torn WAL of %d bytes is called damaged at frame %d", len(torn), at)
		}
	}
}

// F2, A2, A4, A5: whatever a power failure leaves at whatever moment, some files older
// than others and some writes torn, is recovered with every acknowledged event.
func TestCrashImages(t *testing.T) {
	t.Parallel()
	want := *crashImages
	if testing.Short() {
		want = 20
	}
	// A moment is a sync: what was acknowledged stands and falls with those.
	const moments = 500
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	taken, acknowledged := 0, 0
	for taken < want && !t.Failed() {
		dir := t.TempDir()
		create(t, dir, &Config{})
		p := newPlatter(t, dir)
		before := taken
		l := live(t, "ordinary", dir, func(c callwatch.Call, phase string, acked []ID) callwatch.Verdict {
			p.see(t, c)
			mustNotAccuse(t, p, c)
			if (c.Name == "fsync" || c.Name == "fdatasync" || c.Name == "pwrite64" || c.Name == "renameat") && taken < want && rand.IntN(moments) < 40 {
				to := t.TempDir()
				p.image(t, to)
				n, known := taken, acked[:len(acked):len(acked)]
				taken++
				acknowledged += len(known)
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					t.Run(fmt.Sprintf("image %d: %s, %s", n, phase, strings.ReplaceAll(site(c), "/", "|")), func(t *testing.T) {
						mustRecover(t, to, known)
						if err := os.RemoveAll(filepath.Join(to, auditDir)); err != nil {
							t.Error(err)
						}
					})
				})
			}
			return callwatch.Verdict{}
		})
		wg.Wait()
		if l.code != 0 || taken == before {
			t.Fatalf("ended with %d after %d images", l.code, taken-before)
		}
	}
	if acknowledged == 0 {
		t.Error("no image had an acknowledged event")
	}
	t.Logf("%d images, %d acknowledged events in them", taken, acknowledged)
}
