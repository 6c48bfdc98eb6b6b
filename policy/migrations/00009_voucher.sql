-- +goose Up
-- Vouchers of trusted signers (Caregate-Actor) that were used. digest is a keyed digest of
-- the signer and the voucher's id, expires is in milliseconds since 1970.
CREATE TABLE voucher (
	digest  BLOB PRIMARY KEY,
	expires BIGINT NOT NULL
);
CREATE INDEX voucher_expires ON voucher (expires);

-- +goose Down
DROP TABLE voucher;
