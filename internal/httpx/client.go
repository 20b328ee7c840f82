// Package httpx is the HTTP of connectors and sinks: the one way out of the process.
//
// In: a Config. Out: an *http.Client that reaches public addresses only (checked after
// name resolution, at the moment of the connection), speaks TLS ≥ 1.2, follows no redirect
// to another host, and gives up in bounded time; and readers and printers for what comes
// back that bound its size and keep secrets out of logs. It keeps idle connections and
// nothing else; a crash loses nothing.
package httpx

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Config describes a client. The zero value is the one for production.
type Config struct {
	// AllowLoopback lets the client reach this machine, also without TLS: simulators in the
	// test environment. Everything else that is not public stays refused.
	AllowLoopback bool
	// UserAgent is sent where a request names none; default "crossdock".
	UserAgent string
	// Roots are the certificate authorities to trust; nil = the system's.
	Roots *x509.CertPool
	// DialTimeout, TLSTimeout and HeaderTimeout bound the phases of one call (defaults 5 s,
	// 5 s, 30 s), Timeout the whole of it with its body (default 60 s).
	DialTimeout, TLSTimeout, HeaderTimeout, Timeout time.Duration
	// IdlePerHost bounds the idle connections kept to one host (default 8), IdleTimeout
	// their age (default 90 s), PerHost all connections to one host (default 64).
	IdlePerHost, PerHost int
	IdleTimeout          time.Duration

	resolver *net.Resolver // tests: a name server that changes its mind
}

// maxRedirects bounds redirects within one host.
const maxRedirects = 3

// Errors of the guard. They are permanent: the same call would be refused again.
var (
	// ErrAddress: the name leads to an address that is not public.
	ErrAddress = errors.New("address is not public")
	// ErrPlainText: the call would leave this machine without TLS.
	ErrPlainText = errors.New("not https")
	// ErrRedirect: the answer sends us to another host, or round in circles.
	ErrRedirect = errors.New("redirect refused")
)

// NewClient makes a client. Environment variables such as HTTPS_PROXY have no effect: a
// proxy would resolve names where the guard cannot see it.
func NewClient(cfg Config) *http.Client {
	dialer := &net.Dialer{
		Timeout:   cmp.Or(cfg.DialTimeout, 5*time.Second),
		KeepAlive: 30 * time.Second,
		Resolver:  cfg.resolver,
		// Control is called with the address that is about to be connected to, after name
		// resolution: a name that answers differently the second time changes nothing.
		Control: func(network, address string, _ syscall.RawConn) error {
			return guard(network, address, cfg.AllowLoopback)
		},
	}
	perHost := cmp.Or(cfg.IdlePerHost, 8)
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots},
		TLSHandshakeTimeout:    cmp.Or(cfg.TLSTimeout, 5*time.Second),
		ResponseHeaderTimeout:  cmp.Or(cfg.HeaderTimeout, 30*time.Second),
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           8 * perHost,
		MaxIdleConnsPerHost:    perHost,
		MaxConnsPerHost:        cmp.Or(cfg.PerHost, 64),
		IdleConnTimeout:        cmp.Or(cfg.IdleTimeout, 90*time.Second),
		ForceAttemptHTTP2:      true,
	}
	return &http.Client{
		Transport:     &roundTripper{next: transport, loopback: cfg.AllowLoopback, agent: cmp.Or(cfg.UserAgent, "crossdock")},
		CheckRedirect: checkRedirect,
		Timeout:       cmp.Or(cfg.Timeout, 60*time.Second),
	}
}

// roundTripper sets the user agent and refuses plain text.
type roundTripper struct {
	next     *http.Transport
	loopback bool
	agent    string
}

func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (!t.loopback || !isLoopbackName(r.URL.Hostname())) {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("calling %s: %w: write the address with https://", Redact(r.URL.String()), ErrPlainText)
	}
	if r.Header.Get("User-Agent") == "" {
		// A RoundTripper must not change its request.
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", t.agent)
	}
	return t.next.RoundTrip(r)
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (t *roundTripper) CloseIdleConnections() { t.next.CloseIdleConnections() }

func isLoopbackName(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// checkRedirect keeps a call on its host: net/http would carry a body, and headers of our
// own such as an access token, to wherever the answer points.
func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d in a row", ErrRedirect, maxRedirects)
	case !strings.EqualFold(r.URL.Host, first.Host):
		return fmt.Errorf("%w: from host %q to another host %q", ErrRedirect, first.Host, r.URL.Host)
	case first.Scheme == "https" && r.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to %s", ErrRedirect, r.URL.Scheme)
	}
	return nil
}

// guard decides about one resolved address.
func guard(network, address string, loopback bool) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("connecting to %s over %s: %w", address, network, ErrAddress)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connecting to %q: %w", address, ErrAddress)
	}
	ip := at.Addr().WithZone("").Unmap()
	if Public(ip) || loopback && ip.IsLoopback() {
		return nil
	}
	advice := ""
	if ip.IsLoopback() {
		advice = " (only the test environment reaches this machine)"
	}
	return fmt.Errorf("connecting to %s: %w%s", address, ErrAddress, advice)
}

// nowhere lists what the registries of special-purpose addresses (RFC 6890 and successors,
// www.iana.org/assignments/iana-ipv4-special-registry, …ipv6…) keep from the public
// internet and netip has no word for, and the metadata services that sit on public addresses.
var nowhere = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's host: learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
	// 2000::/3 without documentation, and without what carries an IPv4 address inside it.
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// Public reports whether an address belongs to the public internet. An IPv4 address inside
// an IPv6 one (mapped, NAT64, 6to4, Teredo) is not: nobody needs it, and it hides the real one.
func Public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Is4In6() || ip.Zone() != "" {
		return false
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !globalUnicast6.Contains(ip) {
		return false
	}
	for _, p := range nowhere {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}
