-- +goose Up
-- Which records stand where, and of whom. Times are milliseconds since 1970, 0 for unknown.
--
-- Where records stand and what they are; the number saves room in every row below.
CREATE TABLE record_kind (
	id      BIGINT PRIMARY KEY,
	channel TEXT NOT NULL,
	host    TEXT NOT NULL,
	type    TEXT NOT NULL,
	UNIQUE (channel, host, type)
);

-- name is the vendor's id. Vendors count up, so new rows come beside each other.
CREATE TABLE record (
	kind        BIGINT NOT NULL,
	name        TEXT NOT NULL,
	-- The record it hangs on; parent is empty for none.
	parent_kind BIGINT NOT NULL,
	parent      TEXT NOT NULL,
	first_seen  BIGINT NOT NULL,
	last_seen   BIGINT NOT NULL,
	created     BIGINT NOT NULL,
	-- -1: the vendor says that it is open.
	closed      BIGINT NOT NULL,
	reopened    BIGINT NOT NULL,
	-- When it was deleted by a call that passed.
	gone        BIGINT NOT NULL,
	PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE INDEX record_parent ON record (parent_kind, parent) WHERE parent <> '';

CREATE TABLE record_class (
	kind  BIGINT NOT NULL,
	name  TEXT NOT NULL,
	class TEXT NOT NULL,
	seen  BIGINT NOT NULL,
	PRIMARY KEY (kind, name, class)
) WITHOUT ROWID;

-- person is a pseudonym of 16 bytes.
CREATE TABLE record_person (
	person BLOB NOT NULL,
	kind   BIGINT NOT NULL,
	name   TEXT NOT NULL,
	PRIMARY KEY (person, kind, name)
) WITHOUT ROWID;
CREATE INDEX record_person_of ON record_person (kind, name);

-- Two pseudonyms of one person, a below b. A link that was cut stays, so that no sighting
-- brings it back.
CREATE TABLE person_link (
	a     BLOB NOT NULL,
	b     BLOB NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('seen', 'merged', 'cut')),
	since BIGINT NOT NULL,
	PRIMARY KEY (a, b)
) WITHOUT ROWID;
CREATE INDEX person_link_b ON person_link (b);

-- +goose Down
DROP TABLE person_link;
DROP TABLE record_person;
DROP TABLE record_class;
DROP TABLE record;
DROP TABLE record_kind;
