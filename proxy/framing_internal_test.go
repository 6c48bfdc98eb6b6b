package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// However the bytes come, framing stops at the same one, and while it takes them it sees
// the ends of requests where net/http sees them.
func FuzzFraming(f *testing.F) {
	const post = "POST /a HTTP/1.1\r\nHost: a\r\n"
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
		post + "Content-Length: 5\r\n\r\nhello\r\n" + post + "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		post + "X: a\r\n b\r\n\r\n",
		post + "X: a\n\r\n",
		post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: chunked\r\n\r\n fF\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00",
		"GET / HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed), uint(len(seed)/2))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint) {
		var whole framing
		taken := whole.feed(data)

		var parts framing
		at := int(cut % uint(len(data)+1))
		split := parts.feed(data[:at])
		if split == at {
			split += parts.feed(data[at:])
		}
		if split != taken {
			t.Fatalf("whole: %d taken; cut at %d: %d", taken, at, split)
		}

		var one framing
		ends := make([]bool, taken+1) // whether a request may have ended before that byte
		ends[0] = true
		for i := range taken {
			one.feed(data[i : i+1])
			ends[i+1] = one.state == betweenRequests
		}
		source := bytes.NewReader(data[:taken])
		in := bufio.NewReader(source)
		for one.state != inHTTP2 {
			for { // what the server skips behind a POST
				b, err := in.ReadByte()
				if err != nil {
					return
				}
				if b != '\r' && b != '\n' {
					_ = in.UnreadByte()
					break
				}
			}
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			end := taken - source.Len() - in.Buffered()
			if one.stopped && end == taken {
				return // behind a head that the server refuses
			}
			if !ends[end] {
				t.Fatalf("net/http sees the end of a request at byte %d of %d", end, taken)
			}
		}
	})
}
