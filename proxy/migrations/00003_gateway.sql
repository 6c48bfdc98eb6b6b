-- +goose Up
-- The gateways that share this database and have an audit log each. log_key is the
-- verifier key of the log's first half year: a name stands for one log. instance names
-- the process that opened the log last; one that was followed by another stops.
CREATE TABLE gateway (
	name     TEXT PRIMARY KEY,
	log_key  TEXT NOT NULL,
	instance TEXT NOT NULL,
	joined   BIGINT NOT NULL,
	opened   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE gateway;
