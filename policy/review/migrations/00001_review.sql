-- +goose Up
-- Reviews of who has access. What names a person (facts, reasons, accounts, the report) is
-- sealed; the rest is ids, codes and numbers. Times are milliseconds since 1970, 0 for
-- none.
--
-- The day from which quarters are counted: one row.
CREATE TABLE review_anchor (
	one BIGINT PRIMARY KEY,
	at  BIGINT NOT NULL
);

-- state is open, closing (decided as it stands; what is revoked is being carried out) or
-- closed. since and until are the window of the log that was looked at, others the gateways whose
-- logs were not. event is the
-- event that says it is closed, drawn when it begins to close; report the sealed report,
-- written before that event. lease is until when one gateway carries it out.
CREATE TABLE review (
	id          TEXT PRIMARY KEY,
	state       TEXT NOT NULL,
	opened      BIGINT NOT NULL,
	opened_by   TEXT NOT NULL,
	ticket      TEXT NOT NULL,
	since       BIGINT NOT NULL,
	until       BIGINT NOT NULL,
	due         BIGINT NOT NULL,
	log         TEXT NOT NULL,
	others      TEXT NOT NULL,
	closing     BIGINT NOT NULL,
	closed_by   TEXT NOT NULL,
	agreed      TEXT NOT NULL,
	close_ticket TEXT NOT NULL,
	closed      BIGINT NOT NULL,
	event       BLOB NOT NULL,
	digest      BLOB NOT NULL,
	report      BLOB NOT NULL,
	lease       BIGINT NOT NULL
);
-- One is open at a time; so is one that closes.
CREATE UNIQUE INDEX review_open ON review (state) WHERE state <> 'closed';

-- One right of one holder. action says who takes it away and target what; decision is
-- empty, keep or revoke; outcome empty, pending, done or by_hand. event is the event that
-- says it was carried out, drawn with the decision's end.
CREATE TABLE review_item (
	review   TEXT NOT NULL REFERENCES review (id) ON DELETE CASCADE,
	n        BIGINT NOT NULL,
	kind     TEXT NOT NULL,
	action   TEXT NOT NULL,
	target   TEXT NOT NULL,
	facts    BLOB NOT NULL,
	decision TEXT NOT NULL,
	reviewer TEXT NOT NULL,
	why      BLOB NOT NULL,
	ticket   TEXT NOT NULL,
	decided  BIGINT NOT NULL,
	outcome  TEXT NOT NULL,
	event    BLOB NOT NULL,
	done     BIGINT NOT NULL,
	PRIMARY KEY (review, n)
);
CREATE INDEX review_item_pending ON review_item (review, n) WHERE outcome = 'pending';

-- Accounts of other systems, as somebody brought them: the newest import of each source.
CREATE TABLE review_import (
	source   TEXT PRIMARY KEY,
	format   TEXT NOT NULL,
	at       BIGINT NOT NULL,
	by_whom  TEXT NOT NULL,
	count    BIGINT NOT NULL,
	digest   TEXT NOT NULL,
	accounts BLOB NOT NULL
);

-- +goose Down
DROP TABLE review_import;
DROP TABLE review_item;
DROP TABLE review;
DROP TABLE review_anchor;
