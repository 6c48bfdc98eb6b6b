package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
)

func caddyRun() *cobra.Command {
	cmd := caddyCommand("run", " [--config FILE] [--create]", "Start the gateway and stay until it is stopped",
		`Starts the gateway with a Caddyfile, ./Caddyfile unless another is named, and
stays in the foreground.

It refuses to start on a data directory that was never created, because an empty
one can also mean that a volume is not mounted, and a new audit log would begin
unnoticed. Create the directory with `+"`caregate init`"+`; in a container, where
nobody types that, --create makes it when it is missing.`,
		`  caregate run
  caregate run --config /etc/caregate/Caddyfile
  caregate run --create   # in a container`)
	create := cmd.Flags().Bool("create", false, "Create the data directory when it is missing (for containers)")
	hideFlags(cmd, "pingback", "environ")
	cmd.Args = noArgs
	return wrap(cmd, func(cmd *cobra.Command, _ []string) error {
		resume, err := cmd.Flags().GetBool("resume")
		if err != nil {
			return err
		}
		if !resume {
			config, err := checkConfig(cmd)
			if err != nil {
				return err
			}
			if err := checkAlone(cmd.Context(), config); err != nil {
				return err
			}
		}
		proxy.AllowCreate = *create
		proxy.OnLogFailure = func() { os.Exit(exitLogFailed) }
		return nil
	})
}

// checkAlone refuses a start beside a gateway that has the same data or the same
// address. Caddy would not: it takes the socket for reloads away from the one that
// runs before it finds out, and it shares ports (SO_REUSEPORT), so that two gateways
// with two policies and two logs would each get some of the calls.
func checkAlone(ctx context.Context, config []byte) error {
	if config == nil {
		return nil
	}
	p := new(place)
	if err := p.parse(config); err != nil {
		return err
	}
	var d net.Dialer
	if p.app != nil {
		dir := caddy.NewReplacer().ReplaceKnown(cmp.Or(p.app.Data, "data"), "")
		if conn, err := d.DialContext(ctx, "unix", filepath.Join(dir, proxy.SocketName)); err == nil {
			_ = conn.Close()
			return fmt.Errorf("data directory %s: %w", dir, store.ErrLocked)
		}
	}
	addresses, err := listenAddresses(config)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	for _, a := range addresses {
		l, err := lc.Listen(ctx, a[0], a[1])
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listening on %s: %w", a[1], err)
		}
		if err == nil {
			_ = l.Close()
		} // Caddy says what else is wrong with it
	}
	return nil
}

// listenAddresses are the networks and addresses of a configuration that are TCP and
// not a port of the kernel's choice.
func listenAddresses(config []byte) (out [][2]string, err error) {
	var doc struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Listen []string `json:"listen"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	replace := caddy.NewReplacer()
	for _, s := range doc.Apps.HTTP.Servers {
		for _, listen := range s.Listen {
			na, err := caddy.ParseNetworkAddress(replace.ReplaceKnown(listen, ""))
			if err != nil {
				continue // Caddy says so, with the place
			}
			switch na.Network {
			case proxy.SharedNetwork:
				na.Network = "tcp"
			case "tcp", "tcp4", "tcp6":
			default:
				continue
			}
			for offset := range na.PortRangeSize() {
				if na.StartPort+offset != 0 {
					out = append(out, [2]string{na.Network, na.JoinHostPort(offset)})
				}
			}
		}
	}
	return out, nil
}
