-- +goose Up
-- Since when the clock of what is owed stands still, 0 while it goes on, as the duty's clock
-- says.
ALTER TABLE request_duty ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE request_duty DROP COLUMN paused;
