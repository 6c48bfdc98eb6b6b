-- +goose Up

-- Committed events that the tree does not cover yet. An insert here is the
-- durable point of the whole product. detail is NULL or the encoded sealed parts.
CREATE TABLE audit_intake (
    node   TEXT    NOT NULL,
    epoch  BIGINT  NOT NULL,
    nseq   BIGINT  NOT NULL,
    leaf   BLOB    NOT NULL,
    detail BLOB,
    PRIMARY KEY (node, epoch, nseq)
);

-- Up to where a node's rows were deleted because a locked checkpoint covers them.
-- An older copy of this file put back in place shows by a value below the tree's.
CREATE TABLE audit_pruned (
    node  TEXT   NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    nseq  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE audit_pruned;
DROP TABLE audit_intake;
