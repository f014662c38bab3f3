-- What judges said: for each judgment in the log what a tick reads of it, the
-- newest calibrations of judges, and the judging jobs of the server.

CREATE TABLE judgments (
  org         {{.Text}}  NOT NULL REFERENCES orgs (name),
  app_id      {{.Text}}  NOT NULL,
  environment {{.Text}}  NOT NULL,
  baseline    {{.Text}}  NOT NULL,
  candidate   {{.Text}}  NOT NULL,
  idx         {{.Int}}   NOT NULL,
  judge       {{.Text}}  NOT NULL,
  probe_id    {{.Text}}  NOT NULL,
  decided     {{.Int}}   NOT NULL,
  doc         {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, app_id, environment, baseline, candidate, idx)
){{.Strict}};

-- It tells whether a judge had judged a pair before.
CREATE INDEX judgments_pair ON judgments (org, app_id, environment, baseline, candidate, judge, probe_id, idx) WHERE decided = 1;

CREATE TABLE calibrations (
  org         {{.Text}} NOT NULL REFERENCES orgs (name),
  app_id      {{.Text}} NOT NULL,
  environment {{.Text}} NOT NULL,
  judge       {{.Text}} NOT NULL,
  idx         {{.Int}}  NOT NULL,
  PRIMARY KEY (org, app_id, environment, judge, idx)
){{.Strict}};

CREATE TABLE judge_jobs (
  org        {{.Text}}  NOT NULL REFERENCES orgs (name),
  id         {{.Text}}  NOT NULL,
  rollout_id {{.Text}}  NOT NULL,
  doc        {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, id)
){{.Strict}};

CREATE INDEX judge_jobs_rollout ON judge_jobs (org, rollout_id, id);

-- What was judged stays, as its receipt does.
{{if .SQLite}}
CREATE TRIGGER judgments_no_update BEFORE UPDATE ON judgments
BEGIN SELECT RAISE(ABORT, 'judgments are append-only'); END;
CREATE TRIGGER judgments_no_delete BEFORE DELETE ON judgments
BEGIN SELECT RAISE(ABORT, 'judgments are append-only'); END;
{{end}}
{{if .Postgres}}
CREATE TRIGGER judgments_no_change BEFORE UPDATE OR DELETE ON judgments
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER judgments_no_truncate BEFORE TRUNCATE ON judgments
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
{{end}}
