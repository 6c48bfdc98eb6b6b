package proxy

import (
	"mime"
	"net/http"
	"time"

	"github.com/caregate/caregate/redact/walk"
)

// streams tells whether a body may be judged as it passes, by its headers. A
// short one of known length is read whole: its caller can still be told what is
// wrong with it.
func (x *exchange) streams(kind walk.Kind, length int64, incremental bool) bool {
	// On the way to a processor and back the whole body is looked at for tokens and for
	// what they stand for.
	return kind.Streams() && x.h.ch.Payments == nil && (length < 0 || length > streamWindow || incremental)
}

// streamed tells by its headers whether a body may stream.
func streamed(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return false
	}
	kind, ok := kindOf(media)
	return ok && kind.Streams()
}

// streamRequest begins to read a request that streams.
func (x *exchange) streamRequest(w http.ResponseWriter, r *http.Request, incremental bool) *refusal {
	rc := http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		// Without it net/http takes what the caller is still sending out of our hands
		// as soon as the answer begins, and the upstream would get a body with a hole.
		if err := rc.EnableFullDuplex(); err != nil {
			return refuseErr(reasonInternal, err)
		}
	}
	s := x.newStream(&x.request, r, r.Body, func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) })
	if r.ProtoMajor == 1 {
		s.caller = w
	}
	r.Trailer = nil // trailers are data nobody decided about
	return s.readFirst(incremental)
}

// sendStream makes the stream the body of the request. Nobody can send it twice.
func (x *exchange) sendStream(r *http.Request) {
	r.Body, r.GetBody = x.request.body.stream, nil
	if x.observe() {
		return // the bytes are those that came
	}
	r.ContentLength, r.TransferEncoding = -1, nil
	r.Header.Del("Content-Length")
	r.Header.Del("Content-Encoding")
	dropDigests(r.Header)
}

// releaseStream makes the stream the body of the answer.
func (x *exchange) releaseStream(res *http.Response) {
	h := res.Header
	res.Body = x.response.body.stream
	if x.observe() {
		return
	}
	tagETag(h, x.tagSuffix)
	if h.Get("Accept-Ranges") != "" {
		h.Set("Accept-Ranges", "none")
	}
	addVary(h, "Accept-Encoding")
	dropDigests(h)
	for _, name := range [...]string{"Content-Length", "Content-Encoding"} {
		h.Del(name)
	}
	// Without a length reverse_proxy flushes after every write.
	res.ContentLength, res.TransferEncoding, res.Uncompressed = -1, nil, false
}

// hangUpAfter closes the caller's HTTP/1 connection behind the answer when the
// answer may begin while the caller is still sending: net/http would take what is
// left of the body for the next request. s may be nil.
func (s *stream) hangUpAfter() {
	if s != nil && s.caller != nil && !s.whole.Load() {
		s.caller.Header().Set("Connection", "close")
	}
}

// wasCut is why the stream was cut, nil while it was not. s may be nil.
func (s *stream) wasCut() *refusal {
	if s == nil {
		return nil
	}
	return s.refused.Load()
}

// endStreams ends what still streams and returns when nothing of it runs. A
// stream that nobody read to its end was left by its receiver. With linger, the
// goroutine that reads from a caller who is still sending is told to end and not
// waited for: the caller's answer comes first, see linger.
func (x *exchange) endStreams(linger bool) {
	for _, s := range x.streaming {
		_ = s.Close()
		if linger && s.caller != nil {
			x.lingering = s.feed
			s.feed.tell(func() { _ = http.NewResponseController(s.caller).SetReadDeadline(time.Now().Add(lingerTime)) })
		} else {
			s.feed.stop(s.unblock)
		}
		if s.side == &s.x.response {
			s.unblock() // also where the body was read to its end
		}
		s.mu.Lock()
		if s.window != nil && !s.over {
			ref := refuse(reasonUpstreamAborted)
			if s.side == &s.x.response || s.ctx.Err() != nil {
				ref = refuse(reasonClientGone)
			}
			s.err = s.cut(ref)
		}
		s.mu.Unlock()
		if s.slot != nil {
			s.slot.Release()
		}
	}
	x.streaming = nil
}
