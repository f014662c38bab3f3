-- Webhooks and the outbox. What a receiver answered is kept as bytes: it may
-- be no text at all.

CREATE TABLE webhooks (
  org         {{.Text}} NOT NULL REFERENCES orgs (name),
  id          {{.Text}} NOT NULL,
  url         {{.Text}} NOT NULL,
  events      {{.Text}} NOT NULL,
  app_id      {{.Text}} NOT NULL,
  environment {{.Text}} NOT NULL,
  description {{.Text}} NOT NULL,
  enabled     {{.Int}}  NOT NULL,
  created_at  {{.Int}}  NOT NULL,
  secret      {{.Text}} NOT NULL,
  PRIMARY KEY (org, id)
){{.Strict}};

CREATE TABLE deliveries (
  org        {{.Text}}  NOT NULL,
  id         {{.Text}}  NOT NULL,
  webhook_id {{.Text}}  NOT NULL,
  rollout_id {{.Text}}  NOT NULL,
  event_id   {{.Text}}  NOT NULL,
  event      {{.Text}}  NOT NULL,
  sequence   {{.Int}}   NOT NULL,
  status     {{.Text}}  NOT NULL,
  body       {{.Bytes}} NOT NULL,
  created_at {{.Int}}   NOT NULL,
  next_at    {{.Int}},
  PRIMARY KEY (org, id),
  FOREIGN KEY (org, webhook_id) REFERENCES webhooks (org, id) ON DELETE CASCADE
){{.Strict}};

CREATE INDEX deliveries_webhook ON deliveries (org, webhook_id, id);
-- The two below hold only what is not sent yet, so they stay small for ever.
CREATE INDEX deliveries_due ON deliveries (COALESCE(next_at, created_at)) WHERE status = 'pending';
CREATE INDEX deliveries_rollout ON deliveries (org, rollout_id) WHERE status = 'pending';

CREATE TABLE attempts (
  org         {{.Text}}  NOT NULL,
  delivery_id {{.Text}}  NOT NULL,
  number      {{.Int}}   NOT NULL,
  at          {{.Int}}   NOT NULL,
  status_code {{.Int}}   NOT NULL,
  duration_ms {{.Int}}   NOT NULL,
  answer      {{.Bytes}} NOT NULL,
  error       {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, delivery_id, number),
  FOREIGN KEY (org, delivery_id) REFERENCES deliveries (org, id) ON DELETE CASCADE
){{.Strict}};
