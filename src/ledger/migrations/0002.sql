-- Schema 2: entries of the tenant and of the hand-over. Their documents may belong to a person without a job, or to nobody.

CREATE TABLE documents (
    hash  BLOB PRIMARY KEY CHECK (length(hash) = 32),
    job   TEXT REFERENCES jobs (job),
    user  TEXT,                -- whose it is where no job says so
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO documents (hash, job, bytes) SELECT hash, job, bytes FROM blobs;
DROP TABLE blobs;
ALTER TABLE documents RENAME TO blobs;
CREATE INDEX blobs_of_job ON blobs (job) WHERE job IS NOT NULL;
CREATE INDEX blobs_of_user ON blobs (user) WHERE user IS NOT NULL;
