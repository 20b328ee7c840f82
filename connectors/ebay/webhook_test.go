package ebay

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/internal/testkit"
)

// TestOfficialNotifications: eBay's own vectors verify as eBay says they do.
func TestOfficialNotifications(t *testing.T) {
	text, err := os.ReadFile(testkit.Shared(t, "vectors", "ebay", "notification-vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors map[string]struct {
		Signature string          `json:"signature"`
		Message   json.RawMessage `json:"message"`
		Response  *struct {
			Key string `json:"key"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	receiverOf := func(name string) *receiver {
		s := open(t, simulator.Config{}, func(c *Config) { c.ReplayWindow = 100 * 365 * 24 * time.Hour })
		s.deps.HTTP = &http.Client{Transport: canned(func(r *http.Request) *http.Response {
			v := vectors[name]
			switch {
			case strings.HasSuffix(r.URL.Path, "/oauth2/token"):
				return says(200, "application/json", `{"access_token":"a","expires_in":7200}`)
			case v.Response == nil:
				return says(404, "application/json", `{}`)
			}
			return says(200, "application/json", fmt.Sprintf(`{"key":%q,"algorithm":"ECDSA","digest":"SHA1"}`, v.Response.Key))
		})}
		c := newClient(s.cfg, s.deps)
		return &receiver{client: c, keys: newKeyring(c)}
	}
	verify := func(rc *receiver, signature string, body []byte) error {
		_, err := rc.Receive(context.Background(), &connectors.Delivery{
			Method: http.MethodPost, Header: http.Header{signatureHeader: {signature}}, Body: body, Received: connectortest.NewClock().Now(),
		})
		return err
	}
	// eBay's SDK signs JSON.stringify(message): the vector's message without white space.
	compact := func(raw json.RawMessage) []byte {
		var b strings.Builder
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		inside := false
		for _, c := range string(raw) {
			if c == '"' {
				inside = !inside
			}
			if inside || !strings.ContainsRune(" \n\r\t", c) {
				b.WriteRune(c)
			}
		}
		return []byte(b.String())
	}
	for name, want := range map[string]string{"VALID": "ok", "INVALID": "unauthentic", "SIGNATURE_MISMATCH": "unauthentic", "ERROR": "unauthentic"} {
		v := vectors[name]
		if got := verify(receiverOf(name), v.Signature, compact(v.Message)); connectors.Class(got) != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
	rc, body := receiverOf("VALID"), compact(vectors["VALID"].Message)
	for i := range body {
		for bit := range 8 {
			body[i] ^= 1 << bit
			if err := verify(rc, vectors["VALID"].Signature, body); !errors.Is(err, connectors.ErrUnauthentic) {
				t.Errorf("bit %d of byte %d of the body does not matter: %v", bit, i, err)
			}
			body[i] ^= 1 << bit
		}
	}
}

// TestOfficialDigitalSignature: a request that we sign is one that eBay's own example key
// verifies.
func TestOfficialDigitalSignature(t *testing.T) {
	text, err := os.ReadFile(testkit.Shared(t, "vectors", "ebay", "digital-signature-vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors map[string]struct {
		PrivateKey string `json:"privateKey"`
		JWE        string `json:"jwe"`
		Payload    struct {
			Public string `json:"pkey"`
		} `json:"jwtPayload"`
		Components struct {
			Method, Authority, Path string
		} `json:"signatureComponents"`
		Params []string `json:"signatureParams"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	v := vectors["ED25519_SIGN"]
	der, err := base64.StdEncoding.DecodeString(vectors["ED25519"].Payload.Public)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("V_JWE", v.JWE)
	t.Setenv("V_KEY", v.PrivateKey)
	at := time.Unix(1_663_459_378, 0)
	signer := newSigner(Config{SigningJWE: "env:V_JWE", SigningKey: "env:V_KEY"}, func() time.Time { return at })
	for _, body := range []string{`{"hello": "world"}`, ""} {
		req, err := http.NewRequestWithContext(context.Background(), v.Components.Method, "https://"+v.Components.Authority+v.Components.Path+"?q=not-signed", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := signer.sign(req, []byte(body)); err != nil {
			t.Fatal(err)
		}
		params := v.Params
		if body == "" {
			params = vectors["ED25519_GET"].Params
		}
		want := `sig1=("` + strings.Join(params, `" "`) + `");created=1663459378`
		if got := req.Header.Get("Signature-Input"); got != want {
			t.Errorf("Signature-Input %s, want %s", got, want)
		}
		// The base is spelled out here by hand, after RFC 9421, section 2.5.
		base := ""
		if body != "" {
			sum := sha256.Sum256([]byte(body))
			digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
			if got := req.Header.Get("Content-Digest"); got != digest {
				t.Errorf("Content-Digest %s, want %s", got, digest)
			}
			base = `"content-digest": ` + digest + "\n"
		}
		base += `"x-ebay-signature-key": ` + v.JWE + "\n\"@method\": POST\n\"@path\": /test\n\"@authority\": localhost:8080\n\"@signature-params\": " + want[5:]
		given := strings.TrimSuffix(strings.TrimPrefix(req.Header.Get("Signature"), "sig1=:"), ":")
		signature, err := base64.StdEncoding.DecodeString(given)
		if err != nil || !ed25519.Verify(parsed.(ed25519.PublicKey), []byte(base), signature) {
			t.Errorf("the signature does not verify with eBay's public key (%v)", err)
		}
		for i := range signature {
			signature[i] ^= 1
			if ed25519.Verify(parsed.(ed25519.PublicKey), []byte(base), signature) {
				t.Errorf("byte %d of the signature does not matter", i)
			}
			signature[i] ^= 1
		}
	}
}

// TestRSASignature: the other cipher, with a key of our own: eBay's private one is not
// published.
func TestRSASignature(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	read, err := privateKey("-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(der) + "\n-----END PRIVATE KEY-----\n")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signText(read, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"text": true, "texu": false} {
		sum := sha256.Sum256([]byte(text))
		if got := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature) == nil; got != want {
			t.Errorf("%q verifies: %v, want %v", text, got, want)
		}
	}
}

func TestPrivateKeys(t *testing.T) {
	ec := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("no key")})
	for name, text := range map[string]string{"not base64": "%%%", "no key": string(ec), "empty": ""} {
		if _, err := privateKey(text); err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), "bm8ga2V5") {
			t.Errorf("%s: the error repeats the key: %v", name, err)
		}
	}
}

