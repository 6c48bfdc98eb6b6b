package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caregate/caregate/audit/objectlock/objectlocktest"
)

// TestArchiveScript plays testdata/archive/*.txtar beside an S3 server with Object
// Lock: S3 is its address, acme-audit a bucket.
func TestArchiveScript(t *testing.T) {
	t.Parallel()
	endpoint := objectlocktest.Start(t)
	objectlocktest.CreateBucket(t, endpoint, "acme-audit", true)
	p := scripts("testdata/archive")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("S3", endpoint)
		for k, v := range objectlocktest.Environment() {
			env.Setenv(k, v)
		}
		return setup(env)
	}
	p.Cmds["overwrite"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if objectlocktest.Overwrite(t, endpoint, args[0], args[1]) == 0 {
			ts.Fatalf("nothing in %s holds %s", args[0], args[1])
		}
	}
	testscript.Run(t, p)
}
