-- +goose Up
-- When an import of what the vendor has already last showed the record; 0 for never.
ALTER TABLE record ADD COLUMN backfilled BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE record DROP COLUMN backfilled;
