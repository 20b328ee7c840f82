// Package connect walks a person through authorising one connection: it says what is needed,
// names the address to open, takes the answer, lets the connector exchange and save it, and
// shows what was granted against what is needed. It knows no platform.
//
// The answer comes to a listener on this machine, on one path, for one use. Which question it
// belongs to is proved by a random state, compared in constant time; where the platform's admin
// opens the app's address instead, by the platform's signature. Any other answer is turned away
// and the waiting goes on. It keeps nothing; what was given is saved by the connector. A crash
// costs another attempt.
package connect

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// Path is where the listener takes answers.
const Path = "/callback"

// Listen is the listener's address unless another is chosen: fixed, because a tunnel or a
// registered redirect has to lead to it.
const Listen = "127.0.0.1:7777"

const (
	maxBody         = 64 << 10
	maxLine         = 16 << 10
	exchangeTimeout = time.Minute
	checkTimeout    = 2 * time.Minute
	goodbye         = 5 * time.Second
)

// Session is one attempt.
type Session struct {
	Connector *connectors.Connector
	Account   string
	// In is the person, Out the screen.
	In  io.Reader
	Out io.Writer
	// Listen is a loopback host:port.
	Listen string
	// Callback is the https address that leads to the listener, e.g. a tunnel's; "" = none.
	Callback string
	// Timeout of the waiting.
	Timeout time.Duration
	// Opened, if not nil, is told the listener's address and the address to open, for tests.
	Opened func(listener, address string)
}

// ErrMissing: something that is needed was not granted; Run has shown what.
var ErrMissing = errors.New("something that is needed was not granted: see the advice above")

// Run walks through it. It returns nil when everything that is needed was granted.
func (s *Session) Run(ctx context.Context) error {
	z := s.Connector.Authorize
	if z == nil {
		return fmt.Errorf("connections of %s are not authorised this way: see connectors/%s/README.md", s.Connector.Name, s.Connector.Name)
	}
	g := z.Guide()
	s.say("Authorising %s.\n", g.Title)
	s.list("What is asked for", g.Needs)
	s.list("What you need", g.Steps)
	if g.Way != connectors.AuthorizeByHand {
		return s.byCallback(ctx, z, g)
	}
	if err := s.byHand(ctx); err != nil {
		return err
	}
	_, err := s.check(ctx)
	return err
}

func (s *Session) say(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

func (s *Session) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s.say("\n%s:\n", title)
	for _, l := range lines {
		s.say("  - %s\n", l)
	}
}

// byHand waits until the person says that it is done.
func (s *Session) byHand(ctx context.Context) error {
	s.say("\nPress Enter when it is done, and the connection is checked. ")
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	select {
	case _, ok := <-lines(ctx, s.In):
		if !ok && ctx.Err() == nil {
			return errors.New("nobody answers: run it in a terminal, or `crossdock check` once the keys are there")
		}
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return s.late(ctx)
	}
	return nil
}

