// Package loopback finds ports for what is started on this machine alone, by the demo,
// tests and benchmarks, and cannot say itself which port it got.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports lie below what kernels hand out to outgoing connections and to listeners on
// port 0 (32768 and up on Linux, 49152 and up on macOS and BSD; RFC 6335, section 6).
// One of those would be gone again before the program that it is meant for listens: on
// a busy machine another test's connection takes it.
const (
	first = 20000
	last  = 32767
)

const tries = 100

// FreePort is a port of 127.0.0.1 on which nobody listens, chosen by chance. On Linux
// nobody else who asks here is given the same as long as this process lives, so that
// tests which run at the same time do not meet. It may be called from many goroutines.
func FreePort() (int, error) {
	var failed error
	for range tries {
		port := first + rand.IntN(last-first+1)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			failed = err
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		if claim(port) {
			return port, nil
		}
	}
	return 0, errors.Join(fmt.Errorf("no free port among %d tries between %d and %d", tries, first, last), failed)
}

// FreeAddr is an address as FreePort finds its port, such as 127.0.0.1:23456.
func FreeAddr() (string, error) {
	port, err := FreePort()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", port), nil
}
