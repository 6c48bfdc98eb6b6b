-- +goose Up
-- One key per purpose and day (days since 1970, UTC). What is sealed under a period
-- needs its key beside the person's, so that deleting the row ends all that was sealed
-- on that day for that purpose, and nothing else of anybody.
CREATE TABLE period_key (
	tenant  TEXT NOT NULL,
	purpose TEXT NOT NULL,
	day     BIGINT NOT NULL,
	id      BLOB NOT NULL UNIQUE,
	wrapped BLOB NOT NULL,
	PRIMARY KEY (tenant, purpose, day)
);

-- +goose Down
DROP TABLE period_key;
