package proxy

import (
	"bufio"
	"io"
	"sync"
	"sync/atomic"
)

// feed takes a body from the wire in a goroutine of its own and undoes its
// coding, so that whoever judges the bytes can also wait for a clock. It reads at
// most two chunks ahead.
type feed struct {
	src    io.Reader
	coding string
	ratio  int64
	// raw says that what cannot be decoded is handed over as it came, for routes
	// that observe.
	raw bool
	// veil, when set, hides a secret in what was decoded; veiled says that there was one.
	veil   *veil
	veiled atomic.Bool
	// keep says that the bytes of a coded body are handed over with what they say.
	keep atomic.Bool

	chunks chan chunk    // unbuffered; a chunk is valid until the next receive
	quit   chan struct{} // closed by stop
	done   chan struct{} // closed when the goroutine has ended
	ended  atomic.Bool   // the source was read to its end, or failed
	once   sync.Once
}

// chunk is what arrived since the last one.
type chunk struct {
	// plain is decoded; wire is what it was decoded from, nil for a body without
	// coding and when nobody keeps it.
	plain, wire []byte
	// err is io.EOF at a clean end. The last chunk has one, but for a feed that is
	// raw, where a *refusal says that what follows is in wire only.
	err error
}

// came is the part of the body that the chunk stands for, as it was on the wire.
func (c chunk) came() []byte {
	if c.wire != nil {
		return c.wire
	}
	return c.plain
}

// chunkSize is how much is handed over at a time: half a window, so that a window
// is never much larger than it should be.
const chunkSize = 32 << 10

// expansionFloor is how many decoded bytes are free of the ratio: a few hundred
// bytes of repeated ticket markup compress well beyond any honest one.
const expansionFloor = 64 << 10

func newFeed(src io.Reader, coding string, ratio int64, raw bool, veil *veil) *feed {
	f := &feed{src: src, coding: coding, ratio: ratio, raw: raw, veil: veil, chunks: make(chan chunk), quit: make(chan struct{}), done: make(chan struct{})}
	f.keep.Store(true)
	go f.run()
	return f
}

// stop ends the goroutine and returns when it has ended. unblock makes a read of
// the source return; it is called after the goroutine was told.
func (f *feed) stop(unblock func()) {
	f.tell(unblock)
	<-f.done
}

// tell is stop without waiting.
func (f *feed) tell(unblock func()) {
	f.once.Do(func() { close(f.quit) })
	if !f.ended.Load() {
		unblock()
	}
}

func (f *feed) run() {
	defer close(f.done)
	w := &wire{src: f.src, keep: f.coding != "" && f.keep.Load()}
	var r io.Reader = w
	var ahead *bufio.Reader
	var buf [2][]byte
	if f.coding != "" {
		ahead = bufio.NewReaderSize(w, 4<<10)
		if _, err := ahead.Peek(1); err != nil { // nothing is in no coding
			f.hand(chunk{err: err})
			return
		}
		decoded, err := decoder(f.coding, ahead)
		if w.err != nil {
			f.hand(chunk{wire: w.take(true), err: w.err})
			return
		}
		if err != nil {
			f.broken(w, chunk{err: decodeRefusal(err)})
			return
		}
		if c, ok := decoded.(io.Closer); ok {
			defer c.Close()
		}
		if r = decoded; f.veil != nil {
			r = &veiled{veil: f.veil, src: io.NopCloser(decoded), hidden: &f.veiled}
		}
	}
	var total int64
	for i := 0; ; i ^= 1 {
		if buf[i] == nil {
			buf[i] = make([]byte, chunkSize)
		}
		n, err := r.Read(buf[i])
		total += int64(n)
		var ref *refusal
		switch {
		case f.coding == "":
		case w.err != nil && err != io.EOF:
			err = w.err // the connection's failure, not the decoder's opinion of it
		case total > w.total*f.ratio+expansionFloor:
			ref = refuse(reasonExpansion)
		case err == io.EOF:
			if _, more := ahead.Peek(1); more != io.EOF {
				ref = refuse(reasonCodingBroken)
			}
		case err != nil:
			ref = decodeRefusal(err)
		}
		if ref != nil {
			f.broken(w, chunk{plain: buf[i][:n], err: ref})
			return
		}
		if n == 0 && err == nil {
			i ^= 1
			continue
		}
		if !f.hand(chunk{plain: buf[i][:n], wire: w.take(f.keep.Load()), err: err}) || err != nil {
			return
		}
	}
}

// broken ends a feed whose body cannot be decoded any further. A raw one goes on
// with what comes.
func (f *feed) broken(w *wire, last chunk) {
	last.wire = w.take(true)
	if !f.hand(last) || !f.raw {
		return
	}
	var buf [2][chunkSize]byte
	for i := 0; ; i ^= 1 {
		n, err := f.src.Read(buf[i][:])
		if !f.hand(chunk{wire: buf[i][:n], err: err}) || err != nil {
			return
		}
	}
}

// hand gives a chunk to the judge. It returns false when nobody takes any more.
func (f *feed) hand(c chunk) bool {
	if _, coded := c.err.(*refusal); c.err != nil && !(coded && f.raw) { //nolint:errorlint // made in run
		f.ended.Store(true)
	}
	select {
	case f.chunks <- c:
		return true
	case <-f.quit:
		return false
	}
}

// wire is the source of a coded body. It counts and keeps what passes.
type wire struct {
	src   io.Reader
	total int64
	keep  bool
	kept  []byte
	spare []byte // the buffer that the judge has done with
	err   error  // of the source, other than its end
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.src.Read(p)
	w.total += int64(n)
	if w.keep {
		w.kept = append(w.kept, p[:n]...)
	}
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// take returns what was kept since the last call, never nil for a coded body
// that is kept. It is valid until the next but one.
func (w *wire) take(keep bool) []byte {
	if !w.keep {
		return nil
	}
	w.keep = keep
	out := w.kept
	if out == nil {
		out = []byte{}
	}
	w.kept, w.spare = w.spare[:0], out
	return out
}
