-- +goose Up
-- Who holds a right to see what stands behind tokens. actor is the id of who holds it, no
-- person's name. seen is when the gateway first saw them with the right, used when they last
-- used it, renewed when renewed_by renewed it. lapsed is when it lapsed, event the id of the
-- log's event about that, told 1 when the log has it. Times are milliseconds since 1970, 0
-- for never.
CREATE TABLE reveal_right (
	actor      TEXT PRIMARY KEY,
	seen       BIGINT NOT NULL,
	used       BIGINT NOT NULL,
	renewed    BIGINT NOT NULL,
	renewed_by TEXT NOT NULL,
	lapsed     BIGINT NOT NULL,
	event      BLOB NOT NULL,
	told       BIGINT NOT NULL
);

-- +goose Down
DROP TABLE reveal_right;
