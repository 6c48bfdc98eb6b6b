package proxy

import (
	"bytes"
	"io"
	"log"
)

// unquoted is the output of Go's standard logger without what is quoted in a line.
// net/http writes there, without asking, the first bytes that an upstream sends after
// its answer ("Unsolicited response ... starting with"), and libraries quote what they
// do not understand. Whatever that is, nobody has inspected it.
type unquoted struct{ to io.Writer }

func (u unquoted) Write(line []byte) (int, error) {
	out := line
	if i := bytes.IndexByte(line, '"'); i >= 0 {
		out = append(bytes.Clone(line[:i]), "[not logged]\n"...)
	}
	if _, err := u.to.Write(out); err != nil {
		return 0, err
	}
	return len(line), nil
}

// guardStdLog puts unquoted before the standard logger's output. Caddy sets that output
// anew with every configuration.
func guardStdLog() {
	if w := log.Writer(); w != nil {
		if _, guarded := w.(unquoted); !guarded {
			log.SetOutput(unquoted{w})
		}
	}
}
