package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
)

const (
	// importCallTime bounds the reading of one page: the gateway gives a vendor 65 seconds to
	// begin its answer and a minute for the rest.
	importCallTime = 5 * time.Minute
	// importTries are made of a page that the vendor does not give.
	importTries = 8
)

func newChannelImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import CHANNEL [--restart] [--json]",
		Short: "Read what a system has already into the index of records",
		Long: `Asks the vendor for the records that it has already, page by page, and notes them in the
index of records, as if each had passed the gateway: where it stands, of whom it is, what
was found in it, and when the vendor says that it was created and closed. They are marked
as backfilled. Nothing at the vendor is changed, and no text is kept.

CHANNEL is the name of a route, or of a channel with one route. The gateway must be
running, and makes the calls, with the credential of that route (` + "`credential`" + `). They take at
most 20 % of what the vendor's limit allows, and none while less than 30 % of it is left,
so a large account takes hours: Zendesk gives about 2,000 tickets a minute.

It can be interrupted at any time, and goes on where it stood when it is called again. An
import that came to its end begins anew; --restart begins anew at once. That it began, and
what it came to, is in the audit log.

Exit code 1: it cannot go on, and the message says at which list and page. Exit code 2: it
was interrupted, or the vendor does not answer for now; call it again.`,
		Example: `  caregate channel import zendesk
  caregate channel import zendesk --json`,
	}
	cmd.Args = oneArg("the name of a route or channel")
	restart := cmd.Flags().Bool("restart", false, "Begin at the first page, whatever was read")
	asJSON := cmd.Flags().Bool("json", false, "Print how far it came as a line of JSON for each page")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		g.client.Timeout = importCallTime
		ctx, stop := interruptible(cmd)
		defer stop()
		show := &importShow{out: cmd.ErrOrStderr(), bar: isTerminal(cmd.ErrOrStderr())}
		if *asJSON {
			show = &importShow{out: cmd.OutOrStdout(), json: true}
		}
		i, err := importAll(ctx, g, args[0], *restart, show)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(cmd.ErrOrStderr(), "Interrupted; the same command goes on from here.")
			return silent(exitIncomplete)
		case err != nil:
			return err
		}
		if !*asJSON {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s. Receipt %s.\n", plain(i.Account), importCounts(i), i.ID)
		}
		return nil
	}
	return cmd
}

// interruptible ends when somebody interrupts a command that can be called again.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
}

// importAll asks for page after page.
func importAll(ctx context.Context, g *gateway, route string, restart bool, show *importShow) (i console.Import, err error) {
	defer show.end()
	if _, err := g.call(ctx, "POST", "/imports", map[string]any{"route": route, "restart": restart}, &i); err != nil {
		return i, err
	}
	for failed := 0; !i.Done; {
		var next console.Import
		if _, err := g.call(ctx, "POST", "/imports/"+i.ID+"/next", nil, &next); err != nil {
			return i, err
		}
		i = next
		if err := show.show(i); err != nil {
			return i, err
		}
		switch {
		case i.Trouble != "" && !i.Again:
			return i, fmt.Errorf("the import stops: %s", plain(i.Trouble))
		case i.Trouble != "":
			if failed++; failed >= importTries {
				return i, &failure{code: exitIncomplete, err: fmt.Errorf("the import stops for now: %s", plain(i.Trouble)), hint: "call it again later: it goes on where it stood"}
			}
		case i.Wait == 0:
			failed = 0
		}
		if i.Wait > 0 {
			t := time.NewTimer(time.Duration(i.Wait) * time.Millisecond)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return i, ctx.Err()
			}
		}
	}
	return i, nil
}

// importCounts says what was read.
func importCounts(i console.Import) string {
	parts := make([]string, len(i.Lists))
	for n, l := range i.Lists {
		parts[n] = fmt.Sprintf("%d %s", l.Records, plain(l.Name))
	}
	return strings.Join(parts, ", ")
}

// importShow tells how far an import came: in one line of a terminal, in lines elsewhere.
type importShow struct {
	out       io.Writer
	bar, json bool
	pages     int
	shown     bool
}

func (s *importShow) show(i console.Import) error {
	if s.json {
		b, err := json.Marshal(i)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.out, string(b))
		return err
	}
	pages, at := 0, ""
	for _, l := range i.Lists {
		if pages += l.Pages; at == "" && !l.Done {
			at = l.Name
		}
	}
	state := fmt.Sprintf("%s, page %d", importCounts(i), pages)
	switch {
	case i.Trouble != "":
		state += ": " + plain(i.Trouble)
	case i.Wait > 1000:
		state += ": waiting " + (time.Duration(i.Wait) * time.Millisecond).Round(time.Second).String()
	case at != "":
		state += ": " + plain(at)
	}
	switch {
	case s.bar:
		s.shown = true
		fmt.Fprintf(s.out, "\r\x1b[K%s %s", importBar(i), state)
	case pages != s.pages || i.Trouble != "":
		fmt.Fprintln(s.out, state)
	}
	s.pages = pages
	return nil
}

// importBar shows which lists are done. How many records they have no vendor says before.
func importBar(i console.Import) string {
	var b strings.Builder
	b.WriteByte('[')
	for n, l := range i.Lists {
		switch {
		case l.Done:
			b.WriteString("===")
		case n == 0 || i.Lists[n-1].Done:
			b.WriteString("=> ")
		default:
			b.WriteString("   ")
		}
	}
	b.WriteByte(']')
	return b.String()
}

func (s *importShow) end() {
	if s.shown {
		fmt.Fprintln(s.out)
	}
}
