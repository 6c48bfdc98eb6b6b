-- +goose Up
-- Incidents. title is what people call it and nothing else reads; facts is JSON, what its
-- duties follow from. Nothing here names a person but by the id of an actor. Times are
-- milliseconds since 1970, 0 for never.
CREATE TABLE incident (
	id        TEXT PRIMARY KEY,
	title     TEXT NOT NULL,
	drill     BIGINT NOT NULL CHECK (drill IN (0, 1)),
	state     TEXT NOT NULL CHECK (state IN ('open', 'closed')),
	opened    BIGINT NOT NULL,
	opened_by TEXT NOT NULL,
	suspected BIGINT NOT NULL,
	-- aware and by what: decision, or failsafe when nobody decided in time. Never of a drill.
	aware     BIGINT NOT NULL,
	basis     TEXT NOT NULL CHECK (basis IN ('', 'decision', 'failsafe')),
	facts     BLOB NOT NULL,
	closed    BIGINT NOT NULL,
	outcome   TEXT NOT NULL,
	CHECK (drill = 0 OR aware = 0),
	CHECK ((aware = 0) = (basis = ''))
);
CREATE INDEX incident_open ON incident (state, opened);

-- The notices that an incident owes. id is that of its obligation. n counts those of one rule
-- and place: when the clock of one begins anew and its rule has no such event, the next takes
-- its place, and so it is when one that was waived is owed after all. kind is that of the
-- obligation. plan and legal repeat what its clock says, for lists; legal is 0 where the law has no
-- number. stage is what was raised last, acked the stage that somebody has acknowledged.
CREATE TABLE incident_duty (
	id       TEXT PRIMARY KEY,
	incident TEXT NOT NULL,
	rule     TEXT NOT NULL,
	place    TEXT NOT NULL,
	n        BIGINT NOT NULL,
	kind     TEXT NOT NULL,
	anchor   BIGINT NOT NULL,
	plan     BIGINT NOT NULL,
	legal    BIGINT NOT NULL,
	state    TEXT NOT NULL CHECK (state IN ('open', 'sent', 'waived', 'restored', 'rebased', 'dismissed')),
	ended    BIGINT NOT NULL,
	sent     BIGINT NOT NULL,
	reason   TEXT NOT NULL,
	proof    TEXT NOT NULL,
	stage    TEXT NOT NULL,
	raised   BIGINT NOT NULL,
	acked    TEXT NOT NULL,
	FOREIGN KEY (incident) REFERENCES incident (id)
);
CREATE UNIQUE INDEX incident_duty_of ON incident_duty (incident, rule, place, n);
CREATE INDEX incident_duty_open ON incident_duty (state, plan);

-- What happened to incidents, to be put in the log. body is a JSON object of codes. leaf names
-- the entry of the log, empty while there is none.
CREATE TABLE incident_event (
	incident TEXT NOT NULL,
	seq      BIGINT NOT NULL,
	kind     TEXT NOT NULL,
	at       BIGINT NOT NULL,
	actor    TEXT NOT NULL,
	body     BLOB NOT NULL,
	leaf     TEXT NOT NULL,
	PRIMARY KEY (incident, seq)
);
CREATE INDEX incident_unrecorded ON incident_event (incident, seq) WHERE leaf = '';

-- +goose Down
DROP TABLE incident_event;
DROP TABLE incident_duty;
DROP TABLE incident;
