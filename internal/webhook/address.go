package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// closedRange is a range that webhooks do not reach unless it is opened.
type closedRange struct {
	prefix netip.Prefix
	what   string
}

// closedRanges holds what the special-purpose registries of IANA do not call
// globally reachable, and the ranges that carry an IPv4 address inside an
// IPv6 one, because a translator on the way would turn those into anything.
// The predicates of net/netip miss about half of it. Narrower ranges go first,
// so that an error names the closest one.
func closedRanges() []closedRange {
	return []closedRange{
		closed("0.0.0.0/32", "the unspecified address"),
		closed("0.0.0.0/8", "this network"),
		closed("10.0.0.0/8", "private"),
		closed("100.64.0.0/10", "carrier-grade NAT"),
		closed("127.0.0.0/8", "loopback"),
		closed("169.254.0.0/16", "link-local, where clouds serve metadata"),
		closed("172.16.0.0/12", "private"),
		closed("192.0.0.0/24", "IETF protocols"),
		closed("192.0.2.0/24", "documentation"),
		closed("192.88.99.0/24", "6to4 relays"),
		closed("192.168.0.0/16", "private"),
		closed("198.18.0.0/15", "benchmarking"),
		closed("198.51.100.0/24", "documentation"),
		closed("203.0.113.0/24", "documentation"),
		closed("224.0.0.0/4", "multicast"),
		closed("255.255.255.255/32", "broadcast"),
		closed("240.0.0.0/4", "reserved"),

		closed("::/128", "the unspecified address"),
		closed("::1/128", "loopback"),
		closed("::/96", "IPv4-compatible"),
		closed("::ffff:0:0:0/96", "IPv4-translated"),
		closed("64:ff9b::/96", "NAT64"),
		closed("64:ff9b:1::/48", "local NAT64"),
		closed("100::/64", "discard"),
		closed("2001::/32", "Teredo"),
		closed("2001:db8::/32", "documentation"),
		closed("2001::/23", "IETF protocols"),
		closed("2002::/16", "6to4"),
		closed("3fff::/20", "documentation"),
		closed("5f00::/16", "segment routing"),
		closed("fc00::/7", "unique local"),
		closed("fe80::/10", "link-local"),
		closed("fec0::/10", "site-local"),
		closed("ff00::/8", "multicast"),
		// Last: all of IPv6 that is not handed out for global unicast.
		closed("::/3", "not global unicast"),
		closed("4000::/2", "not global unicast"),
		closed("8000::/1", "not global unicast"),
	}
}

func closed(prefix, what string) closedRange {
	return closedRange{netip.MustParsePrefix(prefix), what}
}

// closedError says that a host is, or resolved to, a closed address. For a
// name it holds the range and not the address: the error is shown to whoever
// registered the URL, who must not learn an internal zone from it name by name.
type closedError struct {
	closedRange
	open string // what an operator passes to open it
}

// Error tells the user what is closed and the operator how to open it.
func (e *closedError) Error() string {
	return fmt.Sprintf("addresses in %s (%s) are closed to webhooks; the operator of the server opens them with --webhook-allow-cidr %s",
		e.prefix, e.what, e.open)
}

// guard decides which addresses may be connected to.
type guard struct{ allow []netip.Prefix }

func newGuard(allow []netip.Prefix, loopback bool) guard {
	var g guard
	for _, p := range allow {
		g.allow = append(g.allow, unmapPrefix(p))
	}
	if loopback {
		g.allow = append(g.allow, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return g
}

// unmapPrefix writes ::ffff:10.0.0.0/104 as 10.0.0.0/8: addresses are compared
// without the mapping, so that a mapped prefix would otherwise open nothing.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// opened reports whether the operator named a range with this address.
func (g guard) opened(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// check returns a *closedError for an address that is closed and not opened.
func (g guard) check(addr netip.Addr) error {
	// A prefix contains no address with a zone, and no IPv4 prefix contains a mapped one.
	addr = addr.WithZone("").Unmap()
	if g.opened(addr) {
		return nil
	}
	for _, r := range closedRanges() {
		if r.prefix.Contains(addr) {
			return &closedError{closedRange: r, open: r.prefix.String()}
		}
	}
	return nil
}

// dialer checks each address after it was resolved and before it is connected
// to. A check of the name alone could be answered differently by the time of
// the connection (DNS rebinding).
func (g guard) dialer() *net.Dialer {
	return &net.Dialer{
		KeepAlive: -1, // none: a connection lives for one attempt
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return errors.New("the receiver resolved to something that is no IP address")
			}
			return g.check(to.Addr())
		},
	}
}
