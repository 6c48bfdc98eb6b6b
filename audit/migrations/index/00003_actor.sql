-- +goose Up

-- Who could have seen what begins with one actor's entries.
CREATE INDEX audit_entry_act ON audit_entry (act, shard, idx);

-- +goose Down
DROP INDEX audit_entry_act;
