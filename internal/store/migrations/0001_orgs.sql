-- Tenants, their API keys, and the public keys of all servers. Every key but
-- that of signing_keys starts with the org, so that one org never meets
-- another in an index and the tables can be distributed by org.

CREATE TABLE orgs (
  name       {{.Text}} NOT NULL PRIMARY KEY,
  created_at {{.Int}}  NOT NULL,
  log_id     {{.Text}} NOT NULL
){{.Strict}};

CREATE TABLE api_keys (
  org         {{.Text}}  NOT NULL REFERENCES orgs (name),
  id          {{.Text}}  NOT NULL,
  name        {{.Text}}  NOT NULL,
  permissions {{.Text}}  NOT NULL,
  environment {{.Text}}  NOT NULL,
  created_at  {{.Int}}   NOT NULL,
  created_by  {{.Text}}  NOT NULL,
  expires_at  {{.Int}},
  revoked_at  {{.Int}},
  hash        {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, id)
){{.Strict}};

-- A request names the key before anyone knows its org.
CREATE UNIQUE INDEX api_keys_id ON api_keys (id);

CREATE TABLE signing_keys (
  key_id     {{.Text}} NOT NULL,
  purpose    {{.Text}} NOT NULL,
  algorithm  {{.Text}} NOT NULL,
  public_key {{.Text}} NOT NULL,
  vkey       {{.Text}} NOT NULL,
  created_at {{.Int}}  NOT NULL,
  PRIMARY KEY (key_id, purpose)
){{.Strict}};
