package webhook

import (
	"net/netip"
	"strings"
	"testing"
)

// urlCase is a URL and a part of the error that the sender has for it; empty for none.
type urlCase struct {
	sender *Sender
	url    string
	want   string
}

const ok = ""

// The servers: one that faces the internet, one on loopback, one inside a network.
var (
	public = New(Options{})
	local  = New(Options{AllowLoopback: true})
	inside = New(Options{AllowCIDRs: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("9.9.9.9/32"),
	}})
)

func checkURLs(t *testing.T, cases []urlCase) {
	t.Helper()
	for _, c := range cases {
		err := c.sender.CheckURL(c.url)
		switch {
		case c.want == ok && err != nil:
			t.Errorf("%q is refused: %v", c.url, err)
		case c.want != ok && err == nil:
			t.Errorf("%q is not refused", c.url)
		case c.want != ok && !strings.Contains(err.Error(), c.want):
			t.Errorf("%q: got %q, want it to say %q", c.url, err, c.want)
		}
	}
}

func TestCheckURLAccepts(t *testing.T) {
	checkURLs(t, []urlCase{
		{public, "https://cd.example.com/hooks/prova?env=prod&x=%20", ok},
		{public, "https://cd.example.com", ok},
		{public, "https://cd.example.com.:8443/", ok},
		{public, "HTTPS://CD.Example.com/", ok},
		{public, "https://my_host-1.svc.cluster.local/", ok},
		{public, "https://xn--bcher-kva.example/", ok},
		{public, "https://1password.com/", ok},
		{public, "https://1.2.3.4.example/", ok},
		{public, "https://0xcafe.example/", ok},
		{public, "https://8.8.8.8/", ok},
		{public, "https://[2606:4700:4700::1111]:8443/x", ok},
		{public, "https://cd.example.com/" + strings.Repeat("a", maxURL-23), ok},
	})
}

func TestCheckURLForm(t *testing.T) {
	checkURLs(t, []urlCase{
		{public, "https://cd.example.com/" + strings.Repeat("a", maxURL-22), "longer than 2048"},
		{public, "", "must begin with https"},
		{public, "cd.example.com/hook", "must begin with https"},
		{public, "//cd.example.com/hook", "must begin with https"},
		{public, "/hook", "must begin with https"},
		{public, "ftp://cd.example.com/", "must begin with https"},
		{public, "file:///etc/passwd", "must begin with https"},
		{public, "gopher://127.0.0.1:6379/", "must begin with https"},
		{public, "javascript:alert(1)", "must begin with https"},
		{public, "https:cd.example.com", "names no host"},
		{public, "https:///hook", "names no host"},
		{public, "https://:443/", "names no host"},
		{public, "https://user@cd.example.com/", "user or password"},
		{public, "https://user:pass@cd.example.com/", "user or password"},
		{public, "https://@cd.example.com/", "user or password"},
		{public, "https://cd.example.com@127.0.0.1/", "user or password"},
		{public, "https://cd.example.com/#x", "fragment"},
		{public, "https://cd.example.com/#", "fragment"},
		{public, "https://cd.example.com:/", "no port"},
		{public, "https://cd.example.com:0/", "between 1 and 65535"},
		{public, "https://cd.example.com:65536/", "between 1 and 65535"},
		{public, "https://cd.example.com:99999999999999999999/", "between 1 and 65535"},
		{public, "https://cd.example.com:http/", "cannot be read"},
		{public, "https://cd.example.com:-1/", "cannot be read"},
		{public, "https://cd.exa mple.com/", "cannot be read"},
		{public, "https://cd.example.com/\r\nX-Evil: 1", "cannot be read"},
		{public, "https://cd.example.com/\x00", "cannot be read"},
		{public, " https://cd.example.com/", "cannot be read"},
		{public, "https://[::1/", "cannot be read"},
		{public, "https://%31%32%37.0.0.1/", "cannot be read"},
		{public, `https://cd.example.com\@127.0.0.1/`, "cannot be read"},
		{public, "https://bücher.example/", "DNS name in ASCII"},
		{public, "https://%62%c3%bc.example/", "cannot be read"},
		{public, "https://a..b/", "DNS name in ASCII"},
		{public, "https://./", "DNS name in ASCII"},
		{public, "https://*.example.com/", "DNS name in ASCII"},
		{public, "https://" + strings.Repeat("a", 64) + ".example/", "DNS name in ASCII"},
		{public, "https://" + strings.Repeat("a.", 130) + "example/", "longer than 253"},
	})
}

