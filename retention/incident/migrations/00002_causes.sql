-- +goose Up
-- For what the gateway itself has opened an incident, so that it opens one of it within some
-- time. cause is made of keyed digests and names nobody; at is milliseconds since 1970.
CREATE TABLE incident_cause (
	cause    TEXT PRIMARY KEY,
	at       BIGINT NOT NULL,
	incident TEXT NOT NULL,
	FOREIGN KEY (incident) REFERENCES incident (id)
);
CREATE INDEX incident_opened ON incident (opened_by, opened);

-- +goose Down
DROP INDEX incident_opened;
DROP TABLE incident_cause;
