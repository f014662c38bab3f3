-- Rollouts, the blocks that ingest fills for them, and their time lines.

CREATE TABLE rollouts (
  org               {{.Text}}  NOT NULL REFERENCES orgs (name),
  id                {{.Text}}  NOT NULL,
  app_id            {{.Text}}  NOT NULL,
  environment       {{.Text}}  NOT NULL,
  baseline_release  {{.Text}}  NOT NULL,
  candidate_release {{.Text}}  NOT NULL,
  mode              {{.Text}}  NOT NULL,
  state             {{.Text}}  NOT NULL,
  created_at        {{.Int}}   NOT NULL,
  version           {{.Int}}   NOT NULL,
  doc               {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, id)
){{.Strict}};

CREATE INDEX rollouts_app ON rollouts (org, app_id, environment, id);
-- Every ingest asks which rollouts of the app are unfinished.
CREATE INDEX rollouts_unfinished ON rollouts (org, app_id, environment, id)
  WHERE state IN ('active', 'paused');
-- Two canaries of one app and environment would fight over its weight.
CREATE UNIQUE INDEX rollouts_one_canary ON rollouts (org, app_id, environment)
  WHERE mode = 'canary' AND state IN ('active', 'paused');

CREATE TABLE blocks (
  org        {{.Text}}  NOT NULL,
  rollout_id {{.Text}}  NOT NULL,
  number     {{.Int}}   NOT NULL,
  closed     {{.Int}}   NOT NULL,
  doc        {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, rollout_id, number),
  FOREIGN KEY (org, rollout_id) REFERENCES rollouts (org, id)
){{.Strict}};

CREATE UNIQUE INDEX blocks_one_open ON blocks (org, rollout_id) WHERE closed = 0;

CREATE TABLE decisions (
  org        {{.Text}}  NOT NULL,
  rollout_id {{.Text}}  NOT NULL,
  sequence   {{.Int}}   NOT NULL,
  doc        {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, rollout_id, sequence),
  FOREIGN KEY (org, rollout_id) REFERENCES rollouts (org, id)
){{.Strict}};
