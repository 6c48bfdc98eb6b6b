-- +goose Up
-- People who logged in with a browser. digest is keyed (vault) and of the cookie; the
-- claims that the provider made are sealed under a key that only the cookie gives. actor
-- is not personal. Times are milliseconds since 1970.
CREATE TABLE session (
	id      TEXT PRIMARY KEY,
	digest  BLOB NOT NULL UNIQUE,
	actor   TEXT NOT NULL,
	claims  BLOB NOT NULL,
	created BIGINT NOT NULL,
	used    BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX session_actor ON session (actor, created);
CREATE INDEX session_expires ON session (expires);

-- +goose Down
DROP TABLE session;
