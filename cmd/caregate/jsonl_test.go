package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact/walk"
)

func TestParseLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string
		texts      []string
		id         string
		err        string
	}{
		{"text", `{"id":7,"text":"a\u0041"}`, []string{"aA"}, "7", ""},
		{"messages", ` { "messages" : [ "a" , "b" ] , "id" : "x" } `, []string{"a", "b"}, `"x"`, ""},
		{"no id", `{"text":""}`, []string{""}, "null", ""},
		{"no messages", `{"messages":[]}`, nil, "null", ""},
		{"both", `{"text":"","messages":[]}`, nil, "", "either"},
		{"neither", `{"id":1}`, nil, "", "either"},
		{"text twice", `{"text":"a","text":"b"}`, nil, "", `"text" is not one string`},
		{"messages twice", `{"messages":[],"messages":[]}`, nil, "", "twice"},
		{"a number", `{"text":1}`, nil, "", `"text" is not one string`},
		{"null", `{"text":null}`, nil, "", `"text" is not one string`},
		{"a list of numbers", `{"messages":["a",1]}`, nil, "", "array of strings"},
		{"an array", `["a"]`, nil, "", "not a JSON object"},
		{"cut off", `{"text":"a"`, nil, "", "not a JSON object"},
		{"two objects", `{"text":"a"}{"text":"b"}`, nil, "", "something follows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := parseLine([]byte(tt.line))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(l.id) != tt.id || len(l.texts) != len(tt.texts) {
				t.Fatalf("got id %s and %d texts, want %s and %d", l.id, len(l.texts), tt.id, len(tt.texts))
			}
			for i, s := range l.texts {
				var again string
				if err := json.Unmarshal(l.raw[s.start:s.end], &again); err != nil || again != s.value || again != tt.texts[i] {
					t.Errorf("text %d: got %q at %d to %d, want %q", i, s.value, s.start, s.end, tt.texts[i])
				}
			}
		})
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	r := bufio.NewReaderSize(strings.NewReader("short\r\n"+strings.Repeat("x", 100)+"\n\nlast"), 16)
	for i, want := range []string{"short", strings.Repeat("x", 100), "", "last"} {
		got, err := readLine(r, nil)
		if err != nil || string(got) != want {
			t.Errorf("line %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	if _, err := readLine(r, nil); !errors.Is(err, io.EOF) {
		t.Errorf("got %v at the end, want io.EOF", err)
	}
}

// FuzzRedactLine: the line stays one JSON object that differs in its texts only,
// redacting twice changes nothing, and no finding is left to find.
func FuzzRedactLine(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"text":"card 4111 1111 1111 1111"}`,
		`{"messages":["a","ssn 219-09-9999"],"n":1.0,"id":"<x>"}`,
		`{"text":"{\"a\":\"4111111111111111\"}","type":"json"}`,
		`{"text":"\ud83d\ude00 4111\u0020111111111111","type":"text"}`,
		`{"id":{"a":[]},"text":""}`,
		`{"messages":["card?","4111 1111","1111 1111"]}`,
		`{"messages":["A: four one one one","B: ok","A: one one one one one one one one one one one one"]}`,
		`{"text":"A: your cvv?\nB: 123\nA: card\nB: 4111 1111\nB: 1111 1111"}`,
	} {
		f.Add([]byte(seed))
	}
	r, err := newReader("", io.Discard)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := parseLine(raw)
		if err != nil {
			return
		}
		once, err := r.redactLine(nil, l, walk.Auto)
		if err != nil {
			t.Fatalf("redacting: %v", err)
		}
		again, err := parseLine(once)
		if err != nil {
			t.Fatalf("the redacted line cannot be read: %v", err)
		}
		if !bytes.Equal(l.id, again.id) || len(l.texts) != len(again.texts) {
			t.Fatal("more than the texts changed")
		}
		twice, err := r.redactLine(nil, again, walk.Auto)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("redacting twice changed something (%v)", err)
		}
	})
}
