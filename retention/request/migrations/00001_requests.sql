-- +goose Up
-- What persons asked for by law. Times are milliseconds since 1970, 0 for never.
CREATE TABLE request (
	id        TEXT PRIMARY KEY,
	kind      TEXT NOT NULL,
	-- Where the person is, which chooses the law.
	place     TEXT NOT NULL,
	manner    TEXT NOT NULL,
	-- 1: somebody else asks for the person, authority says with what right.
	agent     BIGINT NOT NULL CHECK (agent IN (0, 1)),
	authority TEXT NOT NULL,
	-- Who asks, and how they are reached: sealed by whoever opened the store.
	requester BLOB NOT NULL,
	received  BIGINT NOT NULL,
	opened    BIGINT NOT NULL,
	opened_by TEXT NOT NULL,
	state     TEXT NOT NULL CHECK (state IN ('open', 'answered', 'refused', 'withdrawn', 'duplicate')),
	failed    BIGINT NOT NULL,
	-- When the person proved again who they are, and when the first thing was destroyed.
	again     BIGINT NOT NULL,
	begun     BIGINT NOT NULL,
	closed    BIGINT NOT NULL,
	closed_by TEXT NOT NULL,
	reason    TEXT NOT NULL,
	notice    TEXT NOT NULL,
	other     TEXT NOT NULL
);
CREATE INDEX request_open ON request (state, received);

-- By which names a person asks. person is a pseudonym of the index, name a digest for flags
-- that outlive the person, else empty. verified is when it was noted that the name is theirs.
CREATE TABLE request_person (
	request  TEXT NOT NULL,
	n        BIGINT NOT NULL,
	person   BLOB NOT NULL,
	name     BLOB NOT NULL,
	verified BIGINT NOT NULL,
	method   TEXT NOT NULL,
	PRIMARY KEY (request, n),
	FOREIGN KEY (request) REFERENCES request (id)
);
CREATE INDEX request_of_person ON request_person (person);

-- Checks of who somebody is. proof names the record of the check, and counts once in all
-- requests.
CREATE TABLE request_check (
	proof   TEXT PRIMARY KEY,
	request TEXT NOT NULL,
	purpose TEXT NOT NULL CHECK (purpose IN ('identity', 'again', 'failed')),
	method  TEXT NOT NULL,
	at      BIGINT NOT NULL,
	noted   BIGINT NOT NULL,
	actor   TEXT NOT NULL,
	FOREIGN KEY (request) REFERENCES request (id)
);
CREATE INDEX request_checks ON request_check (request, noted);

-- What became of each thing. place is a record, CHANNEL/HOST/TYPE/ID, another system, or * for
-- everything.
CREATE TABLE request_item (
	request TEXT NOT NULL,
	place   TEXT NOT NULL,
	result  TEXT NOT NULL,
	hold    TEXT NOT NULL,
	statute TEXT NOT NULL,
	until   TEXT NOT NULL,
	at      BIGINT NOT NULL,
	actor   TEXT NOT NULL,
	PRIMARY KEY (request, place),
	FOREIGN KEY (request) REFERENCES request (id)
);

-- What is owed, with the clock in the duty of that id. plan and legal repeat what it says, for
-- lists. stage is what was raised last.
CREATE TABLE request_duty (
	id      TEXT PRIMARY KEY,
	request TEXT NOT NULL,
	what    TEXT NOT NULL CHECK (what IN ('acknowledge', 'respond')),
	rule    TEXT NOT NULL,
	plan    BIGINT NOT NULL,
	legal   BIGINT NOT NULL,
	state   TEXT NOT NULL CHECK (state IN ('open', 'done')),
	ended   BIGINT NOT NULL,
	stage   TEXT NOT NULL,
	raised  BIGINT NOT NULL,
	FOREIGN KEY (request) REFERENCES request (id)
);
CREATE INDEX request_duties ON request_duty (request);
CREATE INDEX request_due ON request_duty (plan) WHERE state = 'open';

-- What happened, to be put on record under the id in event. attrs is JSON, told is 1 when the
-- log has it.
CREATE TABLE request_event (
	request TEXT NOT NULL,
	seq     BIGINT NOT NULL,
	event   BLOB NOT NULL,
	type    TEXT NOT NULL,
	at      BIGINT NOT NULL,
	actor   TEXT NOT NULL,
	attrs   BLOB NOT NULL,
	told    BIGINT NOT NULL,
	PRIMARY KEY (request, seq),
	FOREIGN KEY (request) REFERENCES request (id)
);
CREATE INDEX request_untold ON request_event (request, seq) WHERE told = 0;

-- +goose Down
DROP TABLE request_event;
DROP TABLE request_duty;
DROP TABLE request_item;
DROP TABLE request_check;
DROP TABLE request_person;
DROP TABLE request;
