package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// sqliteLink is a connection with the statements that were prepared on it.
type sqliteLink struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// maxStatements bounds what a connection keeps prepared. Filters make the
// number of texts large but finite; when it is reached all start afresh.
const maxStatements = 256

func openLink(ctx context.Context, db *sql.DB) (*sqliteLink, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteLink{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (l *sqliteLink) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := l.stmts[query]; ok {
		return stmt, nil
	}
	if len(l.stmts) >= maxStatements {
		l.forget()
	}
	stmt, err := l.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	l.stmts[query] = stmt
	return stmt, nil
}

func (l *sqliteLink) forget() {
	for _, stmt := range l.stmts {
		_ = stmt.Close()
	}
	clear(l.stmts)
}

func (l *sqliteLink) exec(ctx context.Context, query string, args []any) (int64, error) {
	stmt, err := l.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (l *sqliteLink) each(ctx context.Context, query string, args []any, scan func(row) error) error {
	stmt, err := l.prepare(ctx, query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (l *sqliteLink) script(ctx context.Context, text string) error {
	_, err := l.conn.ExecContext(ctx, text)
	return err
}

// discard closes the connection itself, and with it a transaction in an
// unknown state; to close conn alone would hand it to the next caller.
func (l *sqliteLink) discard() {
	l.forget()
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = l.conn.Close() // says that it is gone, which is what was asked for
}
