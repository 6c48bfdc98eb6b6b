-- +goose Up
-- Tokens that are not known to be released, by the call that made them: tokens are their
-- ids, one behind the other. The row goes away, in one, before the call's tokens are
-- released; one that stays was never released, and its tokens are swept. torn is 1 when
-- a person was erased to whom one of them belonged.
CREATE TABLE pending (
	mark    BIGINT NOT NULL PRIMARY KEY,
	created BIGINT NOT NULL,
	torn    BIGINT NOT NULL,
	tokens  BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO pending (mark, created, torn, tokens) SELECT row_number() OVER (ORDER BY token), created, 0, token FROM token_pending;
CREATE INDEX pending_tokens ON pending (tokens);

-- One row per token with the way to it: what was token and token_blind. Random keys are
-- in two indexes only, beside rows in the order in which they came, because each random
-- key changes another page. mark names the row of token_pending with which the token
-- came; 0, and one that is gone, are for tokens that were kept.
CREATE TABLE token_next (
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
INSERT INTO token_next (id, mac, tenant, scope, kind, version, tag, person, sealed, created, expires, mark)
SELECT t.id, b.mac, t.tenant, t.scope, t.kind, b.version, b.tag, t.person, t.sealed, t.created, t.expires, coalesce(p.mark, 0)
FROM token t JOIN token_blind b ON b.token = t.id LEFT JOIN pending p ON p.tokens = t.id ORDER BY t.created, t.id;
DROP INDEX pending_tokens;

-- Without this, deleting the old table would delete what refers to it.
CREATE TABLE payment_token_was (token BLOB NOT NULL, payment BLOB NOT NULL, tag BLOB NOT NULL);
INSERT INTO payment_token_was (token, payment, tag) SELECT token, payment, tag FROM payment_token;
DROP TABLE payment_token;
DROP TABLE token_pending;
DROP TABLE token_blind;
DROP TABLE token;

ALTER TABLE pending RENAME TO token_pending;
ALTER TABLE token_next RENAME TO token;
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

-- +goose Down
CREATE TABLE token_was (
	id      BLOB NOT NULL PRIMARY KEY,
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	person  BLOB NOT NULL REFERENCES person (id) ON DELETE CASCADE,
	sealed  BLOB NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO token_was (id, tenant, scope, kind, person, sealed, created, expires) SELECT id, tenant, scope, kind, person, sealed, created, expires FROM token;
CREATE TABLE token_blind (
	mac     BLOB NOT NULL PRIMARY KEY,
	tenant  TEXT NOT NULL,
	scope   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	version BIGINT NOT NULL,
	token   BLOB NOT NULL REFERENCES token_was (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_blind_token ON token_blind (token);
INSERT INTO token_blind (mac, tenant, scope, kind, version, token, tag) SELECT mac, tenant, scope, kind, version, id, tag FROM token;
CREATE TABLE pending_was (
	token   BLOB NOT NULL PRIMARY KEY REFERENCES token_was (id) ON DELETE CASCADE,
	created BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO pending_was (token, created) SELECT t.id, p.created FROM token t JOIN token_pending p ON p.mark = t.mark;
CREATE TABLE payment_token_was (
	token   BLOB NOT NULL PRIMARY KEY REFERENCES token_was (id) ON DELETE CASCADE,
	payment BLOB NOT NULL REFERENCES payment (id) ON DELETE CASCADE,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO payment_token_was (token, payment, tag) SELECT token, payment, tag FROM payment_token;
DROP TABLE payment_token;
DROP TABLE token_pending;
DROP TABLE token;
ALTER TABLE token_was RENAME TO token;
ALTER TABLE pending_was RENAME TO token_pending;
ALTER TABLE payment_token_was RENAME TO payment_token;
CREATE INDEX token_person ON token (person);
CREATE INDEX token_expires ON token (expires) WHERE expires > 0;
CREATE INDEX payment_token_payment ON payment_token (payment);
