-- +goose Up

-- One row per commit instead of one per event: the events that became durable
-- together, each as the length of its leaf and of its sealed details (four bytes,
-- big-endian) with their bytes behind. nseq is the first event's, last the last's.
ALTER TABLE audit_intake RENAME TO audit_intake_single;
CREATE TABLE audit_intake (
    node   TEXT   NOT NULL,
    epoch  BIGINT NOT NULL,
    nseq   BIGINT NOT NULL,
    last   BIGINT NOT NULL,
    events BLOB   NOT NULL,
    PRIMARY KEY (node, epoch, nseq)
);
INSERT INTO audit_intake (node, epoch, nseq, last, events)
SELECT node, epoch, nseq, nseq,
    CAST(unhex(printf('%08x%08x', length(leaf), coalesce(length(detail), 0))) || leaf || coalesce(detail, x'') AS BLOB)
FROM audit_intake_single;
DROP TABLE audit_intake_single;

-- +goose Down
DROP TABLE audit_intake;
