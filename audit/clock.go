package audit

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// clockTolerance is how far wall and monotonic time may drift apart before the
// log writes a clock.stepped leaf. Order never depends on the clock.
const clockTolerance = 2 * time.Second

// clockReadings bounds how often both clocks are read again when the process did not run
// for a while between the two: what passed meanwhile is no jump of either.
const clockReadings = 5

// clock gives the time fields of leaves. It is safe for concurrent use.
type clock struct {
	now     func() time.Time
	mono    func() time.Duration
	boot    string
	stepped atomic.Bool

	mu      sync.Mutex
	refWall time.Time     // when both last agreed, guarded by mu like all below
	refMono time.Duration // the same instant
	since   time.Duration // when the process began, or the last jump was seen
}

func newClock(c Config) *clock {
	k := &clock{now: c.Now, mono: c.Mono, boot: bootID()}
	if k.now == nil {
		k.now = time.Now
	}
	if k.mono == nil {
		k.mono = systemMono()
	}
	k.refWall, k.refMono = k.now(), k.mono()
	k.since = k.refMono
	return k
}

func (k *clock) wallMS() int64 { return max(0, k.now().UnixMilli()) }

func (k *clock) state() string {
	if k.stepped.Load() {
		return ClockStepped
	}
	return ClockSteady
}

// step compares both clocks with the last agreement and returns by how much wall
// time jumped, zero when it did not. After a jump the new difference counts.
func (k *clock) step() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	wall, mono, jump := k.compare()
	if jump == 0 {
		return 0
	}
	k.refWall, k.refMono, k.since = wall, mono, mono
	k.stepped.Store(true)
	return jump
}

// trusted reports whether both clocks have agreed for the given time, as far as this
// process can know.
func (k *clock) trusted(least time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, mono, jump := k.compare()
	return jump == 0 && mono-k.since >= least
}

// compare reads both clocks and by how much wall time jumped; mu is held.
func (k *clock) compare() (wall time.Time, mono, jump time.Duration) {
	for range clockReadings {
		before := k.mono()
		wall, mono = k.now(), k.mono()
		if mono-before <= clockTolerance/2 {
			break
		}
	}
	// Round strips Go's own monotonic reading: the wall clock is what is compared.
	jump = wall.Round(0).Sub(k.refWall.Round(0)) - (mono - k.refMono)
	if jump.Abs() <= clockTolerance {
		jump = 0
	}
	return wall, mono, jump
}

// systemMono counts from the boot where the system tells its uptime, else from
// the start of the process.
func systemMono() func() time.Duration {
	start := time.Now()
	var base time.Duration
	if b, err := os.ReadFile("/proc/uptime"); err == nil {
		first, _, _ := strings.Cut(string(b), " ")
		if s, err := strconv.ParseFloat(first, 64); err == nil {
			base = time.Duration(s * float64(time.Second))
		}
	}
	return func() time.Duration { return base + time.Since(start) }
}

// bootID names this boot of the machine; where the system has no name for it, a
// random one names this start of the process.
func bootID() string {
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		if id := strings.ReplaceAll(strings.TrimSpace(string(b)), "-", ""); len(id) == 32 {
			return id
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
