package httpx

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestReadBody(t *testing.T) {
	const limit = 1000
	exact, over := bytes.Repeat([]byte("x"), limit), bytes.Repeat([]byte("x"), limit+1)
	for name, tc := range map[string]struct {
		body     []byte
		encoding string
		length   int64
		want     []byte
		tooLarge bool
	}{
		"exactly the limit":        {body: exact, length: -1, want: exact},
		"one byte more":            {body: over, length: -1, tooLarge: true},
		"announced":                {body: over, length: limit + 1, tooLarge: true},
		"gzip":                     {body: zipped(t, exact), encoding: "gzip", want: exact},
		"gzip bomb":                {body: zipped(t, make([]byte, 10<<20)), encoding: "gzip", tooLarge: true},
		"gzip that is none":        {body: exact, encoding: "gzip"},
		"gzip cut in the middle":   {body: zipped(t, exact)[:15], encoding: "gzip"},
		"an encoding nobody wants": {body: exact, encoding: "br"},
		"empty":                    {body: nil, length: 0, want: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{Body: io.NopCloser(bytes.NewReader(tc.body)), Header: http.Header{}, ContentLength: tc.length}
			if tc.encoding != "" {
				resp.Header.Set("Content-Encoding", tc.encoding)
			}
			got, err := ReadBody(resp, limit)
			var large *BodyTooLargeError
			if errors.As(err, &large) != tc.tooLarge {
				t.Fatalf("error %v", err)
			}
			if (err == nil) != (tc.want != nil) || !bytes.Equal(got, tc.want) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// The bomb as a server sends it: net/http decompresses by itself and drops the header.
func TestReadBodyTransparentBomb(t *testing.T) {
	bomb := zipped(t, make([]byte, 10<<20))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb)
	}))
	defer s.Close()
	c := NewClient(Config{AllowLoopback: true})
	defer c.CloseIdleConnections()
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var large *BodyTooLargeError
	if _, err := ReadBody(resp, 1<<20); !errors.As(err, &large) {
		t.Errorf("got %v", err)
	}
}

func TestRedact(t *testing.T) {
	for raw, want := range map[string]string{
		"https://shop.example/admin/api/2026-10/orders.json?limit=5&token=geheim": "https://shop.example/admin/api/2026-10/orders.json?limit=…&token=…",
		"https://user:geheim@shop.example:8443/a#geheim":                          "https://shop.example:8443/a",
		"https://hooks.example/services/T000/geheimgeheimgeheimgeheim":            "https://hooks.example/services/T000/…",
		"https://shop.example/orders/820982911946154508123":                       "https://shop.example/orders/820982911946154508123",
		"https://shop.example/?geheim":                                            "https://shop.example/?…",
		"https://shop.example/a?%zz=geheim":                                       "https://shop.example/a?%zz=…",
		"mailto:geheim":                                                           "mailto:…",
		"/relative?a=geheim":                                                      "/relative?a=…",
		"://geheim":                                                               "(address that cannot be read)",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("Redact(%s) = %s, want %s", raw, got, want)
		}
	}
}

func TestRedactError(t *testing.T) {
	inner := errors.New("refused")
	call := &url.Error{Op: "Post", URL: "https://a:geheim@b/c?d=geheim", Err: inner}
	for _, err := range []error{
		call, fmt.Errorf("pushing: %w", call), errors.Join(io.EOF, fmt.Errorf("pushing: %w", call)),
		fmt.Errorf("%w and %w", &url.Error{Op: "Get", URL: "/?geheim", Err: io.EOF}, call),
	} {
		got := RedactError(err)
		if strings.Contains(got.Error(), "geheim") || !strings.Contains(got.Error(), `Post "https://b/c?d=…": refused`) || !errors.Is(got, inner) {
			t.Errorf("%v became %v", err, got)
		}
	}
	if RedactError(nil) != nil {
		t.Error("no error became one")
	}
	if got := RedactError(inner); got != inner { //nolint:errorlint // the very same, not one that wraps it
		t.Errorf("another error became %v", got)
	}
}

func TestTraceParent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := TraceParent(good); got != good {
		t.Errorf("a good one became %s", got)
	}
	seen := map[string]bool{}
	for _, bad := range []string{
		"", "garbage", good[:54], good + "0", strings.ToUpper(good), "01" + good[2:],
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		strings.Replace(good, "-", "_", 2), "00-4bf92f3577b34da6a3ce929d0e0e473\n-00f067aa0ba902b7-01",
	} {
		got := TraceParent(bad)
		if got == bad || !validTrace(got) || !strings.HasSuffix(got, "-00") || seen[got] {
			t.Errorf("TraceParent(%q) = %q", bad, got)
		}
		seen[got] = true
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("https://u:SECRETSECRET@h/p?q=SECRETSECRET#SECRETSECRET")
	f.Fuzz(func(t *testing.T, s string) {
		// Whatever the address, what stands after the first "=" of a parameter is not printed.
		if got := Redact("https://h.example/?q=SECRETSECRET&" + s); strings.Contains(got, "SECRETSECRET") && !strings.Contains(s, "SECRETSECRET") {
			t.Errorf("leaked: %s", got)
		}
	})
}
