-- +goose Up
-- The doubt about the clock in which a notice was acknowledged, 0 for none: what is acknowledged
-- in one doubt is raised in the next.
ALTER TABLE incident_duty ADD COLUMN doubt BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE incident_duty DROP COLUMN doubt;