// TestChallenge: SHA-256 over code, token and endpoint; the example is eBay's own.
func TestChallenge(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	body, contentType, err := s.conn.Challenge.Answer(context.Background(), &connectors.Delivery{Method: http.MethodGet, Query: "challenge_code=a%2Bb"})
	if err != nil || contentType != "application/json" {
		t.Fatalf("%s, %v", contentType, err)
	}
	sum := sha256.Sum256([]byte("a+b" + testToken + s.cfg.Endpoint))
	if want := fmt.Sprintf(`{"challengeResponse":"%x"}`, sum); string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
	for _, q := range []string{"", "challenge_code=", "%zz", "challenge_code=" + strings.Repeat("x", 2000)} {
		if _, _, err := s.conn.Challenge.Answer(context.Background(), &connectors.Delivery{Query: q}); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%.20q: got %v, want ErrMalformed", q, err)
		}
	}
	t.Setenv("EBAY_TEST_VERIFICATION", "short")
	if _, _, err := s.conn.Challenge.Answer(context.Background(), &connectors.Delivery{Query: "challenge_code=x"}); !errors.Is(err, connectors.ErrPermanent) || strings.Contains(err.Error(), "short") {
		t.Errorf("a token that eBay would not take: %v", err)
	}
}

func signedCall(s *shop, body string) *connectors.Delivery {
	return &connectors.Delivery{Method: http.MethodPost, Header: http.Header{signatureHeader: {s.Sign([]byte(body))}}, Body: []byte(body), Received: s.clock.Now()}
}

func TestNotifications(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	at := func(d time.Duration) string { return s.clock.Now().Add(d).Format("2006-01-02T15:04:05.000Z") }
	message := func(topic, id, published, data string) string {
		return fmt.Sprintf(`{"metadata":{"topic":%q,"schemaVersion":"1.0"},"notification":{"notificationId":%q,"eventDate":%q,"publishDate":%q,"publishAttemptCount":1,"data":%s}}`, topic, id, published, published, data)
	}
	for _, tt := range []struct {
		name, body, class, object string
	}{
		{"an order", message("ORDER_CONFIRMATION", "n1", at(0), `{"order":{"orderId":"1-2-3"}}`), "ok", "1-2-3"},
		{"an account that is closed", message("MARKETPLACE_ACCOUNT_DELETION", "n2", at(0), `{"username":"u","userId":"U1"}`), "ok", "user/U1"},
		{"a revocation", message("AUTHORIZATION_REVOCATION", "n3", at(0), `{}`), "ok", "n3"},
		{"a topic of somebody else", message("ITEM_AVAILABILITY", "n4", at(0), `{}`), "ok", ""},
		{"too old", message("ORDER_CONFIRMATION", "n5", at(-25*time.Hour), `{}`), "unauthentic", ""},
		{"from the future", message("ORDER_CONFIRMATION", "n6", at(time.Hour), `{}`), "unauthentic", ""},
		{"without an id", message("ORDER_CONFIRMATION", "", at(0), `{}`), "malformed", ""},
		{"without a zone", message("ORDER_CONFIRMATION", "n7", "2026-11-02T09:00:00", `{}`), "malformed", ""},
		{"no JSON", `<xml/>`, "malformed", ""},
		{"cut", message("ORDER_CONFIRMATION", "n8", at(0), `{}`)[:60], "malformed", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raws, err := s.conn.Receive.Receive(context.Background(), signedCall(s, tt.body))
			if got := connectors.Class(err); got != tt.class {
				t.Fatalf("got %s (%v), want %s", got, err, tt.class)
			}
			got := ""
			for _, r := range raws {
				got = r.Object
			}
			if got != tt.object {
				t.Errorf("object %q, want %q", got, tt.object)
			}
		})
	}
}

