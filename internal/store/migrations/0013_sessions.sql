-- Who is signed in to the dashboard, by the SHA-256 of the token in the
-- browser's cookie: a copy of the database signs nobody in. What a session may
-- do is what its API key may do at that moment.

CREATE TABLE sessions (
  org        {{.Text}}  NOT NULL,
  hash       {{.Bytes}} NOT NULL,
  key_id     {{.Text}}  NOT NULL,
  created_at {{.Int}}   NOT NULL,
  expires_at {{.Int}}   NOT NULL,
  PRIMARY KEY (org, hash),
  FOREIGN KEY (org, key_id) REFERENCES api_keys (org, id)
){{.Strict}};

-- A request brings the token before anyone knows its org.
CREATE UNIQUE INDEX sessions_hash ON sessions (hash);
CREATE INDEX sessions_end ON sessions (expires_at);
