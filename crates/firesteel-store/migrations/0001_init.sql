-- Times are Unix milliseconds. States are the names that firesteel-model gives them.

CREATE TABLE users (
    name          TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    sha256     BLOB PRIMARY KEY,
    user       TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    comment    TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_of_user ON tokens (user);

CREATE TABLE clusters (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    num_workers INTEGER NOT NULL,
    jdbc_port   INTEGER NOT NULL,
    driver_ip   TEXT NOT NULL,
    runtime     TEXT,
    backend     TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    generation  TEXT NOT NULL,
    event_acked INTEGER NOT NULL,
    spec_json   TEXT NOT NULL
) STRICT;

CREATE TABLE contexts (
    id            TEXT PRIMARY KEY,
    cluster       TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    language      TEXT NOT NULL,
    state         TEXT NOT NULL,
    reason        TEXT,
    created_ms    INTEGER NOT NULL,
    sequence_last INTEGER NOT NULL,
    results_bytes INTEGER NOT NULL
) STRICT;

CREATE INDEX contexts_of_cluster ON contexts (cluster);

CREATE TABLE commands (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    context    TEXT NOT NULL REFERENCES contexts (id) ON DELETE CASCADE,
    cluster    TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    language   TEXT NOT NULL,
    state      TEXT NOT NULL,
    reason     TEXT,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms   INTEGER,
    UNIQUE (context, sequence)
) STRICT;

-- Small whatever the history: a command leaves it when it is over.
CREATE INDEX commands_open ON commands (cluster, context, sequence)
    WHERE state IN ('Queued', 'Running', 'Cancelling');

-- Bulk lives beside the commands, not in them: SQLite rewrites a row whole when its state changes.
CREATE TABLE sources (
    command INTEGER PRIMARY KEY REFERENCES commands (number) ON DELETE CASCADE,
    text    TEXT NOT NULL
) STRICT;

CREATE TABLE results (
    command INTEGER PRIMARY KEY REFERENCES commands (number) ON DELETE CASCADE,
    context TEXT NOT NULL,
    json    TEXT NOT NULL
) STRICT;

-- Finds the oldest results of a context, which make room for the latest.
CREATE INDEX results_of_context ON results (context, command);
