package syslog

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
)

// Values of RFC 5424, section 6.2.1.
const (
	facilityAudit = 13
	warning       = 4
	informational = 6
)

// Bounds of RFC 5424, section 6, in bytes.
const (
	maxHostname = 255
	maxMsgID    = 32
)

// frame appends one message with its length in front (RFC 5425, section 4.3).
func frame(b []byte, host string, e audit.Entry) ([]byte, error) {
	text, err := e.OCSF()
	if err != nil {
		return b, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	severity := informational
	if e.Leaf.Decision == audit.DecisionDeny {
		severity = warning
	}
	head := fmt.Sprintf("<%d>1 %s %s caregate - %s - ", facilityAudit*8+severity,
		time.UnixMilli(e.Leaf.Wall).UTC().Format("2006-01-02T15:04:05.000Z"), word(host, maxHostname), word(e.Leaf.Type, maxMsgID))
	b = strconv.AppendInt(b, int64(len(head)+len(text)), 10)
	b = append(b, ' ')
	b = append(b, head...)
	return append(b, text...), nil
}

// word makes a header field: printable ASCII without blanks, a dash for nothing.
func word(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		s = s[:most]
	}
	if s == "" {
		return "-"
	}
	return s
}
