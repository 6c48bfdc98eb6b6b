package request_test

import (
	"testing"

	"github.com/caregate/caregate/retention/request"
)

// The place of a record reads as what it was written from, or as none.
func FuzzRecordOf(f *testing.F) {
	for _, s := range []string{"desk/acme.example/ticket/1", "desk/acme.example/ticket/1/2", "desk//ticket/1", "a/b/c", "*", "a/b/c/\x00", "a/b/c/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, place string) {
		r, ok := request.RecordOf(place)
		if ok && (!r.Valid() || request.PlaceOf(r) != place) {
			t.Errorf("read as %d bytes", len(request.PlaceOf(r)))
		}
	})
}
