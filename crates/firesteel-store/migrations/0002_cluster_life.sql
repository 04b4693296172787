-- What a user wants of a cluster is one JSON column; what has become of it has columns of its own.

ALTER TABLE clusters RENAME COLUMN spec_json TO settings_json;
UPDATE clusters SET settings_json = json_object('cluster_name', name, 'num_workers', num_workers);
ALTER TABLE clusters DROP COLUMN name;
ALTER TABLE clusters DROP COLUMN num_workers;
ALTER TABLE clusters DROP COLUMN runtime;
ALTER TABLE clusters DROP COLUMN backend;

-- How many workers there are, which is not always how many are wanted.
ALTER TABLE clusters ADD COLUMN workers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clusters ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE clusters ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
-- When its driver was launched last, when that was for a restart, and when it ended.
ALTER TABLE clusters ADD COLUMN started_ms INTEGER;
ALTER TABLE clusters ADD COLUMN restarted_ms INTEGER;
ALTER TABLE clusters ADD COLUMN terminated_ms INTEGER;
-- Why it ended, as 2.x says it.
ALTER TABLE clusters ADD COLUMN ending_json TEXT;

CREATE TABLE cluster_events (
    number       INTEGER PRIMARY KEY,
    cluster      TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    happened_ms  INTEGER NOT NULL,
    type         TEXT NOT NULL,
    details_json TEXT NOT NULL
) STRICT;

CREATE INDEX cluster_events_of_cluster ON cluster_events (cluster, number);
