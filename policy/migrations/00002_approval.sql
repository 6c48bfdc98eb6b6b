-- +goose Up
-- Calls that wait, or waited, for others to agree. Nothing of a call's body is here:
-- digest is keyed (vault) over operation, records and counts. counts is JSON, a number
-- for each data class. terms is JSON, what a standing approval is bound to, empty for one
-- that counts once; used and opened are the rows it has let through and the instant at
-- which that window opened. told is 1 when the log knows of an end that nobody brought
-- about. Times are milliseconds since 1970.
CREATE TABLE approval (
	id        TEXT PRIMARY KEY,
	requester TEXT NOT NULL,
	route     TEXT NOT NULL,
	channel   TEXT NOT NULL,
	operation TEXT NOT NULL,
	effect    TEXT NOT NULL,
	scope     TEXT NOT NULL,
	purpose   TEXT NOT NULL,
	digest    BLOB NOT NULL,
	records   BIGINT NOT NULL,
	counts    TEXT NOT NULL,
	needed    BIGINT NOT NULL,
	asked     BIGINT NOT NULL,
	expires   BIGINT NOT NULL,
	state     TEXT NOT NULL,
	settled   BIGINT NOT NULL,
	told      BIGINT NOT NULL,
	terms     TEXT NOT NULL,
	used      BIGINT NOT NULL,
	opened    BIGINT NOT NULL
);
-- A program that repeats its call asks once.
CREATE UNIQUE INDEX approval_open ON approval (requester, digest) WHERE state IN ('asked', 'given');
CREATE INDEX approval_standing ON approval (requester, operation) WHERE state = 'standing';
CREATE INDEX approval_expires ON approval (expires) WHERE state IN ('asked', 'given', 'standing');
CREATE INDEX approval_settled ON approval (settled) WHERE settled > 0;

-- Who agreed, and who refused. One person has one voice.
CREATE TABLE approval_vote (
	approval TEXT NOT NULL REFERENCES approval (id) ON DELETE CASCADE,
	approver TEXT NOT NULL,
	agrees   BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	PRIMARY KEY (approval, approver)
);

-- +goose Down
DROP TABLE approval_vote;
DROP TABLE approval;
