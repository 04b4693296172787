-- The workspace. Ids are never given twice: clients keep them, and a library's is its node's.
CREATE TABLE workspace (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    path        TEXT NOT NULL UNIQUE,
    parent      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    language    TEXT,
    size        INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX workspace_of_folder ON workspace (parent, path);

-- Beside the nodes, not in them, as with commands.
CREATE TABLE workspace_contents (
    node  INTEGER PRIMARY KEY REFERENCES workspace (id) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE secret_scopes (
    name       TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    scope      TEXT NOT NULL REFERENCES secret_scopes (name) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    value      BLOB NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT;

CREATE TABLE secret_acls (
    scope      TEXT NOT NULL REFERENCES secret_scopes (name) ON DELETE CASCADE,
    principal  TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (scope, principal)
) STRICT, WITHOUT ROWID;
