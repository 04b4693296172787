-- What is done to clusters at fixed times. Times are Unix milliseconds.

CREATE TABLE schedules (
    name             TEXT PRIMARY KEY,
    cluster          TEXT NOT NULL,
    cron             TEXT NOT NULL,
    time_zone        TEXT NOT NULL,
    action_json      TEXT NOT NULL,
    catch_up_minutes INTEGER NOT NULL,
    origin           TEXT NOT NULL,
    created_ms       INTEGER NOT NULL,
    -- Up to when every time of it was dealt with.
    checked_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE schedule_runs (
    number   INTEGER PRIMARY KEY,
    schedule TEXT NOT NULL REFERENCES schedules (name) ON DELETE CASCADE,
    due_ms   INTEGER NOT NULL,
    -- When it was dealt with.
    at_ms    INTEGER NOT NULL,
    outcome  TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;

CREATE INDEX runs_of_schedule ON schedule_runs (schedule, number);
