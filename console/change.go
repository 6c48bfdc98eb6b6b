package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ticketOf reads the change ticket that a call names. It stands in the log in clear, so
// it is a number in another system and no text.
func ticketOf(r *http.Request) (string, *Refusal) {
	switch list := r.Header.Values(headerTicket); {
	case len(list) == 0:
		return "", nil
	case len(list) > 1 || !isWord(list[0]):
		return "", refuse(reasonInvalid, fmt.Sprintf("%s: want one ticket of 1 to %d letters, digits, dashes and underscores", headerTicket, maxWord), nil)
	default:
		return list[0], nil
	}
}

// prepareChange describes a change of keys, to which a deployment may want others to
// agree: they agree to this change and no other.
func prepareChange(_ *api, c *callState, rec *Record) *Refusal {
	c.records, rec.Attrs = 1, make(map[string]string)
	if c.param != "" {
		c.bound = append(c.bound, "key="+c.param)
	}
	switch wish := c.body.(type) {
	case NewKey:
		c.bound = append(c.bound, "name="+wish.Name, "roles="+strings.Join(wish.Roles, ","), "grants="+strings.Join(wish.Grants, ","))
		rec.Attrs["roles"], rec.Attrs["grants"] = strings.Join(wish.Roles, ","), strings.Join(wish.Grants, ",")
		if !wish.Expires.IsZero() {
			// The day, because whoever repeats the call counts from another moment.
			day := wish.Expires.UTC().Format(time.DateOnly)
			c.bound, rec.Attrs["expires"] = append(c.bound, "expires="+day), day
		}
	case time.Duration:
		c.bound = append(c.bound, "overlap="+strconv.Itoa(int(wish.Seconds())))
	case RotateKeys:
		c.bound = append(c.bound, "master="+strconv.FormatBool(wish.Master))
	}
	return nil
}
