package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes, as the package comment documents them.
const (
	exitOK         = 0
	exitFailed     = 1
	exitIncomplete = 2
	exitUsage      = 3
	// exitLogFailed ends `run` when the audit log has failed: whatever supervises the
	// gateway starts it again, which checks the log first. EX_IOERR of sysexits.h.
	exitLogFailed = 74
)

// failure is an error for the person at the terminal: what happened, with which
// code the program ends, and what to do next.
type failure struct {
	code int
	err  error
	hint string
}

// Error says what happened; the hint is printed apart from it.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns what happened.
func (f *failure) Unwrap() error { return f.err }

// fail is a failure with a hint.
func fail(hint string, format string, args ...any) error {
	return &failure{code: exitFailed, err: fmt.Errorf(format, args...), hint: hint}
}

// wrongUsage is a failure of the person who typed the command.
func wrongUsage(format string, args ...any) error {
	return &failure{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// errSilent ends the program with exitFailed and without a further word: what is
// wrong was the result, and stands on standard output already.
var errSilent = silent(exitFailed)

// silent is errSilent with another code.
func silent(code int) error { return &failure{code: code, err: errors.New("")} }

// report prints what happened and returns the exit code.
func report(w io.Writer, cmd *cobra.Command, err error) int {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: exitFailed, err: err}
		// Errors of cobra itself come before any command ran.
		if strings.HasPrefix(err.Error(), "unknown command") {
			f.code = exitUsage
		}
	}
	text := strings.TrimSpace(err.Error())
	if text == "" {
		return f.code
	}
	fmt.Fprintf(w, "%s: %s\n", cmd.CommandPath(), text)
	hint := f.hint
	if hint == "" {
		hint = hintFor(err)
	}
	if hint == "" && f.code == exitUsage {
		hint = fmt.Sprintf("`%s --help` shows how it is called", cmd.CommandPath())
	}
	if hint != "" {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
	}
	return f.code
}

// noArgs refuses arguments where a command takes none.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrongUsage("takes no argument, got %q", args[0])
	}
	return nil
}

// oneArg asks for exactly one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return wrongUsage("want one %s, got %d arguments", what, len(args))
		}
		return nil
	}
}

// atMostOneArg takes one argument or none.
func atMostOneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return wrongUsage("want at most one %s, got %d", what, len(args))
		}
		return nil
	}
}
