package channel

import (
	"strings"
	"testing"
	"time"
)

// testActions has each word of `actions`.
const testActions = `version: 1
name: desk
title: A desk
reach: {governed: [all], not_governed: [nothing]}
base: /api
rate: {calls: 100, per: 1m}
actions:
  delete:
    case:
      calls:
        - {call: case.drop, done: [200, 204], gone: 404, limit: {calls: 10, per: 1m}}
        - {call: case.purge, done: 200, gone: 404, job: {id: /job/id, call: job.show, state: /job/state, done: ready, failed: [lost, killed]}}
      read_back: {call: case.show, gone: [404, 410]}
      trash: 30d
    note: {with: case}
    person: {calls: [{call: person.drop, ids: {person_id: person}, done: 204}], read_back: {call: person.show, ids: {person_id: person}, is: {/active: "false"}}}
  redact:
    note:
      calls: [{call: note.redact, done: 200, body: {kind: note, note: "{note}", of: "{case}"}}]
      read_back: {call: case.show, items: /notes, id: /id, is: {/redacted: "true", /left: "0"}}
fields:
  case: {record: {case: /id}, use: {/notes/*: note, /person: person}}
  note: {record: {note: /id}}
  person: {record: {person: /id}}
parameters: {case_id: record:case, note_id: record:note, person_id: subject:id, id: id}
operations:
  cases:
    response: {"": case}
    calls:
      case.show: GET /cases/{case_id} read one
      case.drop: DELETE /cases/{case_id} delete one
      case.purge: DELETE /trash/{case_id} delete one
      note.redact: POST /cases/{case_id}/notes/{note_id}/redact delete one
      person.show: GET /people/{person_id} read one
      person.drop: DELETE /people/{person_id} delete one
      job.show: GET host:/jobs/{id} read one
`

func TestActionRequest(t *testing.T) {
	t.Parallel()
	c := desk(t, testActions)
	drop, redact := c.Action(ActionDelete, "case"), c.Action(ActionRedact, "note")
	if drop.Trash != 30*24*time.Hour || drop.Calls[0].Limit != (Rate{10, time.Minute}) || drop.Calls[0].Method != "DELETE" || c.Action(ActionDelete, "note").With != "case" || c.Action(ActionRedact, "case") != nil {
		t.Fatalf("got %+v", drop)
	}
	if got := drop.Calls[1].Job.Path("j 1"); got != "/jobs/j%201" {
		t.Errorf("the job is at %q", got)
	}
	for name, test := range map[string]struct {
		call                *ActionCall
		ids                 map[string]string
		path, body, missing string
	}{
		"one":              {call: drop.Calls[0], ids: map[string]string{"case": "7"}, path: "/api/cases/7"},
		"its read-back":    {call: drop.ReadBack.ActionCall, ids: map[string]string{"case": "a b"}, path: "/api/cases/a%20b"},
		"two and a body":   {call: redact.Calls[0], ids: map[string]string{"case": "7", "note": "n\"1"}, path: "/api/cases/7/notes/n%221/redact", body: `{"kind":"note","note":"n\"1","of":"7"}`},
		"a person":         {call: c.Action(ActionDelete, "person").Calls[0], ids: map[string]string{"person": "p1"}, path: "/api/people/p1"},
		"one that misses":  {call: redact.Calls[0], ids: map[string]string{"note": "1"}, missing: "case"},
		"an empty id":      {call: drop.Calls[0], ids: map[string]string{"case": ""}, missing: "case"},
		"a step up":        {call: drop.Calls[0], ids: map[string]string{"case": ".."}, missing: "case"},
		"a path in it":     {call: drop.Calls[0], ids: map[string]string{"case": "7/../8"}, missing: "case"},
		"a query in it":    {call: drop.Calls[0], ids: map[string]string{"case": "7?all=1"}, missing: "case"},
		"an escaped slash": {call: drop.Calls[0], ids: map[string]string{"case": "7%2f8"}, missing: "case"},
	} {
		path, body, missing := test.call.Request(test.ids)
		if path != test.path || string(body) != test.body || missing != test.missing {
			t.Errorf("%s: got %q, %q, %q", name, path, body, missing)
		}
	}
}

