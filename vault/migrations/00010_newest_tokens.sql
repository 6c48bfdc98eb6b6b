-- On PostgreSQL nothing changes: the file of this name in the folder postgres.
-- +goose Up
-- The way from a blind index to its row stands beside the rows now, and need not be there for
-- the newest ones: a row's way is written together with those of rows with similar blind
-- indexes, which stand on the same pages. seq numbers rows in the order in which they came,
-- and no number comes again.
CREATE TABLE token_next (
	seq     INTEGER PRIMARY KEY,
	id      BLOB NOT NULL UNIQUE,
	mac     BLOB NOT NULL,
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	version BIGINT NOT NULL,
	tag     BLOB NOT NULL,
	person  BLOB NOT NULL REFERENCES person (id) ON DELETE CASCADE,
	sealed  BLOB NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	mark    BIGINT NOT NULL
);
INSERT INTO token_next (id, mac, tenant, scope, kind, version, tag, person, sealed, created, expires, mark)
SELECT id, mac, tenant, scope, kind, version, tag, person, sealed, created, expires, mark FROM token ORDER BY rowid;

-- Without this, deleting the old table would delete what refers to it.
CREATE TABLE payment_token_was (token BLOB NOT NULL, payment BLOB NOT NULL, tag BLOB NOT NULL);
INSERT INTO payment_token_was (token, payment, tag) SELECT token, payment, tag FROM payment_token;
DROP TABLE payment_token;
DROP TABLE token;

ALTER TABLE token_next RENAME TO token;
CREATE INDEX token_person ON token (person);
CREATE INDEX token_expires ON token (expires) WHERE expires > 0;

CREATE TABLE payment_token (
	token   BLOB NOT NULL PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
	payment BLOB NOT NULL REFERENCES payment (id) ON DELETE CASCADE,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO payment_token (token, payment, tag) SELECT token, payment, tag FROM payment_token_was;
DROP TABLE payment_token_was;
CREATE INDEX payment_token_payment ON payment_token (payment);

-- head is the first half of a blind index; the row has all of it.
CREATE TABLE token_way (
	head BLOB NOT NULL PRIMARY KEY,
	seq  BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO token_way (head, seq) SELECT substr(mac, 1, 16), seq FROM token ORDER BY mac;

-- One row. All tokens up to upto have their ways; last is the highest seq that was ever given;
-- gone counts the tokens behind upto that were deleted, which token_gone names until upto has
-- passed them: another process may be about to write their ways.
CREATE TABLE token_list (
	upto BIGINT NOT NULL,
	last BIGINT NOT NULL,
	gone BIGINT NOT NULL
);
INSERT INTO token_list (upto, last, gone) SELECT coalesce(max(seq), 0), coalesce(max(seq), 0), 0 FROM token;
CREATE TABLE token_gone (
	n   INTEGER PRIMARY KEY,
	seq BIGINT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER token_deleted AFTER DELETE ON token BEGIN
	DELETE FROM token_way WHERE head = substr(OLD.mac, 1, 16) AND seq = OLD.seq;
	UPDATE token_list SET gone = gone + 1 WHERE OLD.seq > upto;
	INSERT INTO token_gone (n, seq) SELECT gone, OLD.seq FROM token_list WHERE OLD.seq > upto;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER token_deleted;
DROP TABLE token_gone;
DROP TABLE token_list;
DROP TABLE token_way;
CREATE TABLE token_was (
	id      BLOB NOT NULL PRIMARY KEY,
	mac     BLOB NOT NULL,
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	version BIGINT NOT NULL,
	tag     BLOB NOT NULL,
	person  BLOB NOT NULL REFERENCES person (id) ON DELETE CASCADE,
	sealed  BLOB NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	mark    BIGINT NOT NULL
);
INSERT INTO token_was (id, mac, tenant, scope, kind, version, tag, person, sealed, created, expires, mark)
SELECT id, mac, tenant, scope, kind, version, tag, person, sealed, created, expires, mark FROM token ORDER BY seq;
CREATE TABLE payment_token_was (token BLOB NOT NULL, payment BLOB NOT NULL, tag BLOB NOT NULL);
INSERT INTO payment_token_was (token, payment, tag) SELECT token, payment, tag FROM payment_token;
DROP TABLE payment_token;
DROP TABLE token;
ALTER TABLE token_was RENAME TO token;
CREATE UNIQUE INDEX token_mac ON token (mac);
CREATE INDEX token_person ON token (person);
CREATE INDEX token_expires ON token (expires) WHERE expires > 0;
CREATE TABLE payment_token (
	token   BLOB NOT NULL PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
	payment BLOB NOT NULL REFERENCES payment (id) ON DELETE CASCADE,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO payment_token (token, payment, tag) SELECT token, payment, tag FROM payment_token_was;
DROP TABLE payment_token_was;
CREATE INDEX payment_token_payment ON payment_token (payment);
