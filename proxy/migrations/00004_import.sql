-- +goose Up
-- How far the vendors' lists have been read. account is channel and host, run the id of the
-- import, state is JSON (importState). version counts its changes: two who read at once do
-- not both go on.
CREATE TABLE channel_import (
	account TEXT PRIMARY KEY,
	run     TEXT NOT NULL UNIQUE,
	version BIGINT NOT NULL,
	state   TEXT NOT NULL
);

-- When our own next call to a vendor's account may be made, for all gateways. Times are
-- milliseconds, free and blocked since 1970, pause between two calls.
CREATE TABLE vendor_budget (
	account TEXT PRIMARY KEY,
	pause   BIGINT NOT NULL,
	free    BIGINT NOT NULL,
	blocked BIGINT NOT NULL
);

-- +goose Down
DROP TABLE vendor_budget;
DROP TABLE channel_import;
