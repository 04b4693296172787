-- What commands print while they run: pieces of text, each with the bytes of text before it and behind it. Between two
-- pieces there may be a gap, where text was skipped.
CREATE TABLE outputs (
    number  INTEGER PRIMARY KEY,
    command INTEGER NOT NULL REFERENCES commands (number) ON DELETE CASCADE,
    context TEXT NOT NULL,
    start   INTEGER NOT NULL,
    stop    INTEGER NOT NULL,
    text    TEXT NOT NULL
) STRICT;

-- Finds the piece that an offset is in, and those of a command that is deleted.
CREATE UNIQUE INDEX outputs_of_command ON outputs (command, stop);

-- Finds the oldest output of a context, which makes room for the latest.
CREATE INDEX outputs_of_context ON outputs (context, command);

-- All that a command has printed, whether it is kept or not.
ALTER TABLE commands ADD COLUMN output_stop INTEGER NOT NULL DEFAULT 0;

ALTER TABLE contexts ADD COLUMN output_bytes INTEGER NOT NULL DEFAULT 0;