// TestKeysAreFetchedOnce: however many notifications come at once, and however many made-up
// ids: eBay is asked once for a key, and for a bounded number of ids that it does not know.
func TestKeysAreFetchedOnce(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	body := `{"metadata":{"topic":"X"},"notification":{"notificationId":"n","publishDate":"2026-11-02T09:00:00.000Z"}}`
	d := signedCall(s, body)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := s.conn.Receive.Receive(context.Background(), d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := s.tape.made(callKey.name()); n != 1 {
		t.Errorf("%d calls for one key", n)
	}
	signature := base64.StdEncoding.EncodeToString([]byte("signature"))
	for i := range 200 {
		header := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"ecdsa","kid":"made-up-%d","signature":%q,"digest":"SHA1"}`, i, signature))
		_, err := s.conn.Receive.Receive(context.Background(), &connectors.Delivery{Header: http.Header{signatureHeader: {header}}, Body: []byte(body)})
		if !errors.Is(err, connectors.ErrUnauthentic) {
			t.Fatalf("a made-up key: %v", err)
		}
	}
	if n := s.tape.made(callKey.name()); n != 1+maxForeign {
		t.Errorf("%d calls for made-up keys, want %d", n-1, maxForeign)
	}
	if _, err := s.conn.Receive.Receive(context.Background(), d); err != nil {
		t.Errorf("the good key was crowded out: %v", err)
	}
}

// TestEnsureWebhooks: from nothing to everything, from wrong to right, and nothing when it is
// right.
func TestEnsureWebhooks(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	ctx := context.Background()
	ensure := func(want int) {
		t.Helper()
		if err := s.conn.Webhooks.EnsureWebhooks(ctx, s.cfg.Endpoint); err != nil {
			t.Fatal(err)
		}
		if got := s.Subscriptions(); got != want {
			t.Errorf("%d subscriptions deliver, want %d", got, want)
		}
	}
	ensure(len(topics()))
	writes := func() int {
		n := 0
		for _, e := range endpoints() {
			if e.bucket == bucketNotification && !e.reads() {
				n += s.tape.made(e.name())
			}
		}
		return n
	}
	before := writes()
	ensure(len(topics()))
	if got := writes(); got != before {
		t.Errorf("%d writes although everything was right", got-before)
	}
	s.MarkDown(s.cfg.Endpoint)
	ensure(len(topics()))
	if err := s.conn.Webhooks.EnsureWebhooks(ctx, "https://elsewhere.example/hook"); !errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("an address whose challenge cannot be answered: %v", err)
	}
	// A move to another host keeps the path: the destination is turned, not doubled.
	s.Subscribe("https://old.example/webhooks/ebay/ebay-uk")
	other := open(t, simulator.Config{}, func(c *Config) { c.AlertEmail = "" })
	if err := other.conn.Webhooks.EnsureWebhooks(ctx, other.cfg.Endpoint); !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "alert_email") {
		t.Errorf("without an alert address: %v", err)
	}
}

// TestMovedHost: a destination of ours on another host is corrected, with its subscriptions.
func TestMovedHost(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	s.Subscribe("https://old.example/webhooks/ebay/ebay-uk", "ORDER_CONFIRMATION", "MARKETPLACE_ACCOUNT_DELETION")
	if err := s.conn.Webhooks.EnsureWebhooks(context.Background(), s.cfg.Endpoint); err != nil {
		t.Fatal(err)
	}
	if n := s.tape.made(callAddPlace.name()); n != 0 {
		t.Errorf("%d new destinations, want the old one corrected", n)
	}
	if got := s.Subscriptions(); got != len(topics()) {
		t.Errorf("%d subscriptions, want %d", got, len(topics()))
	}
	p := s.AddProduct(simulator.ProductSpec{Title: "A", Variants: []simulator.VariantSpec{{SKU: "A", Price: "1.00", Available: 5}}})
	if _, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: p.Variants[0], Quantity: 1}}, Paid: true}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.refuse = 2 // and it is retried
	s.mu.Unlock()
	if n := len(s.deliveries(t)); n != 1 {
		t.Errorf("%d notifications at the new host, want 1", n)
	}
}

// TestKeyIsWaitedForWithinTheDeadline: while one call fetches a key, and that takes long, another
// one ends when its own time is over.
func TestKeyIsWaitedForWithinTheDeadline(t *testing.T) {
	k := newKeyring(&client{deps: connectors.Deps{Now: time.Now}})
	<-k.turn // somebody fetches
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.key(ctx, "some-id"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the call's context", err)
	}
}
