-- +goose Up
-- Whether the log has that a run ended.
ALTER TABLE purge_run ADD COLUMN told BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE purge_run DROP COLUMN told;
