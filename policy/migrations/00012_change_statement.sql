-- +goose Up
-- What each statement of who changed a policy document or a configuration was first made of.
-- digest is keyed (vault) and over name, ticket, author and approver; content is a digest of
-- what stood there.
CREATE TABLE change_statement (
	digest  BLOB PRIMARY KEY,
	content BLOB NOT NULL
);

-- +goose Down
DROP TABLE change_statement;
