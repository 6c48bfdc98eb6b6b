-- +goose Up
-- One row per token. id is what the token says, drawn at random. sealed is the value
-- under the key of person, with every other column as associated data (V15).
-- expires is 0 for a token that does not. Deleting the person deletes the token.
CREATE TABLE token (
	id      BLOB NOT NULL PRIMARY KEY,
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	person  BLOB NOT NULL REFERENCES person (id) ON DELETE CASCADE,
	sealed  BLOB NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_person ON token (person);
CREATE INDEX token_expires ON token (expires) WHERE expires > 0;

-- The way from a value to its token. mac is the PRF of tenant, scope, kind and
-- canonical value; version the id of the PRF key; tag a PRF over the whole row, so
-- that a row that was made to point to another token is noticed (V15).
CREATE TABLE token_blind (
	mac     BLOB NOT NULL PRIMARY KEY,
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	version BIGINT NOT NULL,
	token   BLOB NOT NULL REFERENCES token (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_blind_token ON token_blind (token);

-- Tokens whose event is not known to be durable. The row goes away before the token is
-- released; one that stays was never released, and its token is swept.
CREATE TABLE token_pending (
	token   BLOB NOT NULL PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
	created BIGINT NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE token_pending;
DROP TABLE token_blind;
DROP TABLE token;
