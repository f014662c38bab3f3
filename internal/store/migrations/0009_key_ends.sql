-- The keys that sign no more, with the log index from which they do not. The
-- key events in the log say the same; this is what an append looks at.

CREATE TABLE key_ends (
  org      {{.Text}} NOT NULL,
  key_id   {{.Text}} NOT NULL,
  from_idx {{.Int}}  NOT NULL,
  PRIMARY KEY (org, key_id)
){{.Strict}};
