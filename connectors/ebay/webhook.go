package ebay

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha1" //nolint:gosec // eBay's own vectors are signed over it; see digestOf
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// signatureHeader carries base64 of {"alg", "kid", "signature", "digest"}.
const signatureHeader = "X-Ebay-Signature"

// maxSignature bounds the header.
const maxSignature = 4096

// clockSkew is how far eBay's clock may be ahead of ours.
const clockSkew = 5 * time.Minute

// receiver authenticates notifications. There is no secret of ours in it: eBay signs with
// keys of its own, which change, and are fetched by their ids.
// https://developer.ebay.com/api-docs/commerce/notification/overview.html#use
type receiver struct {
	*client
	keys *keyring
}

// Receive checks the signature over the raw bytes first; nothing of a call that is not
// eBay's is looked at further.
func (rc *receiver) Receive(ctx context.Context, d *connectors.Delivery) ([]connectors.Raw, error) {
	if err := rc.authenticate(ctx, d); err != nil {
		return nil, err
	}
	r := jsonread.New(d.Body)
	n := readNotification(r)
	r.End()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("notification: %w", err)
	}
	if n.id == "" || len(n.id) > 200 || n.publish.IsZero() {
		return nil, fmt.Errorf("%w: the notification has no notificationId or publishDate", connectors.ErrMalformed)
	}
	if age := d.Received.Sub(n.publish); age > rc.cfg.ReplayWindow || age < -clockSkew {
		return nil, fmt.Errorf("%w: published %s ago, outside of the replay window of %s: check this machine's clock, or raise replay_window",
			connectors.ErrUnauthentic, age.Round(time.Second), rc.cfg.ReplayWindow)
	}
	raw, ok := n.raw(d.Body)
	if !ok {
		// A topic that somebody else subscribed to on this address: it is eBay's, and there is
		// nothing in it for us.
		return nil, nil
	}
	return []connectors.Raw{raw}, nil
}

// stamped is the content of the signature header.
type stamped struct{ alg, kid, signature, digest string }

var (
	keyID      = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)
	errForeign = fmt.Errorf("%w: the signature is not eBay's", connectors.ErrUnauthentic)
)

func (rc *receiver) authenticate(ctx context.Context, d *connectors.Delivery) error {
	s, ok := readSignature(d.Header.Get(signatureHeader))
	if !ok {
		return fmt.Errorf("%w: %s is missing or is not eBay's", connectors.ErrUnauthentic, signatureHeader)
	}
	signature, ok := exactBase64(s.signature)
	if !ok {
		return errForeign
	}
	sum, ok := digestOf(s.digest, d.Body)
	if !ok {
		return errForeign
	}
	key, err := rc.keys.key(ctx, s.kid)
	if err != nil {
		return fmt.Errorf("checking a notification's signature: %w", err)
	}
	if key == nil || !ecdsa.VerifyASN1(key, sum, signature) {
		return errForeign
	}
	return nil
}

// readSignature takes the header apart. It is read to the letter: no other spelling of the
// same content, no member that eBay does not send.
func readSignature(header string) (s stamped, ok bool) {
	if header == "" || len(header) > maxSignature {
		return s, false
	}
	text, ok := exactBase64(header)
	if !ok {
		return s, false
	}
	r := jsonread.New(text)
	var seen jsonread.Members
	if !r.Object() {
		return s, false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "alg":
			r.Once(&seen, 0)
			s.alg = r.Text()
		case "kid":
			r.Once(&seen, 1)
			s.kid = r.Text()
		case "signature":
			r.Once(&seen, 2)
			s.signature = r.Text()
		case "digest":
			r.Once(&seen, 3)
			s.digest = r.Text()
		default:
			r.Fail("unknown member")
		}
	}
	r.End()
	if r.Err() != nil || s.alg != "ecdsa" || !keyID.MatchString(s.kid) {
		return s, false
	}
	// JSON has several spellings of one text; those that need a backslash or a space are not
	// eBay's.
	for _, c := range text {
		if c == '\\' || c <= ' ' {
			return s, false
		}
	}
	return s, true
}

// exactBase64 decodes the one spelling of base64 that encoding gives.
func exactBase64(text string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(b) != text {
		return nil, false
	}
	return b, true
}

// digestOf hashes the body as the header says. It is SHA1 in eBay's own vectors; what is
// signed is eBay's own text, so that collisions are of no use to a stranger.
func digestOf(name string, body []byte) ([]byte, bool) {
	switch name {
	case "SHA1":
		sum := sha1.Sum(body) //nolint:gosec // see above
		return sum[:], true
	case "SHA256":
		sum := sha256.Sum256(body)
		return sum[:], true
	case "SHA512":
		sum := sha512.Sum512(body)
		return sum[:], true
	}
	return nil, false
}

// challenger proves to eBay that the endpoint is ours.
type challenger struct{ cfg Config }

// Answer hashes the challenge with our token and the endpoint's address, in this order.
// https://developer.ebay.com/marketplace-account-deletion
func (c *challenger) Answer(_ context.Context, d *connectors.Delivery) (body []byte, contentType string, err error) {
	q, err := url.ParseQuery(d.Query)
	if err != nil {
		return nil, "", fmt.Errorf("%w: the query cannot be read", connectors.ErrMalformed)
	}
	code := q.Get("challenge_code")
	if code == "" || len(code) > 1000 {
		return nil, "", fmt.Errorf("%w: challenge_code is missing", connectors.ErrMalformed)
	}
	secret, err := verification(c.cfg)
	if err != nil {
		return nil, "", err
	}
	body, err = json.Marshal(map[string]string{"challengeResponse": ChallengeResponse(code, secret, c.cfg.Endpoint)})
	if err != nil {
		return nil, "", fmt.Errorf("answering a challenge: %w", err)
	}
	return body, "application/json", nil
}

// ChallengeResponse is hex of SHA-256 over code, verification token and endpoint.
func ChallengeResponse(code, verificationToken, endpoint string) string {
	sum := sha256.Sum256([]byte(code + verificationToken + endpoint))
	return hex.EncodeToString(sum[:])
}

func verification(cfg Config) (string, error) {
	secret, err := cfg.VerificationToken.Resolve()
	if err != nil {
		return "", fmt.Errorf("reading verification_token: %w", err)
	}
	if !verificationForm.MatchString(secret) {
		return "", fmt.Errorf("%w: verification_token: use 32 to 80 letters, digits, _ and -", connectors.ErrPermanent)
	}
	return secret, nil
}
