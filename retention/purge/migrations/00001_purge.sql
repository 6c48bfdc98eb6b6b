-- +goose Up
-- Runs that carry a schedule out. schedule is its text; digest, revision and at say which it is
-- and for when it was asked; list is the SHA-256 of the items, which others agree to. key makes
-- the names of records in what leaves the database. Times are milliseconds since 1970, 0 for
-- never.
CREATE TABLE purge_run (
	id          TEXT PRIMARY KEY,
	state       TEXT NOT NULL CHECK (state IN ('planned', 'running', 'done')),
	schedule    TEXT NOT NULL,
	digest      TEXT NOT NULL,
	revision    TEXT NOT NULL,
	at          BIGINT NOT NULL,
	list        TEXT NOT NULL,
	more        BIGINT NOT NULL,
	key         BLOB NOT NULL,
	prepared    BIGINT NOT NULL,
	prepared_by TEXT NOT NULL,
	started     BIGINT NOT NULL,
	approved_by TEXT NOT NULL,
	ended       BIGINT NOT NULL
);

-- Records of a run, each with how far it is. call is the number of the action's present call;
-- doubt says that it was made and no answer is stored; proven that a call was answered with
-- done. above is the record that takes this one along, in state 'with'.
CREATE TABLE purge_item (
	run        TEXT NOT NULL,
	n          BIGINT NOT NULL,
	kind       BIGINT NOT NULL,
	name       TEXT NOT NULL,
	channel    TEXT NOT NULL,
	host       TEXT NOT NULL,
	type       TEXT NOT NULL,
	rule       TEXT NOT NULL,
	action     TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('open', 'job', 'read_back', 'trash', 'with', 'erased', 'absent', 'held', 'kept', 'by_hand', 'needs_human')),
	reason     TEXT NOT NULL,
	call       BIGINT NOT NULL,
	doubt      BIGINT NOT NULL,
	proven     BIGINT NOT NULL,
	failures   BIGINT NOT NULL,
	tries      BIGINT NOT NULL,
	next_try   BIGINT NOT NULL,
	job        TEXT NOT NULL,
	above_kind BIGINT NOT NULL,
	above      TEXT NOT NULL,
	ended      BIGINT NOT NULL,
	PRIMARY KEY (run, n),
	FOREIGN KEY (run) REFERENCES purge_run (id)
);
CREATE INDEX purge_item_next ON purge_item (run, next_try, n) WHERE state IN ('open', 'job', 'read_back', 'trash');
CREATE INDEX purge_item_above ON purge_item (run, above_kind, above) WHERE state = 'with';

-- Calls to vendors, from before they are made. answered is 0 while no answer is stored. event is
-- the id under which the log has it; told says that it does.
CREATE TABLE purge_step (
	run       TEXT NOT NULL,
	n         BIGINT NOT NULL,
	seq       BIGINT NOT NULL,
	event     BLOB NOT NULL,
	operation TEXT NOT NULL,
	at        BIGINT NOT NULL,
	answered  BIGINT NOT NULL,
	status    BIGINT NOT NULL,
	seen      TEXT NOT NULL,
	told      BIGINT NOT NULL,
	PRIMARY KEY (run, n, seq),
	FOREIGN KEY (run, n) REFERENCES purge_item (run, n)
);
CREATE INDEX purge_step_untold ON purge_step (run, n, seq) WHERE told = 0 AND answered > 0;

-- +goose Down
DROP TABLE purge_step;
DROP TABLE purge_item;
DROP TABLE purge_run;