func TestCheckURLDisguises(t *testing.T) {
	checkURLs(t, []urlCase{
		{public, "https://127.1/", "unusual spelling"},
		{public, "https://0x7f.1/", "unusual spelling"},
		{public, "https://2130706433/", "unusual spelling"},
		{public, "https://017700000001/", "unusual spelling"},
		{public, "https://0177.0.0.1/", "unusual spelling"},
		{public, "https://127.0.0.01/", "unusual spelling"},
		{public, "https://0x7F000001/", "unusual spelling"},
		{public, "https://127.0.0.0x1/", "unusual spelling"},
		{public, "https://127.0.0.0X1/", "unusual spelling"},
		{public, "https://1.0x/", "unusual spelling"},
		{public, "https://0/", "unusual spelling"},
		{public, "https://127.0.0.1./", "unusual spelling"},
		{public, "https://256.256.256.256/", "unusual spelling"},
		{public, "https://１２７.0.0.1/", "DNS name in ASCII"},
		{public, "https://127。0。0。1/", "DNS name in ASCII"},
		{public, "https://①②⑦.⓪.⓪.①/", "DNS name in ASCII"},
		{local, "http://127.1/", "unusual spelling"},
		{local, "http://2130706433:8080/", "unusual spelling"},
	})
}

func TestCheckURLClosed(t *testing.T) {
	checkURLs(t, []urlCase{
		{public, "https://127.0.0.1/", "--webhook-allow-cidr 127.0.0.1/32"},
		{public, "https://10.1.2.3/", "--webhook-allow-cidr 10.1.2.3/32"},
		{public, "https://169.254.169.254/latest/meta-data/", "metadata"},
		{public, "https://[::1]:8443/", "--webhook-allow-cidr ::1/128"},
		{public, "https://[::]/", "unspecified"},
		{public, "https://[::ffff:10.1.2.3]/", "--webhook-allow-cidr 10.1.2.3/32"},
		{public, "https://[::ffff:7f00:1]/", "--webhook-allow-cidr 127.0.0.1/32"},
		{public, "https://[64:ff9b::7f00:1]/", "NAT64"},
		{public, "https://[2002:7f00:1::]/", "6to4"},
		{public, "https://[fd00:ec2::254]/", "unique local"},
		{public, "https://[fe80::1%25eth0]/", "zone"},
		{inside, "https://[fd00::1%25eth0]/", "zone"},
		{public, "https://localhost/", "--webhook-allow-cidr 127.0.0.0/8"},
		{public, "https://LOCALHOST./", "--webhook-allow-cidr 127.0.0.0/8"},
		{public, "https://x.localhost/", "--webhook-allow-cidr 127.0.0.0/8"},
		{public, "http://localhost/", "--webhook-allow-cidr 127.0.0.0/8"},
		{inside, "https://192.168.0.1/", "private"},
	})
}

func TestCheckURLPlainHTTP(t *testing.T) {
	checkURLs(t, []urlCase{
		{public, "http://cd.example.com/", "plain http"},
		{public, "http://8.8.8.8/", "--webhook-allow-cidr 8.8.8.8/32"},
		{inside, "http://9.9.9.9/", ok},
		{inside, "http://10.1.2.3:8080/", ok},
		{inside, "http://[::ffff:10.1.2.3]:8080/", ok},
		{inside, "http://[fd00::7]/", ok},
		{inside, "http://cd.internal/", "plain http"},
		{inside, "https://cd.internal/", ok},
		{inside, "http://127.0.0.1/", "loopback"},
		{local, "http://127.0.0.1:9000/", ok},
		{local, "http://127.8.8.8:9000/", ok},
		{local, "http://[::1]:9000/", ok},
		{local, "http://localhost:9000/hook", ok},
		{local, "http://LocalHost.:9000/hook", ok},
		{local, "https://localhost:9000/hook", ok},
		{local, "https://x.localhost:9000/hook", ok},
		{local, "http://x.localhost:9000/hook", "plain http"},
		{local, "http://localhost.example.com/", "plain http"},
		{local, "http://cd.example.com/", "plain http"},
		{local, "http://10.0.0.1/", "private"},
		{local, "http://0.0.0.0:9000/", "unspecified"},
	})
}

func TestCheckURLDoesNotRepeatSecrets(t *testing.T) {
	for _, u := range []string{
		"https://u:s3cret@cd.example.com/", "https://cd.example.com:s3cret/", "https://cd.example.com/?t=s3cret#x",
		"https://s3cret%zz/", "s3cret://x", "https://10.0.0.1/?t=s3cret", "https://x:s3cret @h/",
	} {
		if err := New(Options{}).CheckURL(u); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: got %v", u, err)
		}
	}
}

// FuzzCheckURL: what is accepted is an https URL to a name or to a public address.
func FuzzCheckURL(f *testing.F) {
	for _, u := range []string{"https://cd.example.com/", "https://127.0.0.1/", "https://0x7f.1/", "https://[::1]/", "http://x/"} {
		f.Add(u)
	}
	s := New(Options{})
	f.Fuzz(func(t *testing.T, raw string) {
		if s.CheckURL(raw) != nil {
			return
		}
		if len(raw) > maxURL || !strings.HasPrefix(strings.ToLower(raw), "https://") || strings.ContainsAny(raw, "\r\n\x00#") {
			t.Errorf("%q is accepted", raw)
		}
	})
}
