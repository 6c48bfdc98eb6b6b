-- +goose Up
-- What a composite call holds: JSON, a number for each operation; empty for another call.
ALTER TABLE approval ADD COLUMN inside TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE approval DROP COLUMN inside;
