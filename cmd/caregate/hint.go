package main

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/vault"
)

// hintFor says what to do about errors that come from other rooms. Caddy wraps
// some of them as text only, so a few are known by their words.
func hintFor(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, proxy.ErrNoData), errors.Is(err, audit.ErrMissing), strings.Contains(text, proxy.ErrNoData.Error()):
		return "create it with `caregate init`, or name the one that holds the data (`store` in the Caddyfile, --data of the other commands); in a container, `caregate run --create` does both"
	case errors.Is(err, store.ErrLocked), strings.Contains(text, store.ErrLocked.Error()):
		return "a gateway runs on it: `caregate reload` checks a configuration and puts it into that gateway"
	case errors.Is(err, vault.ErrKeySeal), strings.Contains(text, vault.ErrKeySeal.Error()):
		return "`caregate keys status` shows how each file is sealed; nothing was started or changed"
	case errors.Is(err, audit.ErrExists):
		return "nothing was changed; remove the directory only if nobody needs the log in it"
	case errors.Is(err, audit.ErrCorrupt):
		return "`caregate audit verify` says what is wrong, `caregate audit repair` what can be brought back; keep the directory as it is until somebody looked at it"
	case errors.Is(err, syscall.EADDRINUSE), strings.Contains(text, "address already in use"):
		return "another program listens there: end it, or change the port in the site's address in the Caddyfile"
	case strings.Contains(text, ".sock: bind: invalid argument"):
		return "the path of the data directory is too long for a socket, which may have about 100 bytes: take a shorter one"
	case strings.Contains(text, "bind: permission denied"):
		return "ports below 1024 need the right to use them: take a higher one, or grant cap_net_bind_service"
	case errors.Is(err, fs.ErrPermission):
		return "run it as the user that owns the file, or change its owner"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full: nothing passes the gateway until there is room"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only"
	}
	return ""
}
