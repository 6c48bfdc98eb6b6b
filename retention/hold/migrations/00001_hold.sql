-- +goose Up
-- Legal holds. Times are milliseconds since 1970, 0 for never.
CREATE TABLE hold (
	id         TEXT PRIMARY KEY,
	matter     TEXT NOT NULL,
	custodian  TEXT NOT NULL,
	-- Sealed by whoever opened the store: people write names into reasons.
	reason     BLOB NOT NULL,
	-- lifting: two persons agreed and the log does not have it yet. It holds until then.
	state      TEXT NOT NULL CHECK (state IN ('placed', 'lift_requested', 'lifting', 'lifted')),
	placed     BIGINT NOT NULL,
	placed_by  TEXT NOT NULL,
	asked      BIGINT NOT NULL,
	asked_by   TEXT NOT NULL,
	asked_for  BLOB NOT NULL,
	agreed     BIGINT NOT NULL,
	agreed_by  TEXT NOT NULL,
	CHECK (state <> 'lifted' OR (asked_by <> '' AND agreed_by <> '' AND asked_by <> agreed_by))
);
CREATE INDEX hold_in_force ON hold (state) WHERE state <> 'lifted';

-- What a hold covers. person is a pseudonym of 16 bytes, as in record_person.
CREATE TABLE hold_person (
	hold   TEXT NOT NULL,
	person BLOB NOT NULL,
	PRIMARY KEY (hold, person),
	FOREIGN KEY (hold) REFERENCES hold (id)
);
CREATE INDEX hold_of_person ON hold_person (person);

CREATE TABLE hold_record (
	hold    TEXT NOT NULL,
	n       BIGINT NOT NULL,
	channel TEXT NOT NULL,
	host    TEXT NOT NULL,
	type    TEXT NOT NULL,
	name    TEXT NOT NULL,
	PRIMARY KEY (hold, n),
	FOREIGN KEY (hold) REFERENCES hold (id)
);
CREATE INDEX hold_of_record ON hold_record (channel, host, type, name);

-- host and type are empty for any, since and until 0 for no end.
CREATE TABLE hold_query (
	hold    TEXT NOT NULL,
	n       BIGINT NOT NULL,
	channel TEXT NOT NULL,
	host    TEXT NOT NULL,
	type    TEXT NOT NULL,
	since   BIGINT NOT NULL,
	until   BIGINT NOT NULL,
	PRIMARY KEY (hold, n),
	FOREIGN KEY (hold) REFERENCES hold (id)
);

-- Erasures that passed the gate, by the id of the event that puts them on record; ended is 0
-- while nobody knows that it is carried out.
CREATE TABLE hold_passed (
	event   BLOB NOT NULL,
	person  BLOB NOT NULL,
	gateway TEXT NOT NULL,
	begun   BIGINT NOT NULL,
	ended   BIGINT NOT NULL,
	PRIMARY KEY (event, person)
);

-- For which erasures a hold came too late.
CREATE TABLE hold_late (
	hold  TEXT NOT NULL,
	event BLOB NOT NULL,
	begun BIGINT NOT NULL,
	PRIMARY KEY (hold, event),
	FOREIGN KEY (hold) REFERENCES hold (id)
);

-- What happened to holds, to be put on record under the id in event. attrs is JSON, told is 1
-- when the log has it.
CREATE TABLE hold_event (
	hold     TEXT NOT NULL,
	seq      BIGINT NOT NULL,
	event    BLOB NOT NULL,
	type     TEXT NOT NULL,
	at       BIGINT NOT NULL,
	actor    TEXT NOT NULL,
	attrs    BLOB NOT NULL,
	told     BIGINT NOT NULL,
	PRIMARY KEY (hold, seq),
	FOREIGN KEY (hold) REFERENCES hold (id)
);
CREATE INDEX hold_untold ON hold_event (hold, seq) WHERE told = 0;

-- The one row, which orders holds and what they stop.
CREATE TABLE hold_gate (
	id BIGINT PRIMARY KEY
);
INSERT INTO hold_gate (id) VALUES (1);

-- +goose Down
DROP TABLE hold_gate;
DROP TABLE hold_event;
DROP TABLE hold_late;
DROP TABLE hold_passed;
DROP TABLE hold_query;
DROP TABLE hold_record;
DROP TABLE hold_person;
DROP TABLE hold;
