-- +goose Up
-- What speaks for sending a rollout back. rollout is its id, kind is undone or denied, actor
-- the id of who undid or was denied, what the name of the mask that was undone, empty for
-- denials. No person's name, no data.
CREATE TABLE rollout_sign (
	rollout TEXT NOT NULL,
	kind    TEXT NOT NULL,
	actor   TEXT NOT NULL,
	what    TEXT NOT NULL,
	n       BIGINT NOT NULL,
	PRIMARY KEY (rollout, kind, actor, what)
);

-- What that is compared with: how many masks, how many calls of proven staff.
CREATE TABLE rollout_volume (
	rollout TEXT NOT NULL,
	kind    TEXT NOT NULL,
	n       BIGINT NOT NULL,
	PRIMARY KEY (rollout, kind)
);

-- Rollouts that went back. evidence is JSON, event the id of the log's event, told 1 when the
-- log has it: from then on it counts. Times are milliseconds since 1970.
CREATE TABLE rollout_end (
	rollout  TEXT PRIMARY KEY,
	name     TEXT NOT NULL,
	at       BIGINT NOT NULL,
	evidence TEXT NOT NULL,
	event    BLOB NOT NULL,
	told     BIGINT NOT NULL
);

-- What a policy in force has enforced without a rollout: no rollout of it goes back.
CREATE TABLE rollout_enforced (
	what TEXT PRIMARY KEY,
	at   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE rollout_enforced;
DROP TABLE rollout_end;
DROP TABLE rollout_volume;
DROP TABLE rollout_sign;
