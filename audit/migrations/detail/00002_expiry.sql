-- +goose Up
-- How far sealed details have expired, by shard, retention class and part: up to done
-- a detail.expired leaf says so, up to gone the ciphertexts are deleted. Between them
-- an expiry is under way.
CREATE TABLE audit_expiry (
    shard TEXT   NOT NULL,
    class TEXT   NOT NULL,
    part  TEXT   NOT NULL,
    done  BIGINT NOT NULL,
    gone  BIGINT NOT NULL,
    PRIMARY KEY (shard, class, part)
);

-- When the clocks of this machine were last found to agree: wall time in ms since
-- 1970, time since boot in ns, and the boot. One row.
CREATE TABLE audit_clock (
    id   BIGINT NOT NULL PRIMARY KEY,
    wall BIGINT NOT NULL,
    mono BIGINT NOT NULL,
    boot TEXT   NOT NULL
);

-- +goose Down
DROP TABLE audit_clock;
DROP TABLE audit_expiry;
