-- The nodes of the Merkle tree whose subtrees have 256, 256² and so on leaves,
-- with which a proof reads a few hundred hashes and not the whole log. A node
-- is written in the transaction that completes it. Those of a log that is there
-- already are computed from its leaves when the server starts.

CREATE TABLE log_nodes (
  org   {{.Text}}  NOT NULL,
  level {{.Int}}   NOT NULL,
  idx   {{.Int}}   NOT NULL,
  hash  {{.Bytes}} NOT NULL,
  PRIMARY KEY (org, level, idx)
){{.Strict}};

{{if .SQLite}}
CREATE TRIGGER log_nodes_no_update BEFORE UPDATE ON log_nodes
BEGIN SELECT RAISE(ABORT, 'log_nodes are append-only'); END;
CREATE TRIGGER log_nodes_no_delete BEFORE DELETE ON log_nodes
BEGIN SELECT RAISE(ABORT, 'log_nodes are append-only'); END;
{{end}}
{{if .Postgres}}
CREATE TRIGGER log_nodes_no_change BEFORE UPDATE OR DELETE ON log_nodes
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER log_nodes_no_truncate BEFORE TRUNCATE ON log_nodes
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
{{end}}
