-- Libraries that were uploaded: each is a node of the workspace. `library_json` is what it is, as 2.0 spells it; `file` is the path on
-- dbfs:/ of the file that goes with it, where it has one.
CREATE TABLE libraries (
    node         INTEGER PRIMARY KEY REFERENCES workspace (id) ON DELETE CASCADE,
    library_json TEXT NOT NULL,
    file         TEXT,
    -- Whether clusters made later get it too.
    for_all      INTEGER NOT NULL
) STRICT;

CREATE INDEX libraries_of_spelling ON libraries (library_json);

-- What each cluster has, or is to have or to lose, in the order in which it was asked for.
CREATE TABLE cluster_libraries (
    number        INTEGER PRIMARY KEY,
    cluster       TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    library_json  TEXT NOT NULL,
    state         TEXT NOT NULL,
    messages_json TEXT NOT NULL,
    UNIQUE (cluster, library_json)
) STRICT;

-- Files that no library has: not yet, or not any more. Those that are left when the server starts are removed.
CREATE TABLE stray_library_files (
    path TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
