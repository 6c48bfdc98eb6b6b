-- +goose Up
-- Who or what was seen under a limit on different ones: a row for each, with the time at
-- which it was seen last. who is a keyed digest. Times are milliseconds since 1970.
CREATE TABLE limit_seen (
	name TEXT NOT NULL,
	who  TEXT NOT NULL,
	at   BIGINT NOT NULL,
	PRIMARY KEY (name, who)
);
CREATE INDEX limit_seen_at ON limit_seen (at);

-- +goose Down
DROP TABLE limit_seen;
