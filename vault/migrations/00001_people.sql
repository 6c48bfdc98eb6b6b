-- +goose Up
-- One row per tenant: its keyset, wrapped by the master keyset. The two proofs are
-- PRF outputs on a fixed text: they show at start that the key files belong to
-- this database, and say nothing about the keys.
CREATE TABLE tenant_key (
	tenant      TEXT PRIMARY KEY,
	keyset      BLOB NOT NULL,
	index_proof BLOB NOT NULL,
	check_proof BLOB NOT NULL,
	created     BIGINT NOT NULL
);

-- One row per subject or actor. wrapped is the key, encrypted under the tenant's
-- keyset with every other column as associated data (V15). Deleting the row
-- destroys the key.
CREATE TABLE person (
	id      BLOB PRIMARY KEY,
	tenant  TEXT NOT NULL,
	sort    TEXT NOT NULL CHECK (sort IN ('subject', 'actor')),
	wrapped BLOB NOT NULL,
	created BIGINT NOT NULL
);

-- The way from a value to a person. mac is the PRF of the canonical value; version
-- the id of the PRF key; tag a PRF over the whole row, so that a row that was made
-- to point to somebody else is noticed (V15).
CREATE TABLE blind (
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	version BIGINT NOT NULL,
	mac     BLOB NOT NULL,
	person  BLOB NOT NULL REFERENCES person (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	tag     BLOB NOT NULL,
	PRIMARY KEY (tenant, scope, kind, version, mac)
);
CREATE INDEX blind_person ON blind (person);

-- +goose Down
DROP TABLE blind;
DROP TABLE person;
DROP TABLE tenant_key;
