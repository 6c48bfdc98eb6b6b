-- +goose Up
-- What a processor says of a payment. place, account and ord are keyed digests of the
-- channel and route, the merchant's account and the order; amounts are in the smallest
-- unit of the currency. elsewhere is what went back without us. tag is a keyed digest of
-- all other columns, as in the tables below.
CREATE TABLE payment (
	id        BLOB NOT NULL PRIMARY KEY,
	tenant    TEXT NOT NULL,
	place     BLOB NOT NULL,
	account   BLOB NOT NULL,
	ord       BLOB NOT NULL,
	currency  TEXT NOT NULL,
	amount    BIGINT NOT NULL,
	elsewhere BIGINT NOT NULL,
	tag       BLOB NOT NULL
) WITHOUT ROWID;

-- The tokens that stand for a payment: a processor may have several references to one.
CREATE TABLE payment_token (
	token   BLOB NOT NULL PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
	payment BLOB NOT NULL REFERENCES payment (id) ON DELETE CASCADE,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX payment_token_payment ON payment_token (payment);

-- What was asked back of a payment. keyed is the digest of place, account and the
-- caller's idempotency key; call that of what the call wants. state is held, settled,
-- released or unknown; attempt counts the calls that were made for it.
CREATE TABLE payment_spend (
	keyed   BLOB NOT NULL PRIMARY KEY,
	payment BLOB NOT NULL REFERENCES payment (id) ON DELETE CASCADE,
	call    BLOB NOT NULL,
	amount  BIGINT NOT NULL,
	state   TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	created BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	tag     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX payment_spend_payment ON payment_spend (payment);

-- +goose Down
DROP TABLE payment_spend;
DROP TABLE payment_token;
DROP TABLE payment;
