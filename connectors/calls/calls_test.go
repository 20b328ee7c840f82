package calls

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/httpx"
)

func TestMarks(t *testing.T) {
	broken := errors.New("broken")
	both := fmt.Errorf("reading: %w", Unsent(Passing(broken)))
	if !IsUnsent(both) || !IsPassing(both) || !errors.Is(both, broken) || both.Error() != "reading: broken" {
		t.Errorf("%v: unsent %v, passing %v", both, IsUnsent(both), IsPassing(both))
	}
	if IsUnsent(broken) || IsPassing(broken) || Unsent(nil) != nil || Passing(nil) != nil || IsUnsent(nil) || IsPassing(nil) {
		t.Error("what was not marked is marked")
	}
}

// TestRead: how often it asks, and how long that takes on the clock.
func TestRead(t *testing.T) {
	how := Patience{Tries: 4, Wait: 10 * time.Second, Failures: 2, Pause: 200 * time.Millisecond}
	away := Passing(errors.New("away"))
	wait := func(d time.Duration) error { return &connectors.RetryAfterError{After: d, Err: errors.New("busy")} }
	dead := errors.New("dead")
	for _, c := range []struct {
		name string
		says []error
		want error
		took time.Duration
	}{
		{"at once", []error{nil}, nil, 0},
		{"away once", []error{away, nil}, nil, 200 * time.Millisecond},
		{"away twice", []error{away, away, nil}, nil, 600 * time.Millisecond},
		{"away for longer", []error{away, away, away}, away, 600 * time.Millisecond},
		{"busy", []error{wait(3 * time.Second), wait(time.Second), nil}, nil, 4 * time.Second},
		{"busy for ever", []error{wait(time.Second), wait(time.Second), wait(time.Second), wait(time.Second)}, wait(0), 3 * time.Second},
		{"busy for too long", []error{wait(time.Minute)}, wait(0), 0},
		{"dead", []error{dead}, dead, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, asked := time.Now(), 0
				_, err := Read(t.Context(), how, func(context.Context) (int, error) {
					asked++
					return asked, c.says[asked-1]
				})
				var retry *connectors.RetryAfterError
				if same := errors.Is(err, c.want) || errors.As(c.want, &retry) && errors.As(err, &retry); !same {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if took := time.Since(began); asked != len(c.says) || took != c.took {
					t.Errorf("asked %d times in %s, want %d in %s", asked, took, len(c.says), c.took)
				}
			})
		})
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := Read(ctx, Patience{Tries: 9, Wait: time.Hour}, func(context.Context) (int, error) {
			return 0, &connectors.RetryAfterError{After: time.Minute, Err: errors.New("busy")}
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
		case "/large":
			_, _ = w.Write(make([]byte, 100))
		case "/half":
			w.Header().Set("Content-Length", "50")
			_, _ = w.Write(make([]byte, 20))
		default:
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte("tea"))
		}
	}))
	defer server.Close()
	do := func(address string) (*http.Response, []byte, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		return Do(server.Client(), req, 60)
	}
	if resp, text, err := do(server.URL + "/"); err != nil || resp.StatusCode != http.StatusTeapot || string(text) != "tea" || Date(resp).IsZero() {
		t.Errorf("got %v %q %v", resp, text, err)
	}
	if _, _, err := do(server.URL + "/cut"); IsUnsent(err) || !IsPassing(err) {
		t.Errorf("cut after it was sent: %v", err)
	}
	if _, _, err := do(server.URL + "/half"); IsUnsent(err) || !IsPassing(err) {
		t.Errorf("half an answer: %v", err)
	}
	var large *httpx.BodyTooLargeError
	if _, _, err := do(server.URL + "/large"); !errors.As(err, &large) || IsPassing(err) || IsUnsent(err) {
		t.Errorf("too large: %v", err)
	}
	address := server.URL
	server.Close()
	if _, _, err := do(address + "/?key=hidden"); !IsUnsent(err) || !IsPassing(err) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": time.Minute, "5": 5 * time.Second, "0": 0, "0.5": 500 * time.Millisecond, "-1": time.Minute, "1e99": time.Minute, "NaN": time.Minute, "soon": time.Minute,
		"Mon, 02 Nov 2026 08:00:00 GMT": time.Minute, "Mon, 02 Nov 2026 09:00:30 GMT": 30 * time.Second, "Mon, 02 Nov 2099 09:00:30 GMT": time.Minute,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {text}}, now, time.Minute); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	if got := Clip(strings.Repeat("a", maxText-1) + "ß"); got != strings.Repeat("a", maxText-1)+"…" {
		t.Errorf("got %q", got)
	}
	if got := Clip("short"); got != "short" {
		t.Errorf("got %q", got)
	}
}
