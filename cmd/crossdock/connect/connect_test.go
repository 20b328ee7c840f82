package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// platform is an Authorizer and a Checker.
type platform struct {
	way   connectors.AuthorizeWay
	fail  error
	lacks bool
	// hold, if set, is what a check waits for; broken is its error.
	hold   chan struct{}
	broken error
	mu     sync.Mutex
	given  []string
	asked  connectors.AuthorizeRequest
	answer *connectors.AuthorizeAnswer
}

func (p *platform) Guide() connectors.AuthorizeGuide {
	return connectors.AuthorizeGuide{Title: "the shop", Way: p.way, Needs: []string{"scope orders"}, Steps: []string{"log in as the seller"}}
}

func (p *platform) AuthorizeURL(r connectors.AuthorizeRequest) (string, error) {
	p.asked = r
	return "https://platform.example/consent?state=" + r.State + "&code_challenge=" + r.Challenge(), nil
}

func (p *platform) State(a *connectors.AuthorizeAnswer) string {
	if p.way == connectors.AuthorizeByPost {
		return string(a.Body)
	}
	return a.Query.Get("state")
}

func (p *platform) Exchange(_ context.Context, r connectors.AuthorizeRequest, a *connectors.AuthorizeAnswer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given = append(p.given, a.Query.Get("code"))
	p.answer = a
	if r.Verifier == "" || r.State != p.asked.State {
		return errors.New("another request")
	}
	return p.fail
}

func (p *platform) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if p.broken != nil {
		return nil, p.broken
	}
	return []connectors.CheckResult{
		{Subject: "scope orders", OK: true, Detail: "granted"},
		{Subject: "scope stock", OK: !p.lacks, Detail: "of the app", Advice: "approve it as well"},
	}, nil
}

// try runs a session; at is called with the listener and the address to open. keyboard is what
// is typed, nil = nobody.
func try(t *testing.T, p *platform, change func(*Session), keyboard io.Reader, at func(listener, address string)) (screen string, err error) {
	t.Helper()
	var out bytes.Buffer
	var wg sync.WaitGroup
	s := &Session{
		Connector: &connectors.Connector{Name: "platform", Authorize: p, Check: p}, Account: "uk",
		In: keyboard, Out: &out, Listen: "127.0.0.1:0", Timeout: 20 * time.Second,
		Opened: func(listener, address string) {
			if at != nil {
				wg.Go(func() { at(listener, address) })
			}
		},
	}
	if s.In == nil {
		s.In = strings.NewReader("")
	}
	if change != nil {
		change(s)
	}
	err = s.Run(t.Context())
	wg.Wait()
	return out.String(), err
}

// call sends an answer and returns the page.
func call(t *testing.T, method, address, body string) (code int, page string) {
	t.Helper()
	resp, page := ask(t, method, address, body)
	if resp == nil {
		return 0, ""
	}
	return resp.StatusCode, page
}

// ask sends an answer and returns what came back; nil when nothing did.
func ask(t *testing.T, method, address, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

func stateOf(t *testing.T, address string) string {
	u, err := url.Parse(address)
	if err != nil || len(u.Query().Get("state")) < 20 || len(u.Query().Get("code_challenge")) != 43 {
		t.Errorf("the address %q: %v", address, err)
		return ""
	}
	return u.Query().Get("state")
}

// TestByBrowser: strangers and wrong states are turned away and end nothing; the right answer
// is taken once.
func TestByBrowser(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByBrowser}
	screen, err := try(t, p, nil, nil, func(listener, address string) {
		state := stateOf(t, address)
		for _, c := range []struct {
			method, address string
			want            int
		}{
			{http.MethodGet, listener + "?code=evil", http.StatusForbidden},
			{http.MethodGet, listener + "?code=evil&state=" + strings.Repeat("A", len(state)), http.StatusForbidden},
			{http.MethodGet, listener + "?code=evil&state=" + state[:len(state)-1], http.StatusForbidden},
			{http.MethodGet, listener + "/more?code=evil&state=" + state, http.StatusNotFound},
			{http.MethodPost, listener + "?code=evil&state=" + state, http.StatusMethodNotAllowed},
			{http.MethodGet, listener + "?code=good&state=" + state, http.StatusOK},
		} {
			if code, page := call(t, c.method, c.address, ""); code != c.want || strings.Contains(page, "good") {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.address, code, page, c.want)
			}
		}
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, screen)
	}
	if len(p.given) != 1 || p.given[0] != "good" || !strings.HasSuffix(p.asked.Callback, Path) {
		t.Errorf("exchanged %v for %+v", p.given, p.asked)
	}
	for _, want := range []string{"scope orders", "log in as the seller", "https://platform.example/consent?state=", "ok       scope stock"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen does not show %q:\n%s", want, screen)
		}
	}
	if strings.Contains(screen, "good") || strings.Contains(screen, p.asked.Verifier) {
		t.Error("the screen shows a secret")
	}
}

