package console

import (
	"crypto/sha256"
	"encoding/hex"
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

// prepareChange describes a change of who may do what, to which a deployment may want others to
// agree: they agree to this change and no other.
func prepareChange(_ *api, c *callState, rec *Record) *Refusal {
	c.records, rec.Attrs = 1, make(map[string]string)
	if c.param != "" {
		c.bound = append(c.bound, c.named+"="+c.param)
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
	case *Terms:
		if wish == nil {
			return nil // an agreement to one call is no right
		}
		rec.Operation.Name = "approval.give_standing"
		day := wish.Until.UTC().Format(time.DateOnly)
		c.bound = append(c.bound, "filter="+wish.Filter, "rows="+strconv.Itoa(wish.Rows), "from="+wish.From, "to="+wish.To, "until="+day)
		rec.Attrs["of_approval"], rec.Attrs["rows"], rec.Attrs["until"] = c.param, strconv.Itoa(wish.Rows), day
	case AccountFile:
		sum := sha256.Sum256([]byte(wish.Text))
		c.bound = append(c.bound, "source="+wish.Source, "format="+wish.Format, "text="+hex.EncodeToString(sum[:]))
		rec.Attrs["source"] = wish.Source
	case RotateKeys:
		c.bound = append(c.bound, "master="+strconv.FormatBool(wish.Master))
	}
	return nil
}
