-- +goose Up
-- The tokens with which the gateway calls vendors (RFC 6749). sealed holds the pair; it
-- counts from the commit that writes it, and version with it. asked is set, durably, before
-- a vendor is asked for a new pair and taken back with the answer, so what was under way
-- when a process ended shows. lost says why no vendor will give a new pair any more.
CREATE TABLE upstream_token (
	name    TEXT PRIMARY KEY,
	version BIGINT NOT NULL,
	sealed  BLOB NOT NULL,
	asked   BIGINT NOT NULL,
	lost    TEXT NOT NULL
);

-- Keyed digests of the refresh tokens that a row began with. One begins once: the vendor
-- took it back when it was used.
CREATE TABLE upstream_seed (
	name   TEXT NOT NULL,
	digest BLOB NOT NULL,
	PRIMARY KEY (name, digest)
);

-- +goose Down
DROP TABLE upstream_seed;
DROP TABLE upstream_token;
