package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// short is the time limit for receivers that hang.
const short = 300 * time.Millisecond

func loopback() *Sender { return New(Options{AllowLoopback: true, Timeout: short}) }

func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer target.Close()
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL+"/?token=s3cret", status)
		}))
		sent := New(Options{AllowLoopback: true}).Deliver(t.Context(), shipment(server.URL))
		server.Close()
		if sent.OK() || sent.StatusCode != status || sent.Err == nil || !strings.Contains(sent.Err.Error(), "redirects are not followed") ||
			strings.Contains(sent.Err.Error(), "s3cret") {
			t.Errorf("%d: got %+v", status, sent)
		}
	}
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestStatusIsReported(t *testing.T) {
	for _, status := range []int{200, 201, 204, 299, 400, 401, 404, 410, 429, 500, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		sent := New(Options{AllowLoopback: true}).Deliver(t.Context(), shipment(server.URL))
		server.Close()
		if sent.StatusCode != status || sent.Err != nil || sent.OK() != (status < 300) {
			t.Errorf("%d: got %+v", status, sent)
		}
	}
}

// raw starts a receiver that reads the head of a request and then does what it likes.
func raw(t *testing.T, act func(ctx context.Context, c net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 4096)); err == nil {
					act(t.Context(), c)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/"
}

