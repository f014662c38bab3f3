-- What witnesses said of the checkpoints: their cosignatures, as they were
-- answered, and of each log what a witness answered last.

CREATE TABLE cosignatures (
  org         {{.Text}} NOT NULL,
  size        {{.Int}}  NOT NULL,
  vkey        {{.Text}} NOT NULL,
  cosigned_at {{.Int}}  NOT NULL,
  line        {{.Text}} NOT NULL,
  PRIMARY KEY (org, size, vkey),
  FOREIGN KEY (org, size) REFERENCES checkpoints (org, size)
){{.Strict}};

CREATE TABLE witness_states (
  org           {{.Text}} NOT NULL REFERENCES orgs (name),
  vkey          {{.Text}} NOT NULL,
  origin        {{.Text}} NOT NULL,
  seen          {{.Int}}  NOT NULL,
  cosigned_size {{.Int}}  NOT NULL,
  cosigned_at   {{.Int}},
  asked_at      {{.Int}}  NOT NULL,
  status_code   {{.Int}}  NOT NULL,
  error         {{.Text}} NOT NULL,
  failures      {{.Int}}  NOT NULL,
  next_at       {{.Int}}  NOT NULL,
  PRIMARY KEY (org, vkey)
){{.Strict}};

-- A cosignature was shown, as the checkpoint was: it stays.
{{if .SQLite}}
CREATE TRIGGER cosignatures_no_update BEFORE UPDATE ON cosignatures
BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;
CREATE TRIGGER cosignatures_no_delete BEFORE DELETE ON cosignatures
BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;
{{end}}
{{if .Postgres}}
CREATE TRIGGER cosignatures_no_change BEFORE UPDATE OR DELETE ON cosignatures
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cosignatures_no_truncate BEFORE TRUNCATE ON cosignatures
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
{{end}}
