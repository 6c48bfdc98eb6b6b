-- +goose Up

-- The last checkpoint signed for an origin. It is swapped here before anyone can
-- read it, so that two different checkpoints of one size are never signed.
CREATE TABLE audit_lock (
    origin TEXT NOT NULL PRIMARY KEY,
    body   TEXT NOT NULL
);

-- +goose Down
DROP TABLE audit_lock;
