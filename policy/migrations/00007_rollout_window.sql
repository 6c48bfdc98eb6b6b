-- +goose Up
-- When the window of a rollout closes, by its id: what was counted of it is deleted some
-- time after that. Times are milliseconds since 1970.
CREATE TABLE rollout_window (
	rollout TEXT PRIMARY KEY,
	closes  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE rollout_window;
