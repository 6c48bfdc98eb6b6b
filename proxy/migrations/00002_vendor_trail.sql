-- +goose Up
-- How far the vendors' own logs have been read. trail is name and upstream, cursor is
-- JSON (trailCursor); it moves on when what it leaves behind is in the audit log.
CREATE TABLE vendor_trail (
	trail  TEXT PRIMARY KEY,
	cursor TEXT NOT NULL
);

-- +goose Down
DROP TABLE vendor_trail;
