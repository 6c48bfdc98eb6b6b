-- +goose Up

-- Sealed details, outside the tree so that they can be erased. Keyed by the place
-- of their leaf, which has the digests: inserts go to the end, and what expires
-- together lies together.
CREATE TABLE audit_detail (
    shard      TEXT   NOT NULL,
    idx        BIGINT NOT NULL,
    part       TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    ciphertext BLOB   NOT NULL,
    commitment BLOB   NOT NULL,
    PRIMARY KEY (shard, idx, part)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE audit_detail;
