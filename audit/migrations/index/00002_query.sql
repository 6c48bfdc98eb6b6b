-- +goose Up

-- The view is derived again with what queries need: whether an entry let something
-- pass that nobody had read, the times between which a block was written, and the
-- releases by class.
DROP VIEW audit_index;
DROP TABLE audit_cover;
DROP TABLE audit_block;
DROP TABLE audit_exposure;
DROP TABLE audit_entry;
DROP TABLE audit_kind;
CREATE TABLE audit_kind (
    kind     BIGINT NOT NULL PRIMARY KEY,
    type     TEXT   NOT NULL,
    tenant   TEXT   NOT NULL,
    route    TEXT   NOT NULL,
    decision TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    idk      TEXT   NOT NULL,
    chan     TEXT   NOT NULL,
    op       TEXT   NOT NULL,
    effect   TEXT   NOT NULL,
    scope    TEXT   NOT NULL,
    status   BIGINT NOT NULL,
    outcome  TEXT   NOT NULL,
    unread   BIGINT NOT NULL,
    UNIQUE (type, tenant, route, decision, reason, idk, chan, op, effect, scope, status, outcome, unread)
);
CREATE TABLE audit_entry (
    shard     TEXT   NOT NULL,
    idx       BIGINT NOT NULL,
    leaf_hash BLOB   NOT NULL,
    eid       BLOB   NOT NULL,
    xid       BLOB   NOT NULL,
    wall      BIGINT NOT NULL,
    act       BLOB   NOT NULL,
    kind      BIGINT NOT NULL,
    PRIMARY KEY (shard, idx)
) WITHOUT ROWID;
CREATE INDEX audit_entry_eid ON audit_entry (eid);
CREATE VIEW audit_index AS
SELECT shard, idx, leaf_hash, eid, xid, type, wall, tenant, route, decision, reason, act, idk, chan, op, effect, scope, status, outcome, unread
FROM audit_entry JOIN audit_kind USING (kind);

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
CREATE INDEX audit_exposure_class ON audit_exposure (class, shard, idx) WHERE class <> '';

-- A digest per 256 rows of audit_index with their exposures, aligned with the
-- entry bundles, with the least and greatest wall time in it; and how far the view
-- reaches.
CREATE TABLE audit_block (
    shard  TEXT   NOT NULL,
    n      BIGINT NOT NULL,
    digest BLOB   NOT NULL,
    first  BIGINT NOT NULL,
    last   BIGINT NOT NULL,
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
DROP VIEW audit_index;
DROP TABLE audit_entry;
DROP TABLE audit_kind;
