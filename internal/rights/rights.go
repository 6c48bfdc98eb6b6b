// Package rights tells tests what they may do on the machine they run on. A test whose
// machine does not permit what it needs fails with what is missing, and is left out only
// where somebody said so. Nothing outside of tests imports it.
package rights

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Environment names what tests are to go without, as a list with commas: seccomp, mount.
const Environment = "CAREGATE_TEST_WITHOUT"

// Things that not every machine permits.
const (
	// Seccomp is a kernel, and a sandbox, that hand the system calls of a child process to
	// its parent (seccomp_unotify(2)).
	Seccomp = "seccomp"
	// Mount is the right to mount a file system of a few megabytes.
	Mount = "mount"
)

// Without says whether whoever runs the tests wants them to go without a thing. The test
// then skips what needs it.
func Without(thing string) bool {
	return slices.Contains(strings.Split(os.Getenv(Environment), ","), thing)
}

// Lacks fails a test because the machine does not permit a thing that it needs; why is
// what the machine said.
func Lacks(t testing.TB, thing, why string) {
	t.Helper()
	needs := map[string]string{
		Seccomp: "a kernel and a sandbox that hand system calls over (seccomp_unotify(2), Linux 5.19 or newer)",
		Mount:   "the right to mount a tmpfs (root, with CAP_SYS_ADMIN where it is a container)",
	}
	t.Fatalf("this test needs %s: %s. To go without it on purpose, set %s=%s", needs[thing], why, Environment, thing)
}
