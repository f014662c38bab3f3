-- Which payload fields were erased: their rows in payloads are gone.

CREATE TABLE erasures (
  org   {{.Text}} NOT NULL,
  idx   {{.Int}}  NOT NULL,
  field {{.Text}} NOT NULL,
  PRIMARY KEY (org, idx, field)
){{.Strict}};

-- The digest of a request covered the payload and no salt, so that it confirmed
-- a guess of an erased value. It does not any more; the old ones go.
{{if .SQLite}}
DROP TRIGGER receipts_no_update;
UPDATE receipts SET request_hash = x'' WHERE EXISTS (SELECT 1 FROM payloads p WHERE p.org = receipts.org AND p.idx = receipts.idx);
CREATE TRIGGER receipts_no_update BEFORE UPDATE ON receipts
BEGIN SELECT RAISE(ABORT, 'receipts are append-only'); END;
{{end}}
{{if .Postgres}}
ALTER TABLE receipts DISABLE TRIGGER receipts_no_change;
UPDATE receipts SET request_hash = ''::bytea WHERE EXISTS (SELECT 1 FROM payloads p WHERE p.org = receipts.org AND p.idx = receipts.idx);
ALTER TABLE receipts ENABLE TRIGGER receipts_no_change;
{{end}}