func TestActionAnswers(t *testing.T) {
	t.Parallel()
	c := desk(t, testActions)
	drop, redact := c.Action(ActionDelete, "case"), c.Action(ActionRedact, "note")
	for name, test := range map[string]struct {
		call   *ActionCall
		status int
		body   string
		want   Seen
		job    string
	}{
		"done":                       {call: drop.Calls[0], status: 204, want: SeenDone},
		"gone":                       {call: drop.Calls[0], status: 404, want: SeenGone},
		"another":                    {call: drop.Calls[0], status: 403, want: SeenUnknown},
		"a redirect":                 {call: drop.Calls[0], status: 302, want: SeenUnknown},
		"a job":                      {call: drop.Calls[1], status: 200, body: `{"job":{"id":"j1"}}`, want: SeenDone, job: "j1"},
		"a job of a number":          {call: drop.Calls[1], status: 200, body: `{"job":{"id":17}}`, want: SeenDone, job: "17"},
		"no job":                     {call: drop.Calls[1], status: 200, body: `{}`, want: SeenUnknown},
		"no JSON":                    {call: drop.Calls[1], status: 200, body: `<html>`, want: SeenUnknown},
		"a job that leads elsewhere": {call: drop.Calls[1], status: 200, body: `{"job":{"id":"../cases"}}`, want: SeenUnknown},
	} {
		if got, job := test.call.Answered(test.status, []byte(test.body)); got != test.want || job != test.job {
			t.Errorf("%s: got %s, %q, want %s, %q", name, got, job, test.want, test.job)
		}
	}
	for name, test := range map[string]struct {
		status int
		body   string
		want   Seen
	}{
		"ready":    {200, `{"job":{"state":"ready"}}`, SeenDone},
		"working":  {200, `{"job":{"state":"working"}}`, SeenThere},
		"killed":   {200, `{"job":{"state":"killed"}}`, SeenFailed},
		"no state": {200, `{"job":{}}`, SeenUnknown},
		"no JSON":  {200, ``, SeenUnknown},
		"unknown":  {404, ``, SeenGone},
		"refused":  {401, ``, SeenUnknown},
	} {
		if got := drop.Calls[1].Job.Answered(test.status, []byte(test.body)); got != test.want {
			t.Errorf("the job, %s: got %s, want %s", name, got, test.want)
		}
	}
	person := c.Action(ActionDelete, "person")
	for name, test := range map[string]struct {
		look   *ReadBack
		status int
		body   string
		want   Seen
	}{
		"there":                     {drop.ReadBack, 200, `{}`, SeenThere},
		"gone":                      {drop.ReadBack, 410, ``, SeenGone},
		"not to be seen":            {drop.ReadBack, 403, ``, SeenUnknown},
		"active":                    {person.ReadBack, 200, `{"active":true}`, SeenThere},
		"inactive":                  {person.ReadBack, 200, `{"active":false}`, SeenDone},
		"no answer to it":           {person.ReadBack, 200, `{}`, SeenThere},
		"no JSON":                   {person.ReadBack, 200, ``, SeenUnknown},
		"redacted":                  {redact.ReadBack, 200, `{"notes":[{"id":"2"},{"id":"n1","redacted":true,"left":0}]}`, SeenDone},
		"redacted in part":          {redact.ReadBack, 200, `{"notes":[{"id":"n1","redacted":true,"left":1}]}`, SeenThere},
		"another is redacted":       {redact.ReadBack, 200, `{"notes":[{"id":"2","redacted":true,"left":0}]}`, SeenUnknown},
		"no list":                   {redact.ReadBack, 200, `{"notes":{}}`, SeenUnknown},
		"gone, and so not redacted": {redact.ReadBack, 404, ``, SeenUnknown},
	} {
		if got := test.look.Answered("n1", test.status, []byte(test.body)); got != test.want {
			t.Errorf("read back, %s: got %s, want %s", name, got, test.want)
		}
	}
}

// What the files that come with the gateway say can be done, and that no call is about anything
// but one record.
func TestBuiltInActions(t *testing.T) {
	t.Parallel()
	var got []string
	for _, name := range Names() {
		c, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range c.Actions {
			line := name + " " + a.Name + " " + a.Record
			if a.With != "" {
				line += " with " + a.With
			}
			ids := map[string]string{"": "1", a.Record: "1", "conversation": "2"}
			for _, call := range a.Calls {
				path, body, missing := call.Request(ids)
				if missing != "" {
					t.Errorf("%s: %s needs a %s", line, call.Operation.Name, missing)
				}
				if m := c.Match(call.Method, path); m.Op != call.Operation {
					t.Errorf("%s: %s is not %s", line, path, call.Operation.Name)
				}
				line += "; " + call.Method + " " + path + " " + string(body)
			}
			got = append(got, strings.TrimSpace(line))
		}
	}
	golden(t, "testdata/actions.golden", strings.Join(got, "\n")+"\n")
}

// Whatever a vendor answers, nothing but what the file names counts as done.
func FuzzActionAnswers(f *testing.F) {
	c := desk(f, testActions)
	f.Add(200, `{"job":{"id":"j1","state":"ready"}}`)
	f.Add(404, ``)
	f.Add(200, `{"active":false,"notes":[{"id":"n1","redacted":true,"left":0}]}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, a := range c.Actions {
			for _, call := range a.Calls {
				seen, job := call.Answered(status, []byte(body))
				if seen == SeenDone && status != 200 && status != 204 || seen == SeenGone && status != 404 {
					t.Fatalf("%s: %s of %d", call.Operation.Name, seen, status)
				}
				if (job != "") != (seen == SeenDone && call.Job != nil) {
					t.Fatalf("%s: %s with the job %q", call.Operation.Name, seen, job)
				}
				if call.Job == nil {
					continue
				}
				if path := (call.Job).Path(job); job != "" && strings.Count(path, "/") != 2 {
					t.Fatalf("a job leads to %q", path)
				}
				if got := call.Job.Answered(status, []byte(body)); got == SeenDone && status != 200 {
					t.Fatalf("a job is %s of %d", got, status)
				}
			}
			if a.ReadBack == nil {
				continue
			}
			if got := a.ReadBack.Answered("n1", status, []byte(body)); got == SeenDone && status != 200 || got == SeenGone && status != 404 && status != 410 {
				t.Fatalf("%s of %s: %s of %d", a.Name, a.Record, got, status)
			}
		}
	})
}
