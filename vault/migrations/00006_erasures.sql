-- +goose Up
-- Up to where the erasures that the audit log holds have been carried out here: the
-- newest entry of its kind, by shard and index. A backup that is restored brings its old
-- row back, and what the log says since then is carried out again.
CREATE TABLE erasure_mark (
	tenant  TEXT NOT NULL PRIMARY KEY,
	shard   TEXT NOT NULL,
	idx     BIGINT NOT NULL,
	applied BIGINT NOT NULL
);

-- +goose Down
DROP TABLE erasure_mark;