// lines reads a person's lines. A read cannot be broken off: its goroutine ends with the line
// after the last one that somebody wanted, or with the process.
func lines(ctx context.Context, in io.Reader) <-chan string {
	ch := make(chan string)
	go func() {
		defer close(ch)
		scan := bufio.NewScanner(in)
		scan.Buffer(nil, maxLine)
		for scan.Scan() {
			select {
			case ch <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

func (s *Session) late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("nothing came within %s, nothing was changed: did the page show an error? Does its address lead to the callback? Run it again, with --timeout for more time", s.Timeout)
	}
	return fmt.Errorf("broken off, nothing was changed: %w", ctx.Err())
}

// byCallback sends the owner to the platform, waits for the answer, and checks what it gave.
func (s *Session) byCallback(ctx context.Context, z connectors.Authorizer, g connectors.AuthorizeGuide) error {
	if err := loopback(s.Listen); err != nil {
		return err
	}
	if err := public(s.Callback); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listening for the answer: %w: choose another address with --listen", err)
	}
	defer l.Close()
	local := "http://" + l.Addr().String() + Path
	req := connectors.AuthorizeRequest{State: rand.Text(), Callback: s.Callback, Verifier: verifier()}
	if req.Callback == "" {
		if g.Way == connectors.AuthorizeByPost {
			return fmt.Errorf("the platform's server has to reach the callback, by https: let a tunnel lead to %s, and name its address with --callback-url https://…%s", local, Path)
		}
		req.Callback = local
	}
	address, err := z.AuthorizeURL(req)
	if err != nil {
		return err
	}
	s.say("\nOpen this address in a browser:\n\n  %s\n\nThe answer is awaited at %s for %s.\n", address, local, s.Timeout)
	if g.Registered {
		s.say("The platform sends the browser only to the address that it has on file, which may lead here or not.\n")
	}
	if g.Way == connectors.AuthorizeByBrowser {
		s.say("If the browser ends on a page that cannot be shown, paste its whole address here and press Enter.\n")
	}
	if s.Opened != nil {
		s.Opened(local, address)
	}
	waiting, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	d := newDesk(g.Way, req.State, z.State, s.Connector.Embed)
	return s.serve(waiting, l, d, func(a *connectors.AuthorizeAnswer, tell func(page)) error {
		exchanging, cancel := context.WithTimeout(ctx, exchangeTimeout)
		defer cancel()
		if err := z.Exchange(exchanging, req, a); err != nil {
			// What went wrong may name the shop: it is for the terminal.
			tell(page{Code: http.StatusBadGateway, Text: "It did not work. The terminal says why."})
			return err
		}
		s.say("\nGiven, and saved.\n")
		if g.Way == connectors.AuthorizeByPost {
			// The platform's server waits for its answer, and is not who has to know what is missing.
			tell(page{Code: http.StatusOK, Text: "Done."})
			_, err := s.check(ctx)
			return err
		}
		results, err := s.check(ctx)
		text := "Done. You can close this page and go back to the terminal."
		switch {
		case errors.Is(err, ErrMissing):
			text = "What was given is saved, but something that is needed is missing."
		case err != nil:
			text = "What was given is saved, but could not be checked. The terminal says why."
		}
		tell(page{Code: http.StatusOK, Text: text, Results: results})
		return err
	})
}

// serve takes the first answer that belongs to the attempt, from the listener or from the
// keyboard, and hands it to settle, with the way to tell the browser what became of it.
func (s *Session) serve(ctx context.Context, l net.Listener, d *desk, settle func(a *connectors.AuthorizeAnswer, tell func(page)) error) error {
	server := &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: maxLine}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if server.Shutdown(bye) != nil {
			_ = server.Close()
		}
		<-ended
	}()
	var typed <-chan string
	if d.way == connectors.AuthorizeByBrowser && s.In != nil {
		typed = lines(ctx, s.In)
	}
	for {
		select {
		case a := <-d.answers:
			return settle(a.AuthorizeAnswer, func(p page) { a.done <- p })
		case err := <-d.refused:
			s.say("An answer was turned away, the waiting goes on: %v.\n", err)
		case line, ok := <-typed:
			if !ok {
				typed = nil // nobody types: the listener remains
				continue
			}
			a, err := pasted(line)
			if err == nil {
				err = d.claim(a)
			}
			if err != nil {
				s.say("That is not the address: %v.\n", err)
				continue
			}
			return settle(a, func(page) {})
		case <-ctx.Done():
			return s.late(ctx)
		}
	}
}

// pasted reads the address that a browser showed.
func pasted(line string) (*connectors.AuthorizeAnswer, error) {
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil || u.RawQuery == "" {
		return nil, errors.New("an address with a question mark is expected")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	return &connectors.AuthorizeAnswer{Query: query, RawQuery: u.RawQuery}, nil
}

// check shows what was granted against what is needed, and returns it.
func (s *Session) check(ctx context.Context) ([]connectors.CheckResult, error) {
	if s.Connector.Check == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s.say("\nWhat the connection may do now:\n")
	results, err := s.Connector.Check.Check(ctx)
	if err != nil {
		return nil, fmt.Errorf("checking the connection: %w", err)
	}
	missing := false
	for _, r := range results {
		if r.OK {
			s.say("  ok       %s: %s\n", r.Subject, r.Detail)
			continue
		}
		missing = true
		s.say("  missing  %s: %s; %s\n", r.Subject, r.Detail, r.Advice)
	}
	if missing {
		return results, ErrMissing
	}
	return results, nil
}

// loopback: an answer holds a code, and is taken from this machine only.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %q: write a host:port of this machine, e.g. %s", addr, Listen)
	}
	return nil
}

func public(callback string) error {
	if callback == "" {
		return nil
	}
	u, err := url.Parse(callback)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != Path || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("--callback-url %q: write it as https://host%s", callback, Path)
	}
	return nil
}

// verifier of PKCE: 32 random bytes, as RFC 7636 §4.1 recommends.
func verifier() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// same compares states in constant time. No state is not a state.
func same(given, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}
