-- +goose Up

-- A view of the tree's entries for queries; never evidence. The whole file can be
-- deleted and is then derived again.
CREATE TABLE audit_index (
    shard     TEXT   NOT NULL,
    idx       BIGINT NOT NULL,
    leaf_hash BLOB   NOT NULL,
    eid       BLOB   NOT NULL,
    xid       BLOB   NOT NULL,
    type      TEXT   NOT NULL,
    wall      BIGINT NOT NULL,
    tenant    TEXT   NOT NULL,
    route     TEXT   NOT NULL,
    decision  TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    act       BLOB   NOT NULL,
    idk       TEXT   NOT NULL,
    chan      TEXT   NOT NULL,
    op        TEXT   NOT NULL,
    effect    TEXT   NOT NULL,
    scope     TEXT   NOT NULL,
    status    BIGINT NOT NULL,
    outcome   TEXT   NOT NULL,
    PRIMARY KEY (shard, idx)
) WITHOUT ROWID;
CREATE INDEX audit_index_eid ON audit_index (eid);

-- One row per subject (kind 1) or record (kind 2) and class released in the
-- clear; class '' where nothing was.
CREATE TABLE audit_exposure (
    pseudonym BLOB   NOT NULL,
    class     TEXT   NOT NULL,
    kind      BIGINT NOT NULL,
    shard     TEXT   NOT NULL,
    idx       BIGINT NOT NULL,
    PRIMARY KEY (pseudonym, class, kind, shard, idx)
) WITHOUT ROWID;
CREATE INDEX audit_exposure_idx ON audit_exposure (shard, idx);

-- A digest per 256 rows of audit_index with their exposures, aligned with the
-- entry bundles, and how far the view reaches.
CREATE TABLE audit_block (
    shard  TEXT   NOT NULL,
    n      BIGINT NOT NULL,
    digest BLOB   NOT NULL,
    PRIMARY KEY (shard, n)
);
CREATE TABLE audit_cover (
    shard TEXT   NOT NULL PRIMARY KEY,
    size  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE audit_cover;
DROP TABLE audit_block;
DROP TABLE audit_exposure;
DROP TABLE audit_index;
