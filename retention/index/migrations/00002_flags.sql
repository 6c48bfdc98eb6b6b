-- +goose Up
-- What a person wants of whoever holds data of the person, or the law does. Times are
-- milliseconds since 1970, 0 for none.
CREATE TABLE person_flag (
	id      BLOB PRIMARY KEY,
	kind    TEXT NOT NULL,
	-- The pseudonym, until the person is erased.
	person  BLOB NOT NULL,
	-- A keyed digest of the name, which outlives the pseudonym; empty for kinds that end
	-- with it.
	name    BLOB NOT NULL,
	since   BIGINT NOT NULL,
	until   BIGINT NOT NULL,
	ended   BIGINT NOT NULL,
	-- When the person was erased.
	erased  BIGINT NOT NULL,
	reason  TEXT NOT NULL,
	ticket  TEXT NOT NULL,
	-- Actors as policy names them.
	set_by  TEXT NOT NULL,
	end_by  TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX person_flag_one ON person_flag (person, kind) WHERE ended = 0 AND erased = 0;
CREATE INDEX person_flag_person ON person_flag (person) WHERE erased = 0;
CREATE INDEX person_flag_name ON person_flag (name);
CREATE INDEX person_flag_standing ON person_flag (kind) WHERE ended = 0;

-- +goose Down
DROP TABLE person_flag;
