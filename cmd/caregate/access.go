package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
)

// openTime bounds the opening of a review, which goes through a quarter of the log, and the
// closing, which carries everything out.
const openTime = 15 * time.Minute

func newAccess() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Review who has access",
		Long: `Reviews of who has access: see ` + "`caregate access review`" + ` and docs/access-reviews.md.
Rights to see what stands behind tokens lapse when they are not used: ` + "`caregate access reveals`" + `
lists them, and ` + "`caregate access renew`" + ` renews one.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	review := &cobra.Command{
		Use:   "review",
		Short: "Open, decide and close reviews of who has access",
		Long: `A review freezes who has access (API keys, grants, roles of people whom an identity
provider vouches for, standing approvals, accounts that were imported) with what the
log knows of its use. Reviewers keep or revoke each right; closing carries that out,
as far as the gateway can, and writes a signed report. One is due each quarter.

The gateway must be running. Whoever may open the socket in its data directory is one
person to it, called local; people act with a key or token of theirs (--credential),
because nobody reviews a right of one's own. Every step is in the audit log.`,
		Args: needsSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	review.AddCommand(newReviewOpen(), newReviewList(), newReviewShow(), newReviewDecide(), newReviewClose(), newReviewReport(), newReviewVerify(), newReviewImport())
	cmd.AddCommand(review, newAccessReveals(), newAccessRenew())
	return cmd
}

// reviewID checks an id before it becomes part of a path.
func reviewID(s string) (string, error) {
	if id, err := keyID(s); err == nil {
		return id, nil
	}
	return "", wrongUsage("want the id of a review (see `caregate access review list`)")
}

func newReviewOpen() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "open [--since DAY] [--ticket ID] [--credential FILE] [--json]",
		Short:   "Freeze who has access now, with its use in the last quarter",
		Long:    `Opens a review: freezes who has access now, with what the log knows of its use since a day, or in the last 92 days. Import accounts of other systems before. One review is open at a time.`,
		Example: `  caregate access review open --ticket CHG-4711`,
		Args:    noArgs,
	}
	since := cmd.Flags().String("since", "", "Day on which the use that is counted begins, as 2026-08-01 (default: 92 days ago)")
	ticket := cmd.Flags().String("ticket", "", "Number of the change ticket, kept in the audit log")
	cmd.Flags().Bool("json", false, "Print the review as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wish := map[string]any{}
		if *since != "" {
			day, err := time.Parse(time.DateOnly, *since)
			if err != nil {
				return wrongUsage("--since wants a day, as 2026-08-01")
			}
			wish["since"] = day
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		g.ticket, g.client.Timeout = *ticket, openTime
		return askOf(cmd, g, "POST", "/access/reviews", wish, func(r console.Review, receipt string) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "Review %s has %d items, due %s (receipt %s).\n", r.ID, len(r.Items), day(r.Due), receipt)
			if len(r.OtherGateways) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "Use is counted from the log %s, and not from those of %s.\n", plain(r.Log), plain(strings.Join(r.OtherGateways, ", ")))
			}
			return printReview(cmd.OutOrStdout(), r.Items)
		})
	}
	return cmd
}

func newReviewList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [--json]",
		Short:   "List reviews and imports, and when the next review is due",
		Long:    `Lists the reviews, the newest first, the accounts that were imported, and until when the next review is to be closed.`,
		Example: `  caregate access review list --json`,
		Args:    noArgs,
	}
	cmd.Flags().Bool("json", false, "Print the list as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return ask(cmd, "GET", "/access/reviews", nil, func(list console.ReviewList, _ string) error {
			w := cmd.OutOrStdout()
			t := newTable(w, "REVIEW", "STATE", "OPENED", "DUE", "CLOSED", "UNDECIDED", "KEPT", "REVOKED", "BY HAND")
			for _, r := range list.Reviews {
				t.row(r.ID, r.State, day(r.Opened), day(r.Due), day(r.Closed), r.Undecided, r.Kept, r.Revoked, r.ByHand)
			}
			if err := t.print(); err != nil {
				return err
			}
			fmt.Fprintln(w)
			t = newTable(w, "IMPORT", "FORMAT", "BROUGHT", "BY", "ACCOUNTS")
			for _, in := range list.Imports {
				t.row(in.Source, in.Format, instant(in.At), in.By, in.Accounts)
			}
			if err := t.print(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(w, "\nThe next review is to be closed by %s.\n", instant(list.Due))
			return err
		})
	}
	return cmd
}

func newReviewShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show REVIEW [--undecided] [--json]",
		Short: "Show the items of a review",
		Long: `Shows the items of a review, with use and last use as the log knows them. A holder of 32
hexadecimal digits is a person or program whom an identity provider vouched for, as the
log names them: ` + "`caregate audit search --same RECEIPT`" + ` with the receipt of --json shows what
they did. BY HAND says that people have to revoke it, and not that they did.`,
		Example: `  caregate access review show 7p3m... --undecided`,
		Args:    oneArg("review (see `caregate access review list`)"),
	}
	undecided := cmd.Flags().Bool("undecided", false, "Show only what is undecided")
	asJSON := cmd.Flags().Bool("json", false, "Print the review as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := reviewID(args[0])
		if err != nil {
			return err
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		var r console.Review
		if _, err := g.call(cmd.Context(), "GET", "/access/reviews/"+id, nil, &r); err != nil {
			return err
		}
		if *undecided {
			var left []console.ReviewItem
			for _, it := range r.Items {
				if it.Decision == "" {
					left = append(left, it)
				}
			}
			r.Items = left
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		return printReview(cmd.OutOrStdout(), r.Items)
	}
	return cmd
}

// lapsedWords says of a right to reveal that it has lapsed.
func lapsedWords(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return "; lapsed unused " + day(at)
}

func printReview(w io.Writer, items []console.ReviewItem) error {
	t := newTable(w, "NO", "FROM", "HOLDER", "NAME", "RIGHT", "CALLS", "PEOPLE", "LAST USE", "LAST LOGIN", "MFA", "GROUPS", "DECISION", "OUTCOME")
	for _, it := range items {
		calls, people, last := "-", "-", "-"
		if it.Use != nil {
			calls, people, last = strconv.FormatInt(it.Use.Calls, 10), strconv.FormatInt(it.Use.People, 10), day(it.Use.Last)
		}
		right := it.Right
		if it.Reveals {
			right += " (reveals" + lapsedWords(it.Lapsed) + ")"
		}
		outcome := it.Outcome
		if outcome == "by_hand" {
			outcome = "by hand"
		}
		t.row(it.Number, it.Source, it.Holder, dash(it.Name), right, calls, people, last, day(it.LastLogin), dash(it.MFA), dash(strings.Join(it.Groups, ",")), dash(it.Decision), dash(outcome))
	}
	return t.print()
}

func newReviewDecide() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decide REVIEW ITEMS keep|revoke --reason TEXT [--ticket ID] [--credential FILE] [--json]",
		Short: "Keep or revoke rights",
		Long: `Decides about items of a review that is open: numbers as 1-4,7. A later decision takes
the place of an earlier one. Nothing is revoked before the review closes. Nobody
decides about a right of one's own. The reason is shown in the report and is not in the
audit log.`,
		Example: `  caregate access review decide 7p3m... 1-4,7 keep --reason "still on the desk" --credential key.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 3 {
				return wrongUsage("want a review, items as 1-4,7, and keep or revoke")
			}
			return nil
		},
	}
	reason := cmd.Flags().String("reason", "", "Why (required)")
	ticket := cmd.Flags().String("ticket", "", "Number of the change ticket, kept in the audit log")
	cmd.Flags().Bool("json", false, "Print the review as JSON")
	placeFlags(cmd)
	credentialFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := reviewID(args[0])
		if err != nil {
			return err
		}
		items, err := itemNumbers(args[1])
		if err != nil {
			return err
		}
		if *reason == "" {
			return wrongUsage("want --reason")
		}
		g, err := gatewayOf(cmd)
		if err != nil {
			return err
		}
		g.ticket = *ticket
		wish := map[string]any{"items": items, "decision": args[2], "reason": *reason}
		return askOf(cmd, g, "POST", "/access/reviews/"+id+"/decide", wish, func(r console.Review, receipt string) error {
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Decided about %d items; %d are undecided (receipt %s).\n", len(items), r.Undecided, receipt)
			return err
		})
	}
	return cmd
}

// maxItemNumber is more than a review has items.
const maxItemNumber = 100_000

// itemNumbers reads numbers as 1-4,7.
func itemNumbers(s string) ([]int, error) {
	wrong := wrongUsage("want items as 1-4,7")
	var out []int
	for _, part := range strings.Split(s, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		a, err := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if errors.Join(err, err2) != nil || a < 1 || b < a || b > maxItemNumber || len(out)+b-a >= maxItemNumber {
			return nil, wrong
		}
		for n := a; n <= b; n++ {
			out = append(out, n)
		}
	}
	return out, nil
}

func newReviewClose() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "close REVIEW [--ticket ID] [--approval ID] [--credential FILE] [--json]",
		Short: "Close a review: carry out what was decided, and write the report",
		Long: `Closes a review in which every item is decided. The gateway revokes keys, grants of keys
and standing approvals at once; what lies in a policy document, at an identity provider
or at a vendor is a task for people, which is listed and never called done. An
interruption is made up for when the gateway runs again.

Where the policy wants others to agree (approvals row caregate:access.close), the
refusal names the approval, and --approval repeats the call with it.`,
		Example: `  caregate access review close 7p3m... --ticket CHG-4711 --credential key.txt`,
		Args:    oneArg("review (see `caregate access review list`)"),
	}
	cmd.Flags().Bool("json", false, "Print the review as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := reviewID(args[0])
		if err != nil {
			return err
		}
		g, err := changingGateway(cmd)
		if err != nil {
			return err
		}
		g.client.Timeout = openTime
		return askOf(cmd, g, "POST", "/access/reviews/"+id+"/close", nil, func(r console.Review, receipt string) error {
			e := cmd.ErrOrStderr()
			if r.State != "closed" {
				fmt.Fprintf(e, "Review %s is closing: the gateway goes on carrying it out, see `caregate access review show` (receipt %s).\n", r.ID, receipt)
			} else {
				fmt.Fprintf(e, "Review %s is closed: %d kept, %d revoked, %d for people to revoke (receipt %s). Event %s has the report's digest.\n", r.ID, r.Kept, r.Revoked, r.ByHand, receipt, r.Event)
			}
			var hand []console.ReviewItem
			for _, it := range r.Items {
				if it.Outcome == "by_hand" {
					hand = append(hand, it)
				}
			}
			if len(hand) == 0 {
				return nil
			}
			return printReview(cmd.OutOrStdout(), hand)
		})
	}
	return cmd
}

// Names of a report's files in its directory.
const (
	reviewFileJSON = "review.json"
	reviewFileHTML = "review.html"
	reviewFileNote = "review.note"
)

func newReviewReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report REVIEW --out DIR [--credential FILE]",
		Short: "Write the signed report of a review",
		Long: `Writes the report of a review that is closed into a directory that is made: review.json,
review.html with the same, and review.note, which is signed with the log's key and has the
digests of both. Check it anywhere with ` + "`caregate access review verify DIR`" + `. It names people.`,
		Example: `  caregate access review report 7p3m... --out ./review-2026q4`,
		Args:    oneArg("review (see `caregate access review list`)"),
	}
	return writesSigned(cmd, reviewID, "/access/reviews/%s/report", "It names people.", func(r console.ReviewReport) map[string]string {
		return map[string]string{reviewFileJSON: r.JSON, reviewFileHTML: r.HTML, reviewFileNote: r.Statement}
	})
}

func newReviewVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify DIR --trust FILE [--json]",
		Short: "Check the signature of a report",
		Long: `Checks a report that ` + "`caregate access review report`" + ` wrote, with a trust file of the log
(` + "`caregate audit trust`" + `) or its public key. It needs no gateway and no data directory. What
it prints as event has the report's digest in the log: ` + "`caregate audit prove`" + ` shows that.`,
		Example: `  caregate access review verify ./review-2026q4 --trust trust.json`,
		Args:    oneArg("directory of a report"),
	}
	var trust []string
	cmd.Flags().StringSliceVar(&trust, "trust", nil, "Trust file or public key of the log (required; repeatable)")
	asJSON := cmd.Flags().Bool("json", false, "Print what the signature proves as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		files, keys, err := readSigned(args[0], trust, reviewFileNote, reviewFileJSON, reviewFileHTML)
		if err != nil {
			return err
		}
		v, err := proxy.VerifyReview(files[0], files[1], files[2], keys)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), v)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid: review %s, signed by %s; event %s, report sha256 %s\n", plain(v.Review), plain(v.Origin), plain(v.Event), v.Digest)
		return err
	}
	return cmd
}

