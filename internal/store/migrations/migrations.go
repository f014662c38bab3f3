// Package migrations holds the schema of the store as numbered SQL files.
//
// A file is never changed once a release has run it: its SHA-256 is kept in
// every database it ran in, and a server whose file differs refuses to start.
// What is wrong with a schema is put right by a file with the next number.
//
// The files are templates for text/template: {{.Int}}, {{.Text}} and {{.Bytes}}
// are the column types of the database, {{.Strict}} ends a table, and {{.SQLite}}
// and {{.Postgres}} tell the two apart where no common text exists.
package migrations

import "embed"

// Files are the migrations, named NNNN_subject.sql and numbered from 1 without a gap.
//
//go:embed *.sql
var Files embed.FS
