-- +goose Up
-- Several gateways may share a vault and have a log each: then erasures are carried out up
-- to a place in each of the logs. log is the name of the gateway, empty for one that is
-- alone.
CREATE TABLE erasure_place (
	tenant  TEXT NOT NULL,
	log     TEXT NOT NULL,
	shard   TEXT NOT NULL,
	idx     BIGINT NOT NULL,
	applied BIGINT NOT NULL,
	PRIMARY KEY (tenant, log)
);
INSERT INTO erasure_place (tenant, log, shard, idx, applied) SELECT tenant, '', shard, idx, applied FROM erasure_mark;
DROP TABLE erasure_mark;

-- +goose Down
CREATE TABLE erasure_mark (
	tenant  TEXT NOT NULL PRIMARY KEY,
	shard   TEXT NOT NULL,
	idx     BIGINT NOT NULL,
	applied BIGINT NOT NULL
);
INSERT INTO erasure_mark (tenant, shard, idx, applied) SELECT tenant, shard, idx, applied FROM erasure_place WHERE log = '';
DROP TABLE erasure_place;
