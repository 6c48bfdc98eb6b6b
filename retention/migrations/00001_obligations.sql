-- +goose Up
-- Legal duties. id is chosen by who adds a duty, and adding it again changes nothing.
-- clock is JSON, the clock's events; due is what they came to when they last changed:
-- the moment of the work of duties that destroy, plan_by of all others. Nothing here
-- names a person: subject is a pseudonym. Times are milliseconds since 1970, 0 for
-- never.
CREATE TABLE obligation (
	id       TEXT PRIMARY KEY,
	kind     TEXT NOT NULL,
	subject  TEXT NOT NULL,
	clock    BLOB NOT NULL,
	due      BIGINT NOT NULL,
	state    TEXT NOT NULL CHECK (state IN ('open', 'needs_human', 'done')),
	-- Who works on it: until when, and the number of the last claim, which every
	-- result has to name.
	lease    BIGINT NOT NULL,
	fence    BIGINT NOT NULL,
	-- Failures of the present step in a row, and the moment before which it rests.
	failures BIGINT NOT NULL,
	next_try BIGINT NOT NULL
);
CREATE INDEX obligation_due ON obligation (state, kind, due, id);

-- The steps of a duty, from its first try on. result refers to the proof.
CREATE TABLE obligation_step (
	obligation TEXT NOT NULL,
	n          BIGINT NOT NULL,
	name       TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('started', 'done')),
	tries      BIGINT NOT NULL,
	result     TEXT NOT NULL,
	PRIMARY KEY (obligation, n),
	FOREIGN KEY (obligation) REFERENCES obligation (id),
	CHECK (state <> 'done' OR result <> '')
);

-- What happened to duties, to be put on record. leaf names the entry of the log, empty
-- while there is none. obligation is empty for what concerns the clock of the machine.
CREATE TABLE obligation_event (
	obligation TEXT NOT NULL,
	seq        BIGINT NOT NULL,
	kind       TEXT NOT NULL,
	step       TEXT NOT NULL,
	at         BIGINT NOT NULL,
	body       BLOB NOT NULL,
	leaf       TEXT NOT NULL,
	PRIMARY KEY (obligation, seq)
);
-- A step is completed once.
CREATE UNIQUE INDEX obligation_completed ON obligation_event (obligation, step) WHERE kind = 'step.completed';
CREATE INDEX obligation_unrecorded ON obligation_event (obligation, seq) WHERE leaf = '';

-- The one row: the latest time that any runner saw, and since when the clock is in
-- doubt.
CREATE TABLE obligation_time (
	id      BIGINT PRIMARY KEY,
	high    BIGINT NOT NULL,
	suspect BIGINT NOT NULL
);
INSERT INTO obligation_time (id, high, suspect) VALUES (1, 0, 0);

-- +goose Down
DROP TABLE obligation_time;
DROP TABLE obligation_event;
DROP TABLE obligation_step;
DROP TABLE obligation;
