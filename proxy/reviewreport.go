package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy/review"
)

// statementReview is the kind of the statement that the log's key signs about a review.
const statementReview = "access-review"

// reviewReportVersion is the version of a report's JSON.
const reviewReportVersion = 1

// reviewReport is the report of a review, for people who hold nothing but it and the log's
// public key.
type reviewReport struct {
	Version int `json:"version"`
	// Signer is the origin of the log whose key signs; the event that closes the review is in
	// that log, unless another gateway had to take over in between.
	Signer string `json:"signer"`
	// Nonce makes the digest that the log has of this report one that nobody can try names on.
	Nonce string `json:"nonce"`
	// Made is when the report was written.
	Made    time.Time               `json:"made"`
	Review  console.Review          `json:"review"`
	Imports []console.AccountImport `json:"imports"`
}

//go:embed reviewreport.html
var reviewHTML string

var reviewPage = template.Must(template.New("review").Funcs(template.FuncMap{
	"at": func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02 15:04 MST")
	},
	"join": func(list []string) string { return strings.Join(list, ", ") },
}).Parse(reviewHTML))

// keptReport is what is kept of a report: as it was written, whatever a later version would
// make of it.
type keptReport struct {
	JSON      string `json:"json"`
	HTML      string `json:"html"`
	Statement string `json:"statement"`
}

// endReview writes the report, keeps it, and writes the event with its digest. What an
// earlier try has done of this stays as it is.
func (d *Data) endReview(ctx context.Context, r review.Review, items []review.Item, kept []byte) error {
	if kept == nil {
		made, digest, err := d.makeReport(ctx, r, items)
		if err != nil {
			return err
		}
		// A crash here: the next try makes another report, and nobody has seen this one.
		if err := d.Reviews.SetReport(ctx, r.ID, made, digest); err != nil {
			return err
		}
		r.Digest = digest
	}
	_, keep, revoked, byHand := review.Counts(items)
	attrs := map[string]string{"review": r.ID, "report": hex.EncodeToString(r.Digest), "items": strconv.Itoa(len(items)), "kept": strconv.Itoa(keep),
		"revoked": strconv.Itoa(revoked), "by_hand": strconv.Itoa(byHand), "opened_by": r.OpenedBy, "closed_by": r.ClosedBy}
	if len(r.Agreed) > 0 {
		attrs["approved_by"] = strings.Join(r.Agreed, ",")
	}
	addTicket(attrs, r.CloseTicket, r.Ticket)
	return d.recordOnce(ctx, audit.Event{ID: r.Event, Type: eventAccessReviewed, Operation: "access.close", Attrs: attrs}, r.ClosedBy)
}

// makeReport writes a report and signs it. digest is that of its JSON.
func (d *Data) makeReport(ctx context.Context, r review.Review, items []review.Item) (kept, digest []byte, err error) {
	imports, err := d.Reviews.Imports(ctx)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	report := reviewReport{Version: reviewReportVersion, Signer: d.Log.Origin(), Nonce: audit.NewID().String(), Made: now, Review: consoleReview(r, items), Imports: []console.AccountImport{}}
	// As it will be when the event is written.
	report.Review.State, report.Review.Closed, report.Review.Event = review.Closed, now, audit.ID(r.Event).String()
	for _, in := range imports {
		if in.At.Before(r.Opened) {
			report.Imports = append(report.Imports, consoleImport(in))
		}
	}
	var page bytes.Buffer
	if err := reviewPage.Execute(&page, report); err != nil {
		return nil, nil, fmt.Errorf("writing the report of a review: %w", err)
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("writing the report of a review: %w", err)
	}
	text = append(text, '\n')
	of := sha256.Sum256(text)
	statement, err := d.Log.Sign(statementReview, reviewStatement(r.ID, report.Review.Event, text, page.Bytes()))
	if err != nil {
		return nil, nil, err
	}
	kept, err = json.Marshal(keptReport{JSON: string(text), HTML: page.String(), Statement: statement})
	return kept, of[:], err
}

// reviewStatement is what is signed: which review, the event in the log that has the digest
// of the JSON, and both digests.
func reviewStatement(id, event string, text, page []byte) string {
	return fmt.Sprintf("review %s\nevent %s\nsha256 json %x\nsha256 html %x\n", id, event, sha256.Sum256(text), sha256.Sum256(page))
}

// ErrReviewReport is wrapped when a report is not what was signed.
var ErrReviewReport = errors.New("the report is not what was signed")

// VerifiedReview is what a report's signature proves.
type VerifiedReview struct {
	// Origin is the log whose key signed, Review the review, Event the event that has the
	// report's digest: `caregate audit prove` shows that the log has it.
	Origin string `json:"origin"`
	Review string `json:"review"`
	Event  string `json:"event"`
	// Digest is the SHA-256 of the JSON, in hexadecimal digits.
	Digest string `json:"digest"`
}

// VerifyReview checks a review's report in JSON and as a page against the statement that the
// log's key signed, under one of the verifier keys. It needs no gateway.
func VerifyReview(statement, text, page []byte, keys []string) (VerifiedReview, error) {
	signed, origin, err := audit.OpenStatement(statement, statementReview, keys)
	if err != nil {
		return VerifiedReview{}, fmt.Errorf("%w: %w", ErrReviewReport, err)
	}
	var report reviewReport
	if err := json.Unmarshal(text, &report); err != nil || report.Version != reviewReportVersion {
		return VerifiedReview{}, fmt.Errorf("%w: its JSON is none of version %d", ErrReviewReport, reviewReportVersion)
	}
	if signed != reviewStatement(report.Review.ID, report.Review.Event, text, page) {
		return VerifiedReview{}, fmt.Errorf("%w: the JSON or the page was changed", ErrReviewReport)
	}
	return VerifiedReview{Origin: origin, Review: report.Review.ID, Event: report.Review.Event, Digest: fmt.Sprintf("%x", sha256.Sum256(text))}, nil
}
