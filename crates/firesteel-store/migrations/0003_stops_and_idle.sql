-- How long a command may run, where whoever sent it said so; seconds.
ALTER TABLE commands ADD COLUMN timeout_seconds INTEGER;

-- Live streaming queries: a context that has one is not idle.
ALTER TABLE contexts ADD COLUMN streams INTEGER NOT NULL DEFAULT 0;

-- Contexts that made room for others: whoever still uses one is told so.
CREATE TABLE disconnected (
    number  INTEGER PRIMARY KEY,
    context TEXT NOT NULL,
    cluster TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX disconnected_of_cluster ON disconnected (cluster, number);
