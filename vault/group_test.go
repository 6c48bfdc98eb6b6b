package vault

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"
)

// What a transaction says that ran out of time is not always that: nobody tries its calls one
// by one then, each for as long again.
func TestBatchOutOfTime(t *testing.T) { //nolint:paralleltest // changes commitTimeout
	defer func(was time.Duration) { commitTimeout = was }(commitTimeout)
	commitTimeout = time.Millisecond
	var writing sync.Mutex
	runs := 0
	g := group[int, int]{writing: &writing, commit: func(ctx context.Context, batch []*job[int, int]) error {
		runs++ // with writing held
		<-ctx.Done()
		return sql.ErrTxDone
	}}
	batch := []*job[int, int]{{wanted: []int{1}, done: make(chan struct{})}, {wanted: []int{2}, done: make(chan struct{})}}
	g.queue = append(g.queue, batch...)
	g.run()
	for _, j := range batch {
		if !errors.Is(j.err, context.DeadlineExceeded) || !errors.Is(j.err, sql.ErrTxDone) {
			t.Errorf("got %v, want that the time is over and the transaction ended", j.err)
		}
	}
	if runs != 1 {
		t.Errorf("written %d times, want once", runs)
	}
}
