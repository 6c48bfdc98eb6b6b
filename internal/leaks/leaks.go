// Package leaks looks for goroutines that tests leave behind. Nothing outside of tests
// imports it.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a goroutine that is about to end may take for it. goleak itself
// gives it less than half a second, which is not much on a machine that has other work.
const patience = 5 * time.Minute

// Find tells of the goroutines that are still there after some minutes, nil as soon as there
// are none.
func Find(options ...goleak.Option) (err error) {
	for until := time.Now().Add(patience); ; {
		if err = goleak.Find(options...); err == nil || time.Now().After(until) {
			return err
		}
	}
}

// MainOrDie is Main, but for a child of a test that is to die on its way: one in whose environment
// dieAt is set. It does nothing but die, which ends it where the environment says. A child that
// comes back has failed, and says why.
func MainOrDie(m *testing.M, dieAt string, die func() error) {
	if os.Getenv(dieAt) != "" {
		fmt.Fprintln(os.Stderr, die())
		os.Exit(1)
	}
	Main(m)
}

// Main runs the tests of a package and ends the process, with a failure also when they
// passed and left goroutines behind. It is all that a TestMain has to call.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := Find(); err != nil {
			fmt.Fprintln(os.Stderr, "the tests passed, and left goroutines behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}
