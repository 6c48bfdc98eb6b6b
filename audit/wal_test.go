package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// leftBehind makes a log whose events lie in the WAL alone, a commit each, and returns
// its folder as a killed process leaves it, with the receipts in order.
func leftBehind(t *testing.T, n int) (dir string, acked []ID) {
	t.Helper()
	l, live := newLog(t, Config{Checkpoint: time.Hour})
	for i := range n {
		acked = append(acked, record(t, l, sample(i)).ID)
	}
	return image(t, live), acked
}

// walOf is the WAL of the intake below dir.
func walOf(dir string) string { return filepath.Join(dir, auditDir, intakeFile+"-wal") }

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// frameSize is the length of a frame in the WALs of these tests.
const frameSize = walFrameHeader + walPageSize

// commitEnds returns where each commit of a WAL ends.
func commitEnds(wal []byte) (ends []int) {
	for at := walHeader; at+frameSize <= len(wal); at += frameSize {
		if binary.BigEndian.Uint32(wal[at+4:]) != 0 {
			ends = append(ends, at+frameSize)
		}
	}
	return ends
}

// F5, A2: a WAL that ends at any page or any byte, as a torn write leaves it, is
// recovered with the events whose commits are whole, and no other.
func TestTornWAL(t *testing.T) {
	t.Parallel()
	dir, acked := leftBehind(t, 12)
	wal := mustRead(t, walOf(dir))
	ends := commitEnds(wal)
	if len(ends) < len(acked) {
		t.Fatalf("%d commits in the WAL, want one for each of %d events", len(ends), len(acked))
	}
	var cuts []int
	for at := walHeader; at <= len(wal); at += frameSize {
		cuts = append(cuts, at)
	}
	for range 20 {
		cuts = append(cuts, rand.IntN(len(wal)))
	}
	cuts = append(cuts, 0, 1, walHeader-1)
	for _, cut := range cuts {
		t.Run(fmt.Sprintf("%d of %d bytes", cut, len(wal)), func(t *testing.T) {
			t.Parallel()
			torn := image(t, dir)
			write(t, walOf(torn), wal[:cut])
			whole := 0
			for _, end := range ends[len(ends)-len(acked):] {
				if end <= cut {
					whole++
				}
			}
			mustRecover(t, torn, acked[:whole])
			rows, err := readAllIndex(t, torn)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				for _, id := range acked[whole:] {
					if ID(r.eid) == id {
						t.Error("an event came back whose commit is not whole")
					}
				}
			}
		})
	}
}

// F5, A2, A21: a bit that changed in a commit which another one follows was no torn
// write: SQLite would take it for the end, and the log says that it is damaged.
func TestDamagedWAL(t *testing.T) {
	t.Parallel()
	dir, acked := leftBehind(t, 12)
	wal := mustRead(t, walOf(dir))
	ends := commitEnds(wal)
	followed := ends[len(ends)-2] // the last commit may always be a torn one
	changed := image(t, dir)
	try := func(at int) {
		t.Helper()
		bad := bytes.Clone(wal)
		bad[at] ^= 1 << rand.IntN(8)
		write(t, walOf(changed), bad)
		if err := checkWAL(walOf(changed)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d of %d: got %v, want ErrCorrupt", at, len(wal), err)
		}
	}
	for at := range walHeader {
		try(at)
	}
	for at := walHeader; at < followed; at += frameSize {
		for field := range walFrameHeader {
			if (at+8)%walSector == 0 && field < 8 {
				continue // the mark of a commit does not count there
			}
			try(at + field)
		}
		for range 5 {
			try(at + walFrameHeader + rand.IntN(walPageSize))
		}
	}
	// The gateway and verify ask.
	for _, at := range []int{8, walHeader + 17, walHeader + walFrameHeader + 100, followed - 1} {
		bad := bytes.Clone(wal)
		bad[at] ^= 4
		write(t, walOf(changed), bad)
		mustVerify(t, changed, Invalid)
		if _, err := Open(t.Context(), changed, Config{Deployment: "acme"}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d, open: got %v, want ErrCorrupt", at, err)
		}
	}
	write(t, walOf(changed), wal)
	mustRecover(t, changed, acked)
	if err := checkWAL(filepath.Join(dir, "nowhere")); err != nil {
		t.Errorf("no WAL: %v", err)
	}
}

// F7, A2: the WAL of a running log is cut. Nothing shows it at once, because the next
// commit is written where it would have been; the next start finds the hole.
func TestCutWAL(t *testing.T) {
	t.Parallel()
	l, live := newLog(t, Config{Checkpoint: time.Hour})
	for i := range 4 {
		record(t, l, sample(i))
	}
	cut(t, walOf(live))
	for i := range 4 {
		if _, err := tryRecord(t.Context(), l, sample(i)); err != nil {
			return // SQLite missed its pages: the log has failed, which is as good
		}
	}
	left := image(t, live)
	mustVerify(t, left, Invalid)
	if _, err := Open(t.Context(), left, Config{Deployment: "acme"}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open: got %v, want ErrCorrupt", err)
	}
}

// F6, A4: an older WAL, valid in itself, over the one that the tree has grown from.
func TestOlderWAL(t *testing.T) {
	t.Parallel()
	l, live := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 20)
	covered(t, l)
	older := mustRead(t, walOf(live))
	recordMany(t, l, 20)
	covered(t, l)
	left := image(t, live)
	write(t, walOf(left), older)
	mustVerify(t, left, Invalid)
	if _, err := Open(t.Context(), left, Config{Deployment: "acme"}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open: got %v, want ErrCorrupt", err)
	}
}

func FuzzScanWAL(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0x37, 0x7f, 0x06, 0x82}, 20))
	header := binary.BigEndian.AppendUint32(nil, walMagic)
	header = binary.BigEndian.AppendUint32(header, 3007000)
	header = binary.BigEndian.AppendUint32(header, 512)
	header = append(header, make([]byte, 12)...)
	sum := walSum{}.add(binary.LittleEndian, header)
	header = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(header, sum.a), sum.b)
	f.Add(append(header, make([]byte, 3*(walFrameHeader+512))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		at, torn := scanWAL(data)
		if at < 0 || at > 1+len(data)/walFrameHeader || !torn && len(data) < walHeader+2*walFrameHeader {
			t.Errorf("frame %d, torn %t", at, torn)
		}
	})
}
