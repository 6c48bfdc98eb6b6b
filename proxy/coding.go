package proxy

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/caregate/caregate/policy"
)

// refusal is an answer of ours on its way to the client: a reason of the
// catalogue, where it happened, and what the operator may know beside it. It
// never holds data.
type refusal struct {
	code string
	// cause, when the refused thing is a response, is the reason below
	// response_withheld.
	cause string
	// needs is the grant that would permit the call.
	needs string
	// rules are the codes of the deployment's own rules that deny.
	rules []string
	// limit is the limit of the policy that was reached.
	limit *policy.RateLimit
	// inner is the number of the call inside a composite one that was refused, from 1, and 0
	// for none; innerOp is its operation, empty where it is not known.
	inner   int
	innerOp string
	// offset is where a parser stopped, -1 when that says nothing.
	offset int64
	// err is for our own log only.
	err error
}

func (r *refusal) Error() string {
	if r.cause != "" {
		return r.code + " (" + r.cause + ")"
	}
	return r.code
}

func (r *refusal) Unwrap() error { return r.err }

func refuse(code string) *refusal { return &refusal{code: code, offset: -1} }

func refuseErr(code string, err error) *refusal { return &refusal{code: code, offset: -1, err: err} }

// contentCoding reads a Content-Encoding header: "" for none, the one coding in
// lower case, or a refusal. Two codings are refused although RFC 9110 section
// 8.4 allows them: no client of a helpdesk nests them, and each layer multiplies
// what a small body can expand to.
func contentCoding(values []string) (string, *refusal) {
	if len(values) > 1 {
		return "", refuse(reasonCoding)
	}
	if len(values) == 0 {
		return "", nil
	}
	switch c := strings.ToLower(strings.TrimSpace(values[0])); c {
	case "", "identity":
		return "", nil
	case "gzip", "br", "zstd", "deflate":
		return c, nil
	default:
		return "", refuse(reasonCoding)
	}
}

// decode undoes one content-coding within two limits: max decoded bytes, and
// ratio decoded bytes per byte on the wire. The whole input must be one complete
// stream: a damaged checksum, an early end and bytes after the end are refused,
// because other decoders would read another body.
func decode(coding string, wire []byte, max int64, ratio int64) ([]byte, *refusal) {
	if coding == "" {
		if looksCompressed(wire) {
			return nil, refuse(reasonCodingBroken)
		}
		return wire, nil
	}
	if len(wire) == 0 {
		return wire, nil
	}
	src := bufio.NewReader(bytes.NewReader(wire))
	r, err := decoder(coding, src)
	if err != nil {
		return nil, refuseErr(reasonCodingBroken, err)
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	limit := min(max, int64(len(wire))*ratio+expansionFloor)
	var out bytes.Buffer
	out.Grow(int(min(limit, 4*int64(len(wire)))))
	n, err := io.Copy(&out, io.LimitReader(r, limit+1))
	switch {
	case n > max:
		return nil, refuse(reasonTooLarge)
	case n > limit:
		return nil, refuse(reasonExpansion)
	case err != nil:
		return nil, decodeRefusal(err)
	}
	if _, err := src.Peek(1); err != io.EOF {
		return nil, refuse(reasonCodingBroken)
	}
	return out.Bytes(), nil
}

// decodeRefusal tells a body that would need too much memory from a broken one.
func decodeRefusal(err error) *refusal {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return refuseErr(reasonExpansion, err)
	}
	return refuseErr(reasonCodingBroken, err)
}

// maxWindow bounds what a zstd frame may make its decoder allocate: RFC 8878
// section 3.1.1.1.2 recommends that decoders support 8 MiB.
const maxWindow = 8 << 20

func decoder(coding string, src *bufio.Reader) (io.Reader, error) {
	switch coding {
	case "gzip":
		return gzip.NewReader(src)
	case "br":
		return brotli.NewReader(src), nil
	case "zstd":
		d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		// RFC 9110 section 8.4.1.2: "deflate" is zlib. Some senders mean raw
		// deflate; the two are told apart by zlib's header check, never by trying.
		if head, err := src.Peek(2); err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			return zlib.NewReader(src)
		}
		return flate.NewReader(src), nil
	}
}

// looksCompressed reports a body announced as plain that begins with the magic
// of gzip or zstd: one of the two readers on the way would decode it.
func looksCompressed(b []byte) bool {
	return bytes.HasPrefix(b, []byte{0x1f, 0x8b, 0x08}) || bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd})
}
