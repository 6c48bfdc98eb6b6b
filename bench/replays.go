package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
)

// replays measures `caregate policy replay` on logs of recorded decisions, as a process
// of its own: once with as many different situations as a busy desk has, once with none
// twice, so that both policies are asked for each. Beside it stands reading the same log
// and doing nothing with it.
func (b bench) replays(ctx context.Context, out *tabwriter.Writer) error {
	fmt.Fprintln(out, "policy replay\tdifferent\tseconds\tdecisions/s\treading alone, s")
	for _, load := range []struct{ decisions, different int }{{1_000_000, 2000}, {100_000, 100_000}} {
		if err := b.replay(ctx, out, load.decisions, load.different); err != nil {
			return err
		}
	}
	return nil
}

func (b bench) replay(ctx context.Context, out *tabwriter.Writer, decisions, different int) error {
	dir, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := record(ctx, dir, decisions, different); err != nil {
		return err
	}
	draft := filepath.Join(dir, "draft.yaml")
	if err := os.WriteFile(draft, []byte("version: 1\nenforcement:\n  - {class: credit_card, action: drop}\n"), 0o600); err != nil {
		return err
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, b.binary, "policy", "replay", draft, "--data", dir, "--json")
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("caregate policy replay: %w", err)
	}
	var r policy.ReplayReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.Decisions != decisions || r.Situations != different || r.Treated != decisions {
		return fmt.Errorf("replayed %d decisions in %d situations, %d of them changed: wrote %d in %d", r.Decisions, r.Situations, r.Treated, decisions, different)
	}
	began = time.Now()
	if _, err := audit.Entries(ctx, dir, 0, func(audit.Entry) error { return nil }); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d decisions\t%d\t%.1f\t%.0f\t%.1f\n", decisions, different, took.Seconds(), float64(decisions)/took.Seconds(), time.Since(began).Seconds())
	return nil
}

// record makes a log of decisions under dir.
func record(ctx context.Context, dir string, decisions, different int) error {
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		return err
	}
	config := audit.Config{Deployment: "bench"}
	if err := audit.Create(ctx, dir, config); err != nil {
		return err
	}
	log, err := audit.Open(ctx, dir, config)
	if err != nil {
		return err
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, 512)
	for range cap(failed) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < decisions; i = int(next.Add(1)) - 1 {
				if err := appendDecision(ctx, log, i%different); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err = <-failed:
	default:
		err = log.Settle(ctx)
	}
	if closed := log.Close(); err == nil {
		err = closed
	}
	return err
}

func appendDecision(ctx context.Context, log *audit.Log, situation int) error {
	in := anInput()
	in.V, in.Purpose = policy.InputVersion, "p"+strconv.Itoa(situation)
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	e := anEvent()
	e.Input = string(raw)
	slot, err := log.Reserve(ctx, audit.LaneNormal)
	if err != nil {
		return err
	}
	defer slot.Release()
	_, err = slot.Append(e).Wait(ctx)
	return err
}
