package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// maxConnections is what one server takes of the database's connections.
	maxConnections = 20
	// maxIdle is how long a connection may rest before it is tried out first:
	// it may have died with the server it led to.
	maxIdle = time.Second
	// maxLife is the age at which a connection is replaced, so that load
	// spreads again after a server was added behind the address.
	maxLife = 30 * time.Minute
	// maxRest is how long a connection may rest before it is closed.
	maxRest = 5 * time.Minute
)

// postgresPool keeps connections open between transactions. The one that was
// used last is used next, so that the others come to rest and are closed.
type postgresPool struct {
	config *pgx.ConnConfig
	slots  chan struct{} // one for each connection that may be open
	mu     sync.Mutex
	idle   []*postgresLink
}

// postgresLink is a connection to PostgreSQL.
type postgresLink struct {
	conn         *pgx.Conn
	opened, used time.Time
}

func newPool(config *pgx.ConnConfig) *postgresPool {
	return &postgresPool{config: config, slots: make(chan struct{}, maxConnections)}
}

// take returns a connection that is in no transaction.
func (p *postgresPool) take(ctx context.Context) (*postgresLink, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		l := p.pop()
		if l == nil {
			break
		}
		now := time.Now()
		if now.Sub(l.opened) < maxLife && (now.Sub(l.used) < maxIdle || l.conn.Ping(ctx) == nil) {
			return l, nil
		}
		l.close()
	}
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return &postgresLink{conn: conn, opened: time.Now()}, nil
}

func (p *postgresPool) pop() *postgresLink {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	l := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return l
}

// put gives a connection back, or closes it if it is not free of a transaction.
func (p *postgresPool) put(l *postgresLink) {
	if l.conn.IsClosed() || l.conn.PgConn().TxStatus() != 'I' {
		l.close()
		<-p.slots
		return
	}
	l.used = time.Now()
	p.mu.Lock()
	p.idle = append(p.idle, l)
	var rested *postgresLink
	if l.used.Sub(p.idle[0].used) > maxRest {
		rested, p.idle = p.idle[0], p.idle[1:]
	}
	p.mu.Unlock()
	<-p.slots
	if rested != nil {
		rested.close()
	}
}

// close closes the connections. None may be in use.
func (p *postgresPool) close() error {
	for l := p.pop(); l != nil; l = p.pop() {
		l.close()
	}
	return nil
}

// close ends the connection. A server that does not answer any more is not
// waited for long: closing undoes a transaction either way.
func (l *postgresLink) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx)
}

func (l *postgresLink) exec(ctx context.Context, query string, args []any) (int64, error) {
	tag, err := l.conn.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (l *postgresLink) each(ctx context.Context, query string, args []any, scan func(row) error) error {
	rows, err := l.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// script sends a text without arguments as a simple query, which may hold many statements.
func (l *postgresLink) script(ctx context.Context, text string) error {
	_, err := l.conn.Exec(ctx, text)
	return err
}
