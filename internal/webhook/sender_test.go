package webhook

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

const (
	secretA = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	secretB = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
	body    = `{"event":"rollout.promote","data":{"rollout_id":"r1","app_id":"claims-agent","environment":"production","candidate_release":"v37","baseline_release":"v36","weight":25,"terminal":false,"decision_event_id":"e1","sequence":3,"reason":"no gate is worse"}}`
)

func shipment(url string) authority.Shipment {
	return authority.Shipment{URL: url, ID: "msg_1", Body: []byte(body), Secrets: []string{secretA}, At: time.Now()}
}

// got is a request as a receiver saw it.
type got struct {
	header http.Header
	method string
	body   []byte
}

// record starts a receiver on loopback that keeps the requests and answers 200.
func record(t *testing.T) (*httptest.Server, <-chan got) {
	requests := make(chan got, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- got{r.Header, r.Method, b}
	}))
	t.Cleanup(server.Close)
	return server, requests
}

func TestDeliverSigns(t *testing.T) {
	server, requests := record(t)
	sh := shipment(server.URL + "/hook?x=1")
	sh.Secrets = []string{secretA, secretB} // a rotation
	sh.Checkpoint = "log\n1\nroot\n\n— log sig\n"
	sent := New(Options{AllowLoopback: true}).Deliver(t.Context(), sh)
	if !sent.OK() || sent.StatusCode != 200 || sent.Duration <= 0 {
		t.Fatalf("got %+v", sent)
	}
	r := <-requests
	if r.method != "POST" || string(r.body) != body {
		t.Errorf("got %s %s", r.method, r.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "prova-webhook", api.WebhookIDHeader: "msg_1", "Accept-Encoding": "",
		api.CheckpointHeader: "bG9nCjEKcm9vdAoK4oCUIGxvZyBzaWcK",
	} {
		if r.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, r.header.Get(name), want)
		}
	}
	for _, secret := range sh.Secrets {
		if err := api.VerifySignature(r.header.Get(api.SignatureHeader), r.body, time.Now(), time.Minute, secret); err != nil {
			t.Errorf("our verifier: %v", err)
		}
		oracle, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := oracle.Verify(r.body, r.header); err != nil {
			t.Errorf("the Standard Webhooks library: %v", err)
		}
		if err := oracle.Verify(append(r.body, ' '), r.header); err == nil {
			t.Error("the Standard Webhooks library takes an altered body")
		}
	}
}

// TestSignatureInOpenSSL checks the header with what a shell script has at hand.
func TestSignatureInOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	server, requests := record(t)
	if sent := New(Options{AllowLoopback: true}).Deliver(t.Context(), shipment(server.URL)); !sent.OK() {
		t.Fatalf("got %+v", sent)
	}
	r := <-requests
	stamp, sum, ok := strings.Cut(strings.TrimPrefix(r.header.Get(api.SignatureHeader), "t="), ",v1=")
	if !ok || len(sum) != hex.EncodedLen(32) {
		t.Fatalf("malformed: %s", r.header.Get(api.SignatureHeader))
	}
	cmd := exec.CommandContext(t.Context(), openssl, "dgst", "-sha256", "-hmac", secretA, "-r")
	cmd.Stdin = strings.NewReader(stamp + "." + string(r.body))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want, _, _ := strings.Cut(string(out), " "); want != sum {
		t.Errorf("openssl says %s, the header %s", want, sum)
	}
}

