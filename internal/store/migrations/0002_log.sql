-- The log of an org: its head, the receipts as they were signed, the erasable
-- fields that receipts commit to, and the checkpoints.

CREATE TABLE log_heads (
  org  {{.Text}} NOT NULL PRIMARY KEY REFERENCES orgs (name),
  size {{.Int}}  NOT NULL,
  tree {{.Text}} NOT NULL
){{.Strict}};

-- No foreign key: each append holds the org's row of log_heads, which proves
-- the org, and a second look-up for every receipt would only cost.
CREATE TABLE receipts (
  org             {{.Text}}  NOT NULL,
  idx             {{.Int}}   NOT NULL,
  event_id        {{.Text}}  NOT NULL,
  kind            {{.Text}}  NOT NULL,
  app_id          {{.Text}}  NOT NULL,
  environment     {{.Text}}  NOT NULL,
  release         {{.Text}}  NOT NULL,
  rollout_id      {{.Text}}  NOT NULL,
  run_id          {{.Text}}  NOT NULL,
  probe_id        {{.Text}}  NOT NULL,
  idempotency_key {{.Text}}  NOT NULL,
  request_hash    {{.Bytes}} NOT NULL,
  epoch           {{.Int}}   NOT NULL,
  recorded_at     {{.Int}}   NOT NULL,
  metrics         {{.Text}}  NOT NULL,
  leaf            {{.Bytes}} NOT NULL,
  raw             {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, idx)
){{.Strict}};

-- Each index below costs every append, so they are few, and partial: a row is
-- in one only if it carries what the index finds it by. Queries repeat the
-- condition word for word, or the planner would not use them.
CREATE UNIQUE INDEX receipts_event ON receipts (org, event_id);
CREATE UNIQUE INDEX receipts_key ON receipts (org, environment, app_id, idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX receipts_app ON receipts (org, app_id, environment, idx) WHERE app_id <> '';
CREATE INDEX receipts_rollout ON receipts (org, rollout_id, idx) WHERE rollout_id <> '';
CREATE INDEX receipts_run ON receipts (org, run_id, idx) WHERE run_id <> '';
CREATE INDEX receipts_probe ON receipts (org, probe_id, idx) WHERE probe_id <> '';
CREATE INDEX receipts_kind ON receipts (org, kind, idx) WHERE kind <> 'agent_run';

-- Erased by deleting the row: the receipt and its commitment stay.
CREATE TABLE payloads (
  org   {{.Text}}  NOT NULL,
  idx   {{.Int}}   NOT NULL,
  field {{.Text}}  NOT NULL,
  salt  {{.Bytes}} NOT NULL,
  value {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, idx, field)
){{.Strict}};

CREATE TABLE checkpoints (
  org       {{.Text}} NOT NULL REFERENCES orgs (name),
  size      {{.Int}}  NOT NULL,
  origin    {{.Text}} NOT NULL,
  root_hash {{.Text}} NOT NULL,
  note      {{.Text}} NOT NULL,
  PRIMARY KEY (org, size)
){{.Strict}};

-- What was signed stays. This stops accidents, not somebody who owns the
-- database: against that stand the signatures and the Merkle tree.
{{if .SQLite}}
CREATE TRIGGER receipts_no_update BEFORE UPDATE ON receipts
BEGIN SELECT RAISE(ABORT, 'receipts are append-only'); END;
CREATE TRIGGER receipts_no_delete BEFORE DELETE ON receipts
BEGIN SELECT RAISE(ABORT, 'receipts are append-only'); END;
CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
{{end}}
{{if .Postgres}}
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% are append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER receipts_no_change BEFORE UPDATE OR DELETE ON receipts
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER receipts_no_truncate BEFORE TRUNCATE ON receipts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_no_change BEFORE UPDATE OR DELETE ON checkpoints
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_no_truncate BEFORE TRUNCATE ON checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
{{end}}
