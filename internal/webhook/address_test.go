package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// closedAddresses are the ends of each closed range and what lies inside it.
var closedAddresses = []string{
	"0.0.0.0", "0.0.0.1", "0.255.255.255",
	"10.0.0.0", "10.255.255.255",
	"100.64.0.0", "100.127.255.255",
	"127.0.0.1", "127.255.255.255",
	"169.254.0.0", "169.254.169.254", "169.254.255.255",
	"172.16.0.0", "172.31.255.255",
	"192.0.0.0", "192.0.0.170", "192.0.0.255",
	"192.0.2.0", "192.0.2.255", "192.88.99.1",
	"192.168.0.0", "192.168.255.255",
	"198.18.0.0", "198.19.255.255",
	"198.51.100.0", "198.51.100.255",
	"203.0.113.0", "203.0.113.255",
	"224.0.0.0", "239.255.255.255",
	"240.0.0.0", "255.255.255.254", "255.255.255.255",
	"::", "::1", "::2", "::127.0.0.1", "::8.8.8.8",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
	"::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b::ffff:ffff",
	"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
	"100::1", "1fff::1",
	"2001::", "2001:0:ffff:ffff::1", "2001:2::1", "2001:1ff:ffff::1",
	"2001:db8::1", "2001:db8:ffff::1",
	"2002::", "2002:7f00:1::1", "2002:ffff:ffff::1",
	"3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "8000::1",
	"fc00::1", "fd00:ec2::254", "fdff:ffff::1",
	"fe80::1", "febf::1", "fec0::1", "feff::1",
	"ff00::1", "ff02::1", "ff0e::1", "ffff::1",
}

// publicAddresses lie right beside the closed ranges, or are in use.
var publicAddresses = []string{
	"1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
	"126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	"191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
	"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
	"::ffff:8.8.8.8", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::1",
	"2003::1", "2606:4700:4700::1111", "2a00::1", "3ffe::1", "3fff:1000::1",
}

func TestGuard(t *testing.T) {
	g := newGuard(nil, false)
	for _, a := range closedAddresses {
		if err := g.check(netip.MustParseAddr(a)); err == nil {
			t.Errorf("%s is not refused", a)
		}
	}
	for _, a := range publicAddresses {
		if err := g.check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s is refused: %v", a, err)
		}
	}
	if err := g.check(netip.MustParseAddr("fe80::1%eth0")); err == nil {
		t.Error("a zone hides a closed address")
	}
}

// TestGuardAgainstNetip compares with the predicates of the standard library,
// which know less but were written by others.
func TestGuardAgainstNetip(t *testing.T) {
	g := newGuard(nil, false)
	r := rand.New(rand.NewPCG(1, 2))
	firsts := []byte{0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 239, 240, 255, 0x20, 0xfc, 0xfd, 0xfe, 0xff}
	for range 200_000 {
		var b [16]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		b[0] = firsts[r.IntN(len(firsts))]
		for _, a := range []netip.Addr{netip.AddrFrom16(b), netip.AddrFrom4([4]byte(b[:4]))} {
			known := a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || !a.IsGlobalUnicast()
			if known && g.check(a) == nil {
				t.Fatalf("%s is not refused", a)
			}
		}
	}
}

func TestGuardOpened(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		name         string
		allow        []netip.Prefix
		loopback     bool
		open, closed []string
	}{
		{"loopback", nil, true, []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}, []string{"0.0.0.0", "::", "10.0.0.1", "::2", "64:ff9b::7f00:1"}},
		{"range", []netip.Prefix{prefix("10.1.0.0/16")}, false, []string{"10.1.2.3", "::ffff:10.1.2.3"}, []string{"10.2.0.0", "127.0.0.1", "2002:a01:203::", "::10.1.2.3"}},
		{"mapped range", []netip.Prefix{prefix("::ffff:10.0.0.0/104")}, false, []string{"10.1.2.3"}, []string{"127.0.0.1"}},
		{"address", []netip.Prefix{prefix("fd00::5/128")}, false, []string{"fd00::5", "fd00::5%eth0"}, []string{"fd00::6"}},
		{"all of IPv4", []netip.Prefix{prefix("0.0.0.0/0")}, false, []string{"0.0.0.0", "127.0.0.1", "255.255.255.255"}, []string{"::1", "fd00::1"}},
		{"all of IPv6", []netip.Prefix{prefix("::/0")}, false, []string{"::1", "fd00::1", "64:ff9b::7f00:1"}, []string{"10.0.0.1", "::ffff:10.0.0.1"}},
	} {
		g := newGuard(c.allow, c.loopback)
		for _, a := range c.open {
			if err := g.check(netip.MustParseAddr(a)); err != nil {
				t.Errorf("%s: %s is refused: %v", c.name, a, err)
			}
		}
		for _, a := range c.closed {
			if g.check(netip.MustParseAddr(a)) == nil {
				t.Errorf("%s: %s is not refused", c.name, a)
			}
		}
	}
}

// TestDialRefusesClosed takes each address through the real dialer, as a
// literal and as what a name resolves to.
func TestDialRefusesClosed(t *testing.T) {
	for _, a := range closedAddresses {
		t.Run(a, func(t *testing.T) {
			t.Parallel()
			addr := netip.MustParseAddr(a)
			literal := newGuard(nil, false).dialer()
			named := newGuard(nil, false).dialer()
			named.Resolver = fakeResolver(addr)
			refuse(t, literal, net.JoinHostPort(a, "9"))
			refuse(t, named, "receiver.example:9")
		})
	}
}

func refuse(t *testing.T, d *net.Dialer, to string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", to)
	if err == nil {
		conn.Close()
		t.Fatalf("connected to %s", to)
	}
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("no IPv6 on this machine: %v", err)
	}
	if _, ok := errors.AsType[*closedError](err); !ok {
		t.Errorf("%s failed for another reason than the guard: %v", to, err)
	}
}

// TestDialOddSpellings: whatever the resolver makes of them, none gets through.
func TestDialOddSpellings(t *testing.T) {
	for _, host := range []string{"127.1", "0", "0x7f000001", "2130706433", "017700000001", "0x7f.1", "::ffff:7f00:1", "１２７.0.0.1", "localhost"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		conn, err := newGuard(nil, false).dialer().DialContext(ctx, "tcp", net.JoinHostPort(host, "9"))
		cancel()
		if err == nil {
			conn.Close()
			t.Errorf("connected to %s", host)
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s was tried: %v", host, err)
		}
	}
}

func TestClosedErrorSaysHowToOpen(t *testing.T) {
	err := newGuard(nil, false).check(netip.MustParseAddr("10.20.30.40"))
	if err == nil || !strings.Contains(err.Error(), "--webhook-allow-cidr 10.0.0.0/8") || strings.Contains(err.Error(), "10.20.30.40") {
		t.Errorf("got %v", err)
	}
}