// TestTwiceAtOnce: of two right answers one is exchanged.
func TestTwiceAtOnce(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByBrowser}
	d := newDesk(p.way, "the state", p.State, nil)
	a := &connectors.AuthorizeAnswer{Query: url.Values{"state": {"the state"}}}
	if first, second := d.claim(a), d.claim(a); first != nil || !errors.Is(second, errUsed) {
		t.Errorf("an attempt can be used twice, or not at all: %v, %v", first, second)
	}
	if err := newDesk(p.way, "", p.State, nil).claim(&connectors.AuthorizeAnswer{}); !errors.Is(err, errForeign) {
		t.Errorf("no state is a state: %v", err)
	}
}

// admin is a platform whose admin opens the app's address, with what it has signed.
type admin struct{ *platform }

var errUnsigned = errors.New("not signed by the platform")

func (admin) Opened(a *connectors.AuthorizeAnswer) error {
	if a.Query.Get("signed") != "yes" {
		return errUnsigned
	}
	return nil
}

func (admin) Frames() []string { return []string{"https://shop.example", "https://admin.example"} }

// TestOpened: the admin's call is taken without a state, once; whatever is neither is turned
// away, and the terminal says why, once; the page says what is granted and what is missing, and
// may be shown in the admin's frame alone.
func TestOpened(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByBrowser, lacks: true}
	const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors https://shop.example https://admin.example"
	embed := func(s *Session) { s.Connector.Embed = admin{p} }
	screen, err := try(t, p, embed, nil, func(listener, address string) {
		for range 3 {
			if code, _ := call(t, http.MethodGet, listener+"?code=evil&signed=no", ""); code != http.StatusForbidden {
				t.Errorf("another's: %d", code)
			}
		}
		resp, page := ask(t, http.MethodGet, listener+"?code=good&signed=yes", "")
		if resp == nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Security-Policy") != policy || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("the page: %v", resp)
		}
		for _, want := range []string{"something that is needed is missing", "<th>ok</th><td>scope orders</td><td>granted</td>", "<th>missing</th><td>scope stock</td><td>of the app; approve it as well</td>"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not show %q:\n%s", want, page)
			}
		}
	})
	if !errors.Is(err, ErrMissing) || len(p.given) != 1 || p.given[0] != "good" {
		t.Errorf("%v, exchanged %v", err, p.given)
	}
	if strings.Count(screen, errUnsigned.Error()) != 1 || !strings.Contains(screen, "turned away") {
		t.Errorf("the screen does not say once why an answer was turned away:\n%s", screen)
	}

	// Pasted, it is taken as well; and the platform's own question is still there.
	p = &platform{way: connectors.AuthorizeByBrowser}
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	screen, err = try(t, p, embed, in, func(_, _ string) {
		for _, line := range []string{"https://x.example/?code=evil", "https://x.example/?code=pasted&signed=yes"} {
			if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || len(p.given) != 1 || p.given[0] != "pasted" || !strings.Contains(screen, "That is not the address: "+errUnsigned.Error()) {
		t.Errorf("%v, exchanged %v:\n%s", err, p.given, screen)
	}
	p = &platform{way: connectors.AuthorizeByBrowser}
	if _, err := try(t, p, embed, nil, func(listener, address string) {
		if code, _ := call(t, http.MethodGet, listener+"?code=asked&state="+stateOf(t, address), ""); code != http.StatusOK {
			t.Errorf("by its state: %d", code)
		}
	}); err != nil || len(p.given) != 1 || p.given[0] != "asked" {
		t.Errorf("%v, exchanged %v", err, p.given)
	}
}

// TestPage: what a platform says is text, whatever it holds, and nobody frames a page of a
// platform without an admin.
func TestPage(t *testing.T) {
	w := httptest.NewRecorder()
	evil := `<script>alert("1")</script>'&`
	page{Code: http.StatusOK, Text: evil, Results: []connectors.CheckResult{{Subject: evil, Detail: evil, Advice: evil}}}.write(w, nil)
	got := w.Body.String()
	if strings.Contains(got, "<script") || strings.Count(got, "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&#39;&amp;") != 4 {
		t.Error(got)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Cache-Control":           "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPasted: the owner copies the address that the browser showed.
func TestPasted(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByBrowser}
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	screen, err := try(t, p, nil, in, func(_, address string) {
		state := stateOf(t, address)
		for _, line := range []string{"hello", "https://x.example/?code=evil&state=wrong", " https://x.example/?state=" + state + "&code=go%2Bod "} {
			if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || len(p.given) != 1 || p.given[0] != "go+od" || strings.Count(screen, "That is not the address") != 2 {
		t.Errorf("%v, exchanged %v:\n%s", err, p.given, screen)
	}
}

// TestByPost: the platform's server posts, and only an https address leads to it.
func TestByPost(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByPost}
	if _, err := try(t, p, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "--callback-url") {
		t.Errorf("without a tunnel: %v", err)
	}
	for _, wrong := range []string{"http://t.example/callback", "https://t.example/", "https://t.example/callback?x=1", "t.example/callback"} {
		if _, err := try(t, p, func(s *Session) { s.Callback = wrong }, nil, nil); err == nil || !strings.Contains(err.Error(), "--callback-url") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	// The server has its answer before anything is checked.
	p.hold = make(chan struct{})
	_, err := try(t, p, func(s *Session) { s.Callback = "https://t.example/callback" }, nil, func(listener, address string) {
		defer close(p.hold)
		state := stateOf(t, address)
		for _, c := range []struct {
			method, body string
			want         int
		}{
			{http.MethodGet, "", http.StatusMethodNotAllowed},
			{http.MethodPost, "", http.StatusForbidden},
			{http.MethodPost, strings.Repeat("x", maxBody+1), http.StatusRequestEntityTooLarge},
			{http.MethodPost, state, http.StatusOK},
		} {
			if code, page := call(t, c.method, listener, c.body); code != c.want {
				t.Errorf("%s: %d %s, want %d", c.method, code, page, c.want)
			}
		}
	})
	if err != nil || string(p.answer.Body) != p.asked.State || p.asked.Callback != "https://t.example/callback" {
		t.Errorf("%v, %+v", err, p.asked)
	}
}

func TestByHand(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByHand}
	if screen, err := try(t, p, nil, strings.NewReader("\n"), nil); err != nil || !strings.Contains(screen, "ok       scope stock") {
		t.Errorf("%v:\n%s", err, screen)
	}
	if _, err := try(t, p, nil, strings.NewReader(""), nil); err == nil || !strings.Contains(err.Error(), "crossdock check") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestEnds: too late, broken off, refused, something missing, an address of another machine, a
// connector that cannot.
func TestEnds(t *testing.T) {
	p := &platform{way: connectors.AuthorizeByBrowser}
	if _, err := try(t, p, func(s *Session) { s.Timeout = time.Millisecond }, nil, nil); err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "--timeout") {
		t.Errorf("too late: %v", err)
	}
	if len(p.given) != 0 {
		t.Error("something was exchanged")
	}
	good := func(want int) func(listener, address string) {
		return func(listener, address string) {
			if code, page := call(t, http.MethodGet, listener+"?code=good&state="+stateOf(t, address), ""); code != want || strings.Contains(page, "geheim") {
				t.Errorf("%d %s, want %d", code, page, want)
			}
		}
	}
	p = &platform{way: connectors.AuthorizeByBrowser, fail: errors.New("geheim")}
	if _, err := try(t, p, nil, nil, good(http.StatusBadGateway)); !errors.Is(err, p.fail) {
		t.Errorf("refused: %v", err)
	}
	p = &platform{way: connectors.AuthorizeByBrowser, lacks: true}
	screen, err := try(t, p, nil, nil, good(http.StatusOK))
	if !errors.Is(err, ErrMissing) || !strings.Contains(screen, "missing  scope stock: of the app; approve it as well") {
		t.Errorf("%v:\n%s", err, screen)
	}
	p = &platform{way: connectors.AuthorizeByBrowser, broken: errors.New("geheim")}
	if _, err := try(t, p, nil, nil, good(http.StatusOK)); !errors.Is(err, p.broken) || len(p.given) != 1 {
		t.Errorf("given, and not checked: %v", err)
	}
	if _, err := try(t, p, func(s *Session) { s.Listen = "0.0.0.0:0" }, nil, nil); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("for everybody: %v", err)
	}
	if _, err := try(t, p, func(s *Session) { s.Connector = &connectors.Connector{Name: "ecb"} }, nil, nil); err == nil || !strings.Contains(err.Error(), "connectors/ecb/README.md") {
		t.Errorf("one that cannot: %v", err)
	}
}

// TestChallenge is the example of RFC 7636, appendix B.
func TestChallenge(t *testing.T) {
	r := connectors.AuthorizeRequest{Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
	if got := r.Challenge(); got != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Errorf("got %s", got)
	}
}