func TestBadReceivers(t *testing.T) {
	repeat := func(head, text string, pause time.Duration) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			_, err := io.WriteString(c, head)
			for err == nil && ctx.Err() == nil {
				_, err = io.WriteString(c, text)
				time.Sleep(pause)
			}
		}
	}
	for _, c := range []struct {
		name string
		act  func(context.Context, net.Conn)
		ok   bool
	}{
		{"hangs before the headers", func(ctx context.Context, _ net.Conn) { <-ctx.Done() }, false},
		{"drips headers", repeat("HTTP/1.1 200 OK\r\n", "X: y\r\n", 20*time.Millisecond), false},
		{"endless headers", repeat("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("y", 1000)+"\r\n", 0), false},
		{"endless status line", repeat("HTTP/1.1 200 ", strings.Repeat("y", 1000), 0), false},
		{"1xx flood", repeat("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0), false},
		{"drips a body", repeat("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", ".", 20*time.Millisecond), true},
		{"endless body", repeat("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("y", 1000), 0), true},
		{"endless chunks", repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\ny\r\n", 0), true},
		{"body breaks off", func(_ context.Context, c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
		}, true},
		{"closes without an answer", func(context.Context, net.Conn) {}, false},
		{"no HTTP", func(_ context.Context, c net.Conn) { io.WriteString(c, "\x1b[31m\u202eSSH-2.0\r\n\r\n") }, false},
		{"switches protocols", func(_ context.Context, c net.Conn) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sent := loopback().Deliver(t.Context(), shipment(raw(t, c.act)))
			if sent.OK() != c.ok || sent.Duration > 20*short || len(sent.Answer) > maxAnswer {
				t.Errorf("got %+v", sent)
			}
			if sent.Err != nil && (len(sent.Err.Error()) > maxAnswer || strings.ContainsAny(sent.Err.Error(), "\x1b\u202e\r\n")) {
				t.Errorf("the error is not fit to be shown: %q", sent.Err)
			}
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	sent := New(Options{AllowLoopback: true}).Deliver(t.Context(), shipment(server.URL+"/?token=s3cret"))
	if sent.OK() || sent.Err == nil || strings.Contains(sent.Err.Error(), "s3cret") {
		t.Errorf("got %+v", sent)
	}
}

// trusting returns a Sender for names that resolve to addr, which trusts the server's certificate.
func trusting(o Options, server *httptest.Server, addr string) *Sender {
	g := newGuard(o.AllowCIDRs, o.AllowLoopback)
	d := g.dialer()
	d.Resolver = fakeResolver(netip.MustParseAddr(addr))
	tr := g.transport()
	tr.DialContext = d.DialContext
	tr.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	o.Transport = tr
	return New(o)
}

// TestRebinding: the URL names a host, is accepted, and resolves to a closed address later.
func TestRebinding(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	var conns atomic.Int32
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	sh := shipment(fmt.Sprintf("https://example.com:%s/", u.Port())) // a name in the server's certificate

	sent := trusting(Options{}, server, "127.0.0.1").Deliver(t.Context(), sh)
	if sent.OK() || sent.Err == nil || !strings.Contains(sent.Err.Error(), "loopback") || !strings.Contains(sent.Err.Error(), "--webhook-allow-cidr") {
		t.Errorf("got %+v", sent)
	}
	if sent := trusting(Options{}, server, "::ffff:127.0.0.1").Deliver(t.Context(), sh); sent.OK() {
		t.Errorf("mapped: got %+v", sent)
	}
	if hits.Load() != 0 || conns.Load() != 0 {
		t.Fatalf("the closed receiver saw %d connections and %d requests", conns.Load(), hits.Load())
	}
	// The same way is open to an operator who says so, which also shows that the refusal was the guard's.
	if sent := trusting(Options{AllowLoopback: true}, server, "127.0.0.1").Deliver(t.Context(), sh); !sent.OK() || hits.Load() != 1 {
		t.Errorf("got %+v, %d requests", sent, hits.Load())
	}
}

func TestClosedNameDoesNotTellTheAddress(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	sent := trusting(Options{}, server, "10.20.30.40").Deliver(t.Context(), shipment("https://vault.internal/"))
	if sent.Err == nil || !strings.Contains(sent.Err.Error(), "10.0.0.0/8") || strings.Contains(sent.Err.Error(), "10.20.30.40") {
		t.Errorf("got %v", sent.Err)
	}
}

func TestUnknownName(t *testing.T) {
	g := newGuard(nil, false)
	d := g.dialer()
	d.Resolver = fakeResolver()
	tr := g.transport()
	tr.DialContext = d.DialContext
	sent := New(Options{Transport: tr}).Deliver(t.Context(), shipment("https://nowhere.example/"))
	if sent.Err == nil || !strings.Contains(sent.Err.Error(), "cannot be resolved") {
		t.Errorf("got %v", sent.Err)
	}
}

func TestCertificateIsVerified(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hits.Add(int32(r.ProtoMajor)) }))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // its clients are meant to fail
	server.StartTLS()
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")

	sent := New(Options{AllowLoopback: true}).Deliver(t.Context(), shipment(server.URL))
	if sent.OK() || sent.Err == nil || hits.Load() != 0 {
		t.Errorf("an unknown authority: got %+v", sent)
	}
	s := trusting(Options{AllowLoopback: true}, server, "127.0.0.1")
	if sent := s.Deliver(t.Context(), shipment("https://other.test:"+port)); sent.OK() || hits.Load() != 0 {
		t.Errorf("another name: got %+v", sent)
	}
	if sent := s.Deliver(t.Context(), shipment("https://example.com:"+port)); !sent.OK() || hits.Load() != 2 {
		t.Errorf("the right name over HTTP/2: got %+v, %d", sent, hits.Load())
	}
	// A clock far ahead makes the certificate an expired one.
	late := trusting(Options{AllowLoopback: true}, server, "127.0.0.1")
	late.transport.(*http.Transport).TLSClientConfig.Time = func() time.Time { return time.Now().AddDate(200, 0, 0) }
	sent = late.Deliver(t.Context(), shipment("https://example.com:"+port))
	if sent.OK() || sent.Err == nil || hits.Load() != 2 {
		t.Errorf("an expired certificate: got %+v", sent)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](sent.Err); !ok || invalid.Reason != x509.Expired {
		t.Errorf("got %v, want the expiry as its cause", sent.Err)
	}
}

// TestEnvironmentProxyIsIgnored: with a proxy, a name would be resolved and connected where nobody checks.
func TestEnvironmentProxyIsIgnored(t *testing.T) {
	var hits atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	// net/http reads the environment once in a process, so that the look at the field counts too.
	if newGuard(nil, false).transport().Proxy != nil {
		t.Error("the transport has a proxy")
	}
	// To a dead port of an opened address: only a proxy could answer for it. Loopback would not do, since
	// the environment's proxy is never used for it.
	s := New(Options{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Timeout: short})
	if sent := s.Deliver(t.Context(), shipment("http://192.0.2.1:9/")); sent.OK() || hits.Load() != 0 {
		t.Errorf("got %+v, and the proxy saw %d requests", sent, hits.Load())
	}
}
