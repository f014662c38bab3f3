-- What the runs add up to: epochs of an app and environment, the cohort of a
-- release in an epoch, and one summary for each metric of a cohort.

CREATE TABLE epochs (
  org         {{.Text}} NOT NULL REFERENCES orgs (name),
  app_id      {{.Text}} NOT NULL,
  environment {{.Text}} NOT NULL,
  number      {{.Int}}  NOT NULL,
  first_index {{.Int}}  NOT NULL,
  started_at  {{.Int}}  NOT NULL,
  runs        {{.Int}}  NOT NULL,
  PRIMARY KEY (org, app_id, environment, number)
){{.Strict}};

CREATE TABLE cohorts (
  org         {{.Text}} NOT NULL REFERENCES orgs (name),
  app_id      {{.Text}} NOT NULL,
  environment {{.Text}} NOT NULL,
  epoch       {{.Int}}  NOT NULL,
  release     {{.Text}} NOT NULL,
  runs        {{.Int}}  NOT NULL,
  first_index {{.Int}}  NOT NULL,
  last_index  {{.Int}}  NOT NULL,
  PRIMARY KEY (org, app_id, environment, epoch, release)
){{.Strict}};

CREATE TABLE summaries (
  org         {{.Text}}  NOT NULL,
  app_id      {{.Text}}  NOT NULL,
  environment {{.Text}}  NOT NULL,
  epoch       {{.Int}}   NOT NULL,
  release     {{.Text}}  NOT NULL,
  metric      {{.Text}}  NOT NULL,
  data        {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, app_id, environment, epoch, release, metric),
  FOREIGN KEY (org, app_id, environment, epoch, release)
    REFERENCES cohorts (org, app_id, environment, epoch, release)
){{.Strict}};
