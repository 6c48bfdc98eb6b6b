-- +goose Up
-- API keys. digest is keyed (vault); the key itself is stored nowhere. Times are
-- milliseconds since 1970, 0 for never.
CREATE TABLE api_key (
	id        TEXT PRIMARY KEY,
	digest    BLOB NOT NULL UNIQUE,
	name      TEXT NOT NULL,
	roles     TEXT NOT NULL,
	grants    TEXT NOT NULL,
	created   BIGINT NOT NULL,
	expires   BIGINT NOT NULL,
	last_used BIGINT NOT NULL,
	revoked   BIGINT NOT NULL,
	successor TEXT NOT NULL
);

-- +goose Down
DROP TABLE api_key;
