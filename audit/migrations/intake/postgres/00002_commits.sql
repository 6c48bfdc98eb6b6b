-- +goose Up

-- As on SQLite; here no release ever wrote a row in the first form.
DROP TABLE audit_intake;
CREATE TABLE audit_intake (
    node   TEXT   COLLATE "C" NOT NULL,
    epoch  BIGINT NOT NULL,
    nseq   BIGINT NOT NULL,
    last   BIGINT NOT NULL,
    events BYTEA  NOT NULL,
    PRIMARY KEY (node, epoch, nseq)
);

-- +goose Down
DROP TABLE audit_intake;
