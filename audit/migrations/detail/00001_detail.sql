-- +goose Up

-- Sealed details, outside the tree so that they can be erased. The leaf of event
-- eid has the digests.
CREATE TABLE audit_detail (
    eid        BLOB NOT NULL,
    part       TEXT NOT NULL,
    key        TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    commitment BLOB NOT NULL,
    PRIMARY KEY (eid, part)
);

-- +goose Down
DROP TABLE audit_detail;
