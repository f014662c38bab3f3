package e2e

import (
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// wire is the network between a server and its PostgreSQL, which a test can cut.
type wire struct {
	// url is the database's URL by way of the wire.
	url      string
	network  string
	address  string
	listener net.Listener

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

// wireTo leads to a database.
func wireTo(t testing.TB, database string) *wire {
	t.Helper()
	config, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, conns: map[net.Conn]bool{}}
	w.network, w.address = pgconn.NetworkAddress(config.Host, config.Port)
	through, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := through.Query()
	query.Set("host", "127.0.0.1")
	query.Set("port", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	query.Set("sslmode", "disable")
	through.RawQuery = query.Encode()
	w.url = through.String()
	go w.accept()
	t.Cleanup(func() { _ = listener.Close(); w.cut(true) })
	return w
}

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial(w.network, w.address)
		if err != nil || !w.take(near, far) {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		go w.carry(near, far)
		go w.carry(far, near)
	}
}

func (w *wire) take(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return false
	}
	for _, c := range conns {
		w.conns[c] = true
	}
	return true
}

func (w *wire) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, to)
	delete(w.conns, from)
}

// cut breaks all connections and refuses new ones, until it is mended.
func (w *wire) cut(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	if down {
		for c := range w.conns {
			_ = c.Close()
		}
	}
}
