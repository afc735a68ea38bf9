-- Schema 3: whether a job's key was used is told by its line, and entries about no job are found without reading the rest.

ALTER TABLE jobs ADD COLUMN used TEXT;   -- when its last key was first seen used, and not revoked since; follows from the entries
UPDATE jobs SET used = (
    SELECT body ->> '$.at' FROM entries
    WHERE entries.job = jobs.job AND body ->> '$.kind' = 'tenant' AND body ->> '$.act' = 'key-used'
      AND entries.seq > coalesce((
          SELECT max(other.seq) FROM entries AS other
          WHERE other.job = jobs.job AND coalesce(other.body ->> '$.done.kind', other.body ->> '$.kind') IN ('attempt-started', 'revoked')), 0)
    ORDER BY entries.seq LIMIT 1);
CREATE INDEX entries_of_no_job ON entries (seq) WHERE job IS NULL;
