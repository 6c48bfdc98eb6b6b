-- +goose Up
-- version of a tenant names the key of its keyset that wraps: who writes a wrapped key
-- looks, in the same transaction, that it is still the one that it has in memory.
-- key_version of a row names the key that wrapped it; 0 is for rows from before. With
-- the count of an old version at zero, its key is destroyed.
ALTER TABLE tenant_key ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE person ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE period_key ADD COLUMN key_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX person_key_version ON person (tenant, key_version, id);
CREATE INDEX period_key_version ON period_key (tenant, key_version, id);

-- +goose Down
DROP INDEX period_key_version;
DROP INDEX person_key_version;
ALTER TABLE period_key DROP COLUMN key_version;
ALTER TABLE person DROP COLUMN key_version;
ALTER TABLE tenant_key DROP COLUMN version;
