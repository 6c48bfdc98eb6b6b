-- +goose Up

-- Who may write for a node: the process instance that opened the log last, and the
-- epoch it writes under. On PostgreSQL each commit checks and locks the row; a file
-- has one process anyway, and no row.
CREATE TABLE audit_lease (
    node     TEXT   NOT NULL PRIMARY KEY,
    epoch    BIGINT NOT NULL,
    instance TEXT   NOT NULL
);

-- +goose Down
DROP TABLE audit_lease;
