-- +goose Up
-- What was taken of limits: a row for each part of a limit's window, or for each instant
-- where only a few may be taken. at is the end of the part, so that nothing counts for less
-- long than its window. What was noted before is put together by minutes.
CREATE TABLE limit_part (
	name TEXT NOT NULL,
	at   BIGINT NOT NULL,
	n    BIGINT NOT NULL,
	PRIMARY KEY (name, at)
);
INSERT INTO limit_part (name, at, n)
SELECT name, at / 60000 * 60000 + 59999, sum(n) FROM limit_use GROUP BY name, at / 60000;
DROP TABLE limit_use;
ALTER TABLE limit_part RENAME TO limit_use;
CREATE INDEX limit_use_at ON limit_use (at);

-- How many are seen under one name is counted in the index alone.
CREATE INDEX limit_seen_name ON limit_seen (name, at);

-- +goose Down
DROP INDEX limit_seen_name;
CREATE TABLE limit_row (
	name TEXT NOT NULL,
	at   BIGINT NOT NULL,
	n    BIGINT NOT NULL
);
INSERT INTO limit_row (name, at, n) SELECT name, at, n FROM limit_use;
DROP TABLE limit_use;
ALTER TABLE limit_row RENAME TO limit_use;
CREATE INDEX limit_use_name ON limit_use (name, at);
CREATE INDEX limit_use_at ON limit_use (at);
