-- +goose Up
-- event is the id of the event that names a call's tokens, empty where it has none that is
-- known before. A row whose event is in the log stands for tokens that were released or may
-- have been, and the tokens stay when it goes.
ALTER TABLE token_pending ADD COLUMN event BLOB NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE token_pending DROP COLUMN event;