// maxAccountsFile is what the gateway takes.
const maxAccountsFile = 8 << 20

func newReviewImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import SOURCE FILE [--format csv|scim] [--credential FILE] [--json]",
		Short: "Take in the accounts of another system",
		Long: `Takes in the accounts of a helpdesk or identity provider for the next review, in place
of an earlier import of the same source. CSV has a first line with the columns account
(required), email, roles, groups, last_login, mfa and active, several roles or groups
separated by semicolons. SCIM is a ListResponse of Users, Groups or both (RFC 7644), of
all pages. What is kept names people and is sealed by the vault. FILE may be - for
standard input.`,
		Example: `  caregate access review import zendesk accounts.csv
  caregate access review import okta users.json --format scim`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return wrongUsage("want a source, as zendesk, and a file")
			}
			return nil
		},
	}
	format := cmd.Flags().String("format", "", "csv or scim (default: by the file's name)")
	cmd.Flags().Bool("json", false, "Print what was taken in as JSON")
	placeFlags(cmd)
	changeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *format == "" {
			switch filepath.Ext(args[1]) {
			case ".csv":
				*format = "csv"
			case ".json":
				*format = "scim"
			default:
				return wrongUsage("want --format csv or scim")
			}
		}
		in := cmd.InOrStdin()
		if args[1] != "-" {
			f, err := os.Open(args[1])
			if err != nil {
				return fmt.Errorf("reading the accounts: %w", err)
			}
			defer f.Close()
			in = f
		}
		text, err := io.ReadAll(io.LimitReader(in, maxAccountsFile+1))
		if err != nil {
			return fmt.Errorf("reading the accounts: %w", err)
		}
		if len(text) > maxAccountsFile {
			return wrongUsage("the file has more than %d bytes", maxAccountsFile)
		}
		return change(cmd, "POST", "/access/imports", map[string]any{"source": args[0], "format": *format, "text": string(text)}, func(done console.AccountImport, receipt string) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d accounts of %s are there for the next review (receipt %s).\n", done.Accounts, plain(done.Source), receipt)
			return nil
		})
	}
	return cmd
}
