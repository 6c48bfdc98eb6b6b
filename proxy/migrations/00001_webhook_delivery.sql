-- +goose Up
-- Webhook deliveries that the system behind the gateway has taken. key is a keyed
-- digest (vault) of a delivery's signature or of its id, body one of its bytes.
-- expires is in milliseconds since 1970.
CREATE TABLE webhook_delivery (
	key     BLOB PRIMARY KEY,
	body    BLOB NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX webhook_delivery_expires ON webhook_delivery (expires);

-- +goose Down
DROP TABLE webhook_delivery;
