package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "172.15.255.255": true, "172.32.0.1": true,
		"100.63.255.255": true, "100.128.0.1": true, "2606:4700::1111": true, "2a00:1450::1": true,

		"127.0.0.1": false, "127.255.255.254": false, "::1": false, // loopback
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "fd00::1": false, // private
		"169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, // link-local, metadata
		"168.63.129.16": false, "100.100.100.200": false, "192.0.0.192": false, // more metadata
		"224.0.0.1": false, "239.1.1.1": false, "ff02::1": false, // multicast
		"0.0.0.0": false, "0.1.2.3": false, "::": false, // unspecified
		"100.64.0.1": false, "100.127.255.255": false, // CGNAT
		"255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false,
		"192.0.2.1": false, "198.51.100.7": false, "203.0.113.9": false,
		"::ffff:8.8.8.8": false, "::ffff:127.0.0.1": false, // mapped
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:7f00::1": false, // IPv4 inside
		"2001:db8::1": false, "fec0::1": false, "100::1": false, "fe80::1%eth0": false,
	} {
		if got := Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Public(%s) = %v, want %v", addr, got, want)
		}
	}
}

func TestGuard(t *testing.T) {
	for _, tc := range []struct {
		network, address string
		loopback, want   bool
	}{
		{"tcp4", "8.8.8.8:443", false, true},
		{"tcp4", "127.0.0.1:443", false, false},
		{"tcp4", "127.0.0.1:443", true, true},
		{"tcp6", "[::1]:443", true, true},
		{"tcp6", "[::ffff:127.0.0.1]:443", false, false},
		{"tcp6", "[::ffff:10.0.0.1]:443", true, false},
		{"tcp6", "[fe80::1%lo]:443", true, false},
		{"tcp4", "192.168.0.1:443", true, false},
		{"tcp4", "169.254.169.254:80", true, false},
		{"udp4", "8.8.8.8:443", true, false},
		{"tcp4", "nonsense", true, false},
	} {
		err := guard(tc.network, tc.address, tc.loopback)
		if (err == nil) != tc.want {
			t.Errorf("guard(%s, %s, %v) = %v", tc.network, tc.address, tc.loopback, err)
		}
		if err != nil && !errors.Is(err, ErrAddress) {
			t.Errorf("guard(%s, %s) = %v, not an ErrAddress", tc.network, tc.address, err)
		}
	}
}

// call sends one GET and returns its error, or the status.
func call(t *testing.T, c *http.Client, address string) (int, error) {
	t.Helper()
	t.Cleanup(c.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

func TestLoopbackOnlyWhenAllowed(t *testing.T) {
	var agent string
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { agent = r.UserAgent() }))
	defer plain.Close()
	if status, err := call(t, NewClient(Config{AllowLoopback: true}), plain.URL); err != nil || status != 200 {
		t.Errorf("allowed: %d, %v", status, err)
	}
	if agent != "crossdock" {
		t.Errorf("user agent %q", agent)
	}
	if _, err := call(t, NewClient(Config{}), plain.URL); !errors.Is(err, ErrPlainText) {
		t.Errorf("plain text in production: %v", err)
	}
	if _, err := call(t, NewClient(Config{AllowLoopback: true}), "http://example.com/"); !errors.Is(err, ErrPlainText) {
		t.Errorf("plain text to another machine: %v", err)
	}
	if _, err := call(t, NewClient(Config{}), strings.Replace(plain.URL, "http:", "https:", 1)); !errors.Is(err, ErrAddress) {
		t.Errorf("loopback in production: %v", err)
	}
}

func TestTLS(t *testing.T) {
	pool := func(s *httptest.Server) *x509.CertPool {
		p := x509.NewCertPool()
		p.AddCert(s.Certificate())
		return p
	}
	start := func(max uint16) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: max}
		s.Config.ErrorLog = nil
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	good, old := start(tls.VersionTLS13), start(tls.VersionTLS11)
	if status, err := call(t, NewClient(Config{AllowLoopback: true, Roots: pool(good)}), good.URL); err != nil || status != 200 {
		t.Errorf("TLS 1.3: %d, %v", status, err)
	}
	if _, err := call(t, NewClient(Config{AllowLoopback: true, Roots: pool(old)}), old.URL); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := call(t, NewClient(Config{AllowLoopback: true}), good.URL); err == nil {
		t.Error("an unknown authority was accepted")
	}
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was called") }))
	defer other.Close()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, r, s.URL+"/round", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		}
	}))
	defer s.Close()
	c := NewClient(Config{AllowLoopback: true})
	if status, err := call(t, c, s.URL+"/here"); err != nil || status != 200 {
		t.Errorf("same host: %d, %v", status, err)
	}
	for _, path := range []string{"/away", "/round"} {
		if _, err := call(t, c, s.URL+path); !errors.Is(err, ErrRedirect) {
			t.Errorf("%s: %v", path, err)
		}
	}
	from, _ := url.Parse("https://shop.example/a")
	to, _ := url.Parse("http://shop.example/b")
	if err := checkRedirect(&http.Request{URL: to}, []*http.Request{{URL: from}}); !errors.Is(err, ErrRedirect) {
		t.Errorf("downgrade: %v", err)
	}
}

// nameServer answers A questions with the next of the addresses, the last one for ever.
func nameServer(t *testing.T, addrs ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Header.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addrs[0]).As4()},
				}}
				if len(addrs) > 1 {
					addrs = addrs[1:]
				}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

// A name that is public when it is looked at and private when it is connected to.
func TestRebinding(t *testing.T) {
	resolver := nameServer(t, "93.184.216.34", "127.0.0.1")
	ips, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.")
	if err != nil || len(ips) != 1 || !Public(ips[0].Unmap()) {
		t.Fatalf("first look: %v, %v", ips, err)
	}
	_, err = call(t, NewClient(Config{resolver: resolver, Timeout: 10 * time.Second}), "https://rebind.example./")
	if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("second look: %v", err)
	}
	for _, addr := range []string{"169.254.169.254", "10.1.2.3", "100.64.9.9"} {
		_, err = call(t, NewClient(Config{resolver: nameServer(t, addr), AllowLoopback: true}), "https://inside.example./")
		if !errors.Is(err, ErrAddress) {
			t.Errorf("name of %s: %v", addr, err)
		}
	}
}

func TestTimeout(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	_, err := call(t, NewClient(Config{AllowLoopback: true, HeaderTimeout: 20 * time.Millisecond}), s.URL)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("silent server: %v", err)
	}
}
