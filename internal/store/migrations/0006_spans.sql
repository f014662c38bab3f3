-- Cohorts are kept for each span of epochs instead of each epoch, so that what
-- a tick reads does not grow where epochs are cut by size or time. Every epoch
-- that is there already is a span of its own.

ALTER TABLE epochs ADD COLUMN span {{.Int}} NOT NULL DEFAULT 0;
UPDATE epochs SET span = number;

ALTER TABLE cohorts RENAME COLUMN epoch TO span;
ALTER TABLE summaries RENAME COLUMN epoch TO span;

-- The counts of each epoch in a span that has more than one: of a cohort its
-- runs, of a summary the runs with the metric and the ones among them.
ALTER TABLE cohorts ADD COLUMN epochs {{.Bytes}};
ALTER TABLE summaries ADD COLUMN epochs {{.Bytes}};
