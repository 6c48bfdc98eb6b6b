-- Ids of tokens drawn from here on grow with time, and the token says them enciphered. Only
-- programs that know this version find them; nothing changes in the tables.
-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