func TestDeliverRefusesBeforeTheNetwork(t *testing.T) {
	s := New(Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was made")
		return nil, errors.New("unreachable")
	})})
	for _, change := range []func(*authority.Shipment){
		func(sh *authority.Shipment) { sh.URL = "http://cd.example.com/" },
		func(sh *authority.Shipment) { sh.URL = "https://127.0.0.1/" },
		func(sh *authority.Shipment) { sh.Secrets = nil },
		func(sh *authority.Shipment) { sh.Secrets = []string{"whsec_s3cret*"} },
	} {
		sh := shipment("https://cd.example.com/")
		change(&sh)
		if sent := s.Deliver(t.Context(), sh); sent.OK() || sent.Err == nil || strings.Contains(sent.Err.Error(), "s3cret") {
			t.Errorf("got %+v", sent)
		}
	}
}

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fake answers every request with the same status, body and Retry-After.
func fake(status int, body io.Reader, retry string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(body), Header: http.Header{"Retry-After": {retry}}}, nil
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
		for _, c := range []struct {
			status int
			value  string
			want   time.Duration
		}{
			{429, "7", 7 * time.Second},
			{503, " 120 ", 2 * time.Minute},
			{503, "0", 0},
			{503, "3601", time.Hour},
			{503, "99999999999", time.Hour},
			{503, "9223372036854775807", time.Hour},
			{503, "99999999999999999999999", time.Hour},
			{503, "-5", 0},
			{503, "1.5", 0},
			{503, "soon", 0},
			{503, "", 0},
			{429, date(90 * time.Second), 90 * time.Second},
			{429, date(-90 * time.Second), 0},
			{429, date(100 * 24 * time.Hour), time.Hour},
			{429, "Fri, 31 Dec 9999 23:59:59 GMT", time.Hour},
			{429, time.Now().Add(time.Minute).UTC().Format(time.RFC850), time.Minute},
			{429, time.Now().Add(time.Minute).UTC().Format(time.ANSIC), time.Minute},
			{200, "7", 0},
		} {
			s := New(Options{Transport: fake(c.status, strings.NewReader(""), c.value)})
			if sent := s.Deliver(t.Context(), shipment("https://cd.example.com/")); sent.RetryAfter != c.want || sent.StatusCode != c.status || sent.Err != nil {
				t.Errorf("%d with Retry-After %q: got %+v, want %s", c.status, c.value, sent, c.want)
			}
		}
	})
}

func TestAnswerIsPrintable(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{"ok\n", "ok"},
		{"two\r\nlines\tand a tab", "two  lines and a tab"},
		{"\x1b[31mred\x00\x07\u202e\u200b", "\ufffd[31mred\ufffd\ufffd\ufffd\ufffd"},
		{"caf\xe9 \xff\xfe", "caf\ufffd \ufffd\ufffd"},
		{strings.Repeat("x", 5000), strings.Repeat("x", 512)},
		{strings.Repeat("é", 5000), strings.Repeat("é", 256)},
		{"x" + strings.Repeat("é", 5000), "x" + strings.Repeat("é", 255)},
		{"\u3000" + strings.Repeat("é", 5000), strings.Repeat("é", 254)}, // the space shrinks, and the cut goes through an é
		{strings.Repeat("\xff", 5000), strings.Repeat("\ufffd", 170)},
	} {
		s := New(Options{Transport: fake(200, strings.NewReader(c.answer), "")})
		if sent := s.Deliver(t.Context(), shipment("https://cd.example.com/")); sent.Answer != c.want || !sent.OK() {
			t.Errorf("%.20q: got %q, want %q", c.answer, sent.Answer, c.want)
		}
	}
}

// drip gives one byte a second until the request is over.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		p[0] = '.'
		return 1, nil
	}
}

func TestTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/hang" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(drip{r.Context()})}, nil
		})})
		sent := s.Deliver(t.Context(), shipment("https://cd.example.com/hang"))
		if sent.OK() || sent.Duration != DefaultTimeout || !strings.Contains(sent.Err.Error(), "within 10s") || !errors.Is(sent.Err, context.DeadlineExceeded) {
			t.Errorf("hang: got %+v", sent)
		}
		sent = s.Deliver(t.Context(), shipment("https://cd.example.com/drip"))
		if !sent.OK() || sent.Duration != DefaultTimeout || len(sent.Answer) < 9 {
			t.Errorf("drip: got %+v", sent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		sent = s.Deliver(ctx, shipment("https://cd.example.com/hang"))
		if sent.OK() || sent.Duration != 3*time.Second || strings.Contains(sent.Err.Error(), "10s") {
			t.Errorf("the caller's end: got %+v", sent)
		}
	})
}

func TestOpenedRangeIsReached(t *testing.T) {
	server, requests := record(t)
	s := New(Options{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, UserAgent: "prova/1.2"})
	if sent := s.Deliver(t.Context(), shipment(server.URL)); !sent.OK() {
		t.Fatalf("got %+v", sent)
	}
	if r := <-requests; r.header.Get("User-Agent") != "prova/1.2" {
		t.Errorf("got %q", r.header.Get("User-Agent"))
	}
}
