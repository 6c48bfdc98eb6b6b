package purge_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/purge"
	"github.com/caregate/caregate/retention/schedule"
)

// desk is a vendor and a log that outlive a process: a ticket is a file, in the folder live or
// trash, and an entry of the log is one, named by its id. It has Zendesk's rules: a deleted
// ticket is out of sight, and a job takes it out of the trash.
type desk struct {
	dir string

	// status has an answer that takes the place of a call's, which then does nothing; lost has
	// calls that are carried out and whose answers nobody hears, once.
	status map[string]int
	lost   map[string]bool
	// lies answers as if it did something; failing jobs fail, so many of them.
	lies    bool
	failing int
	doubt   string
	nowhere bool
	budget  time.Duration // said once
}

func newDesk(dir string, tickets ...string) (*desk, error) {
	d := &desk{dir: dir, status: make(map[string]int), lost: make(map[string]bool)}
	for _, folder := range []string{"live", "trash", "jobs", "log", "effects"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	for _, id := range tickets {
		if err := os.WriteFile(filepath.Join(dir, "live", id), nil, 0o600); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *desk) in(folder, id string) bool {
	_, err := os.Stat(filepath.Join(d.dir, folder, id))
	return err == nil
}

func (d *desk) list(folder string) []string {
	names, _ := filepath.Glob(filepath.Join(d.dir, folder, "*"))
	for i, n := range names {
		names[i] = filepath.Base(n)
	}
	return names
}

func (d *desk) Doubt(context.Context) (string, error) { return d.doubt, nil }

func (d *desk) Schedule(text string) (*schedule.Schedule, error) {
	return schedule.Parse("t.yaml", []byte(text), nil)
}

func (d *desk) Take(context.Context, index.Record, *channel.ActionCall) (time.Duration, bool, error) {
	wait := d.budget
	d.budget = 0
	return wait, !d.nowhere, nil
}

func (d *desk) Tell(_ context.Context, e purge.Event) error {
	name := filepath.Join(d.dir, "log", hex.EncodeToString(e.ID[:]))
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.WriteFile(name+".new", fmt.Appendf(nil, "%s %s", e.Operation, e.Attrs["seen"]), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Ask plays Zendesk.
func (d *desk) Ask(_ context.Context, _ index.Record, c *channel.ActionCall, path string, body []byte) (purge.Answer, error) {
	op := c.Operation.Name
	if status := d.status[op]; status != 0 {
		delete(d.status, op)
		return purge.Answer{Status: status, Wait: time.Minute}, nil
	}
	id := path[strings.LastIndexByte(path, '/')+1:]
	if op == "conversation.redact" {
		if string(body) != `{"conversation_id":"77","conversation_part_id":"part","type":"conversation_part"}` {
			return purge.Answer{Status: 400}, nil
		}
		id = "part"
	}
	a, err := d.answer(op, id)
	if d.lost[op] {
		delete(d.lost, op)
		return purge.Answer{}, errors.New("the connection broke")
	}
	return a, err
}

func (d *desk) answer(op, id string) (a purge.Answer, err error) {
	move := func(from, to string) error {
		if d.lies {
			return nil
		}
		// An effect is a file: a second one of a kind would be another.
		if err := os.WriteFile(filepath.Join(d.dir, "effects", op+"-"+id+"-"+fmt.Sprint(time.Now().UnixNano())), nil, 0o600); err != nil {
			return err
		}
		if to == "" {
			return os.Remove(filepath.Join(d.dir, from, id))
		}
		return os.Rename(filepath.Join(d.dir, from, id), filepath.Join(d.dir, to, id))
	}
	switch {
	case op == "conversation.redact" && d.in("live", "part"):
		return purge.Answer{Status: 200}, move("live", "trash")
	case op == "conversation.show":
		return purge.Answer{Status: 200, Body: fmt.Appendf(nil, `{"conversation_parts":{"conversation_parts":[{"id":"8","redacted":false},{"id":"part","redacted":%t}]}}`, d.in("trash", "part"))}, nil
	case op == "suspended_ticket.delete" && d.in("live", id):
		return purge.Answer{Status: 204}, move("live", "")
	case (op == "ticket.show" || op == "suspended_ticket.show") && d.in("live", id):
		return purge.Answer{Status: 200, Body: []byte(`{}`)}, nil
	case op == "ticket.delete" && d.in("live", id):
		return purge.Answer{Status: 204}, move("live", "trash")
	case op == "deleted_ticket.purge" && (d.in("trash", id) || d.lies):
		job := "job" + id
		if err := os.WriteFile(filepath.Join(d.dir, "jobs", job), nil, 0o600); err != nil {
			return a, err
		}
		state := purge.Answer{Status: 200, Body: []byte(`{"job_status":{"id":"` + job + `","status":"queued"}}`)}
		if d.failing > 0 {
			return state, nil
		}
		return state, move("trash", "")
	case op == "job.show" && d.in("jobs", id):
		state := "completed"
		if d.failing > 0 {
			d.failing--
			state = "failed"
		}
		return purge.Answer{Status: 200, Body: []byte(`{"job_status":{"id":"` + id + `","status":"` + state + `"}}`)}, nil
	}
	return purge.Answer{Status: 404, Body: []byte(`{"error":"RecordNotFound"}`)}, nil
}

// plainSeal seals nothing: reasons are no matter of these tests.
type plainSeal struct{}

func (plainSeal) Seal(_ context.Context, _ string, b []byte) ([]byte, error) { return b, nil }
func (plainSeal) Open(_ context.Context, _ string, b []byte) ([]byte, error) { return b, nil }
