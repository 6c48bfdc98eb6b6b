package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/store"
)

// writesSigned has a command write what the gateway signed about the thing that its argument
// names: path has a place for its id, files are what an answer has, says is said of them.
func writesSigned[T any](cmd *cobra.Command, id func(string) (string, error), path, says string, files func(T) map[string]string) *cobra.Command {
	out := cmd.Flags().String("out", "", "Directory to make (required)")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := id(args[0])
		if err != nil {
			return err
		}
		if *out == "" {
			return wrongUsage("want --out")
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		var signed T
		if _, err := g.call(cmd.Context(), "GET", fmt.Sprintf(path, name), nil, &signed); err != nil {
			return err
		}
		if err := writeSigned(*out, files(signed)); err != nil {
			return fmt.Errorf("writing what was signed: %w", err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Written to %s. %s\n", plain(*out), says)
		return nil
	}
	return cmd
}

// writeSigned writes what the gateway signed, with its signature, into a directory that is made.
func writeSigned(dir string, files map[string]string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := store.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readSigned reads files of such a directory, and the keys by which their signature is checked.
func readSigned(dir string, trust []string, names ...string) (files [][]byte, keys []string, err error) {
	if len(trust) == 0 {
		return nil, nil, wrongUsage("want --trust: a signature is worth nothing without a key from outside")
	}
	believed, err := readTrust(trust)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, nil, fmt.Errorf("reading what was signed: %w", err)
		}
		files = append(files, text)
	}
	return files, believed.Keys, nil
}
