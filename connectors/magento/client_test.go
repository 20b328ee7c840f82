package magento

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
)

// answering is a shop that answers all calls alike.
func answering(t *testing.T, f http.HandlerFunc) *shop {
	t.Helper()
	return openOn(t, simulator.Config{}, func(http.Handler) http.Handler { return f }, nil)
}

// What is no answer is a failure that passes; what is a refusal says what to do.
func TestAnswers(t *testing.T) {
	half := &bytes.Buffer{}
	z := gzip.NewWriter(half)
	if _, err := io.WriteString(z, strings.Repeat(`{"items":[]}`, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		status int
		header map[string]string
		body   string
		class  string
		says   string
	}{
		"page":             {200, nil, "<!doctype html><p>maintenance", "transient", "no JSON"},
		"empty":            {200, nil, "", "transient", "no JSON"},
		"cut":              {200, nil, `{"items":[{"entity_`, "transient", "cannot be read"},
		"no count":         {200, nil, `{"items":[]}`, "transient", "total_count"},
		"not a result":     {200, nil, `[1]`, "transient", "an object should be"},
		"huge number":      {200, nil, `{"items":[],"total_count":99999999999999999999}`, "transient", "64 bits"},
		"cut gzip":         {200, map[string]string{"Content-Encoding": "gzip"}, half.String()[:half.Len()/2], "transient", "reading body"},
		"strange encoding": {200, map[string]string{"Content-Encoding": "zstd"}, "x", "transient", "not supported"},
		"keys":             {401, nil, `{"message":"The signature is invalid. Verify and try again."}`, "needs-authorisation", "signature is invalid"},
		"resource":         {401, nil, `{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"Magento_Sales::shipment"}}`, "needs-authorisation", "Magento_Sales::shipment"},
		"forbidden":        {403, nil, "", "needs-authorisation", "403"},
		"not there":        {404, nil, `{"message":"Request does not match any route."}`, "permanent", "any route"},
		"refused":          {400, nil, `{"message":"Maximum SearchCriteria pageSize is %1","parameters":[300]}`, "permanent", "pageSize is 300"},
		"moved":            {301, map[string]string{"Location": "https://www.shop.example/rest"}, "", "permanent", "https://www.shop.example"},
		"later":            {429, map[string]string{"Retry-After": "120"}, "", "retry-after", "429"},
		"busy":             {503, map[string]string{"Retry-After": "90"}, "", "retry-after", "503"},
		"broken":           {500, nil, `{"message":"Internal Error. Report ID: webapi-5f3"}`, "transient", "webapi-5f3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			a, err := newClient(s.cfg, s.deps).hasty().read(context.Background(), "/V1/orders", search{size: 1}.query(), connectors.Normal)
			if err == nil {
				_, err = readPage(a.body)
			}
			if connectors.Class(err) != tc.class || err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v (%s), want %s saying %q", err, connectors.Class(err), tc.class, tc.says)
			}
			if err != nil && strings.Contains(err.Error(), "simulated-") {
				t.Errorf("a key stands in %v", err)
			}
		})
	}
}

// endless is an answer without an end.
type endless struct{ read int64 }

func (e *endless) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(e), Request: r, ContentLength: -1}, nil
}

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '['
	}
	e.read += int64(len(b))
	return len(b), nil
}

func TestAnAnswerIsBounded(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	body := &endless{}
	s.deps.HTTP = &http.Client{Transport: body}
	if _, err := newClient(s.cfg, s.deps).hasty().read(context.Background(), "/V1/orders", nil, connectors.Normal); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("got %v", err)
	}
	if body.read > 2*maxAnswer {
		t.Errorf("%d bytes were read", body.read)
	}
}

// scripted answers call after call.
type scripted struct {
	answers []func(*http.Request) (*http.Response, error)
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next(r)
}

func said(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r, ContentLength: int64(len(body))}, nil
	}
}

// A patient read waits as long as it is told to, and asks again after what passes.
func TestPatience(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	synctest.Test(t, func(t *testing.T) {
		deps := s.deps
		script := &scripted{[]func(*http.Request) (*http.Response, error){
			said(429, "", "Retry-After", "7"), said(502, "<html>"), said(200, `{"items":null,"total_count":0}`),
		}}
		deps.HTTP = &http.Client{Transport: script}
		begin := time.Now()
		a, err := newClient(s.cfg, deps).read(context.Background(), "/V1/orders", nil, connectors.Normal)
		if err != nil || len(script.answers) != 0 {
			t.Fatalf("%v, %d answers left", err, len(script.answers))
		}
		if p, err := readPage(a.body); err != nil || len(p.nodes) != 0 {
			t.Errorf("%v, %v", p, err)
		}
		if got := time.Since(begin); got < 7*time.Second || got > 10*time.Second {
			t.Errorf("waited %s", got)
		}
		if s.limiter.Last().RetryAfter != 7*time.Second {
			t.Errorf("the limiter heard %+v", s.limiter.Last())
		}
	})
}

func TestAnEndedContextEndsTheWait(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	synctest.Test(t, func(t *testing.T) {
		deps := s.deps
		deps.HTTP = &http.Client{Transport: &scripted{[]func(*http.Request) (*http.Response, error){said(429, "", "Retry-After", "20")}}}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := newClient(s.cfg, deps).read(ctx, "/V1/orders", nil, connectors.Normal); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMessages(t *testing.T) {
	for body, want := range map[string]string{
		`{"message":"%1 of %2","parameters":["a",2]}`:                                      "a of 2",
		`{"message":"%1 and %10","parameters":["a","b","c","d","e","f","g","h","i","j"]}`:  "a and j",
		`{"message":"%fieldName = %field","parameters":{"field":"x","fieldName":"price"}}`: "price = x",
		`{"message":"plain"}`:                "plain",
		`{"message":"%1","parameters":null}`: "%1",
		`<html>`:                             "",
	} {
		if got := message([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"message":"%1","parameters":["%1"]}`))
	f.Fuzz(func(_ *testing.T, body []byte) { message(body) })
}

func FuzzReadPage(f *testing.F) {
	f.Add(`{"items":[{"entity_id":1,"updated_at":"2026-11-02 09:00:00"}],"total_count":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		p, err := readPage(body)
		if err != nil && len(p.nodes) > 0 {
			t.Error("nodes beside an error")
		}
		for _, n := range p.nodes {
			readHead(n)
			hasRefund(n)
			if _, err := itemsOf(n); err != nil && !errors.Is(err, connectors.ErrMalformed) {
				t.Errorf("%q: %v", n, err)
			}
		}
	})
}
