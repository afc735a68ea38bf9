-- Schema 1. A migration that was released is never edited; the next one is 0002.sql.

-- The chain. seq counts from 1 without a gap; hash covers the hash before it, seq, at, bench and body (docs/LEDGER.md).
CREATE TABLE entries (
    seq   INTEGER PRIMARY KEY,
    at    TEXT    NOT NULL,
    bench TEXT    NOT NULL,
    job   TEXT,               -- a copy of what body says, to search by
    body  TEXT    NOT NULL,   -- the entry as JSON; these very bytes are hashed
    hash  BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX entries_of_job ON entries (job, seq) WHERE job IS NOT NULL;

CREATE TRIGGER entries_are_appended BEFORE INSERT ON entries
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entries)
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;

-- Where each job stands; follows from the entries.
CREATE TABLE jobs (
    nr        INTEGER PRIMARY KEY,   -- in the order of planning
    job       TEXT    NOT NULL UNIQUE,
    tenant    TEXT    NOT NULL,
    user      TEXT    NOT NULL,
    ordinal   INTEGER NOT NULL,
    batch     TEXT    NOT NULL,
    status    TEXT    NOT NULL,
    attempt   INTEGER NOT NULL,
    code      TEXT,
    in_flight INTEGER NOT NULL,
    at        TEXT    NOT NULL
) STRICT;
CREATE INDEX jobs_of_user ON jobs (user);

-- A bench's hold on a job.
CREATE TABLE claims (
    job      TEXT    PRIMARY KEY REFERENCES jobs (job),
    fence    INTEGER NOT NULL,
    bench    TEXT    NOT NULL,
    session  TEXT    NOT NULL,   -- one opening of the ledger
    expires  TEXT    NOT NULL,
    released INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Replaceable from here on: the chain holds hashes of these.

-- Sealed PINs: age files. resume is emptied when the job's resume key is destroyed.
CREATE TABLE seals (
    job       TEXT    NOT NULL REFERENCES jobs (job),
    attempt   INTEGER NOT NULL,
    seq       INTEGER NOT NULL REFERENCES entries (seq),   -- the pin-sealed entry with its hash
    custodian BLOB    NOT NULL,
    resume    BLOB    NOT NULL,
    dual      INTEGER NOT NULL,
    PRIMARY KEY (job, attempt)
) STRICT;
CREATE UNIQUE INDEX seals_by_entry ON seals (seq);

-- Registration records: what Graph must be sent.
CREATE TABLE blobs (
    hash  BLOB PRIMARY KEY CHECK (length(hash) = 32),
    job   TEXT NOT NULL REFERENCES jobs (job),
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX blobs_of_job ON blobs (job);

-- People: name, UPN, address, as JSON.
CREATE TABLE people (
    user   TEXT PRIMARY KEY,
    person TEXT NOT NULL
) STRICT;
