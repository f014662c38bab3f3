package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL is the longest URL that is accepted, in bytes.
const maxURL = 2048

// CheckURL refuses a URL that must not be delivered to. It looks at the text
// alone: a name is resolved, and its addresses are checked, at each delivery.
// Plain http is for literal addresses and localhost in ranges that the
// operator opened. The error never repeats the URL, which may hold a token.
func (s *Sender) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("the URL is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the URL cannot be read; give an absolute one such as https://cd.example.com/hooks/prova")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the URL must begin with https://")
	case u.Hostname() == "":
		return errors.New("the URL names no host")
	case u.User != nil:
		return errors.New("the URL must not hold a user or password; receivers authenticate deliveries by their signature")
	case strings.Contains(raw, "#"):
		return errors.New("the URL must not hold a fragment (#…); it would never be sent")
	}
	if err := checkPort(u); err != nil {
		return err
	}
	return s.checkHost(u)
}

func checkPort(u *url.URL) error {
	if u.Port() == "" {
		if strings.HasSuffix(u.Host, ":") {
			return errors.New("the URL has a colon behind the host but no port")
		}
		return nil
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		return errors.New("the port of the URL must be between 1 and 65535")
	}
	return nil
}

// checkHost decides on a literal address at once, and on a name by its form.
func (s *Sender) checkHost(u *url.URL) error {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return s.checkLiteral(addr, u.Scheme)
	}
	if err := checkName(host); err != nil {
		return err
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	local := name == "localhost" || strings.HasSuffix(name, ".localhost")
	if local {
		if err := s.guard.check(loopback); err != nil {
			return err
		}
	}
	if u.Scheme == "http" && name != "localhost" {
		return errors.New("plain http is only for literal addresses that the operator of the server opened with --webhook-allow-cidr; use https")
	}
	return nil
}

func (s *Sender) checkLiteral(addr netip.Addr, scheme string) error {
	if addr.Zone() != "" {
		return errors.New("the address in the URL must not hold a zone (%…)")
	}
	plain := addr.Unmap()
	itself := netip.PrefixFrom(plain, plain.BitLen()).String()
	if err, ok := errors.AsType[*closedError](s.guard.check(addr)); ok {
		return &closedError{closedRange: err.closedRange, open: itself}
	}
	if scheme == "http" && !s.guard.opened(addr) {
		return fmt.Errorf("plain http would send decisions unprotected; use https, or the operator of the server opens the address with --webhook-allow-cidr %s", itself)
	}
	return nil
}

// checkName refuses what is not plainly a DNS name. Some resolvers read
// 127.1, 0x7f.1, 2130706433 or full-width digits as IPv4 addresses; the check
// at the dial would stop these too, but only after they were stored.
func checkName(host string) error {
	name := strings.TrimSuffix(host, ".")
	if len(name) > 253 {
		return errors.New("the host of the URL is longer than 253 bytes")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if len(label) == 0 || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return errors.New("the host of the URL must be a DNS name in ASCII (an international name in its xn-- form) or an IP address")
		}
	}
	// A name whose last label is a number is an IPv4 address in an old spelling
	// to whoever accepts it, and no top-level domain looks like that.
	last := strings.ToLower(labels[len(labels)-1])
	digits := strings.Trim(last, "0123456789") == ""
	if digits || (strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "") {
		return errors.New("the host of the URL looks like an IP address in an unusual spelling; write it as four decimal numbers such as 192.0.2.1, or as IPv6 in brackets")
	}
	return nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
