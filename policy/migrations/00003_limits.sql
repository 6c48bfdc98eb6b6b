-- +goose Up
-- What was taken of limits: a row for each taking. name says of which, without a person:
-- actors' ids and keyed digests. Times are milliseconds since 1970.
CREATE TABLE limit_use (
	name TEXT NOT NULL,
	at   BIGINT NOT NULL,
	n    BIGINT NOT NULL
);
CREATE INDEX limit_use_name ON limit_use (name, at);
CREATE INDEX limit_use_at ON limit_use (at);

-- Whoever takes of a limit holds its row, so that two gateways do not count past each
-- other.
CREATE TABLE limit_turn (
	name TEXT PRIMARY KEY,
	at   BIGINT NOT NULL
);
CREATE INDEX limit_turn_at ON limit_turn (at);

-- +goose Down
DROP TABLE limit_turn;
DROP TABLE limit_use;
