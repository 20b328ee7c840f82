package simulate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/cmd/crossdock/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen is what a person sees.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestEveryPlatform: the shop serves, sells, delivers, and the connection that it prints is one
// that a configuration file may hold.
func TestEveryPlatform(t *testing.T) {
	for _, name := range Platforms() {
		t.Run(name, func(t *testing.T) {
			delivered := make(chan string, 100)
			hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				select {
				case delivered <- string(b):
				default:
				}
			}))
			defer hook.Close()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			seen := &screen{}
			address := make(chan string, 1)
			ended := make(chan error, 1)
			o := Options{Listen: "127.0.0.1:0", Every: 2 * time.Millisecond, Currency: "EUR", Seed: 7, Out: seen}
			if webhooks[name] {
				o.Webhooks = hook.URL
			}
			go func() { ended <- Run(ctx, name, o, func(a string) { address <- a }) }()
			at := <-address
			if webhooks[name] {
				<-delivered
			}
			resp, err := http.Get(at + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			for !strings.Contains(seen.String(), "cancelled") {
				select {
				case err := <-ended:
					t.Fatalf("it ended: %v\n%s", err, seen)
				case <-time.After(time.Millisecond):
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			text := seen.String()
			if !strings.Contains(text, "ended; calls: 1 GET") {
				t.Errorf("it does not say what was asked:\n%s", text)
			}
			checkConnection(t, text)
		})
	}
}

// webhooks are the platforms that deliver to an address of ours.
var webhooks = map[string]bool{"shopify": true, "woocommerce": true, "ebay": true}

// checkConnection loads what was printed as a configuration file.
func checkConnection(t *testing.T, text string) {
	t.Helper()
	_, after, _ := strings.Cut(text, "crossdock.yaml:\n\n")
	yaml, _, found := strings.Cut(after, "\nand in the environment")
	if !found {
		t.Fatalf("no connection is printed:\n%s", text)
	}
	t.Setenv(SecretVariable, Secret)
	t.Setenv("BUYER", strings.Repeat("k", 40))
	file := filepath.Join(t.TempDir(), "crossdock.yaml")
	yaml += "tenant: simulated\nkafka:\n  brokers: [\"127.0.0.1:9092\"]\nredis:\n  addrs: [\"127.0.0.1:6379\"]\nclickhouse:\n  addrs: [\"127.0.0.1:8123\"]\n  buyer_key: env:BUYER\ntokens:\n  dir: " + t.TempDir() + "\n  key: env:BUYER\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file); err != nil {
		t.Errorf("the printed connection is refused: %v\n%s", err, yaml)
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct{ platform, listen, faults, want string }{
		{"etsy", "127.0.0.1:0", "", "choose one of"},
		{"shopify", "0.0.0.0:0", "", "this machine only"},
		{"shopify", "8450", "", "want HOST:PORT"},
		{"shopify", "127.0.0.1:0", "boredom=1", "there is no fault \"boredom\": choose from duplicate, reorder, drop"},
		{"shopify", "127.0.0.1:0", "drop=2", "want a probability"},
		{"shopify", "127.0.0.1:0", "drop", "want a probability"},
		{"shopify", "127.0.0.1:0", "outage=maybe", "want true or false"},
	} {
		err := Run(t.Context(), tc.platform, Options{Listen: tc.listen, Faults: tc.faults, Out: io.Discard}, func(string) { t.Error("it serves") })
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s %s: got %v, want it to say %q", tc.platform, tc.listen, tc.faults, err, tc.want)
		}
	}
}
