package ebay

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Digital signatures of requests (RFC 9421 as eBay profiles it): sellers of the EU and the UK
// have to sign what moves money.
// https://developer.ebay.com/develop/guides/digital-signatures-for-apis

// signer signs requests with the key of the configuration; without one it does nothing, and
// eBay says itself when it wants a signature.
type signer struct {
	cfg Config
	now func() time.Time
}

func newSigner(cfg Config, now func() time.Time) *signer { return &signer{cfg, now} }

// sign adds the headers. body is the request's, nil when it has none: then it has no digest.
func (s *signer) sign(req *http.Request, body []byte) error {
	if s.cfg.SigningJWE == "" {
		return nil
	}
	jwe, err := s.cfg.SigningJWE.Resolve()
	if err != nil {
		return fmt.Errorf("reading signing_jwe: %w", err)
	}
	text, err := s.cfg.SigningKey.Resolve()
	if err != nil {
		return fmt.Errorf("reading signing_key: %w", err)
	}
	key, err := privateKey(text)
	if err != nil {
		return fmt.Errorf("reading signing_key: %w", err)
	}
	req.Header.Set("X-Ebay-Signature-Key", jwe)
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		req.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	params := signatureParams(len(body) > 0, s.now().Unix())
	signature, err := signText(key, []byte(signatureBase(req, params)))
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	req.Header.Set("Signature-Input", "sig1="+params)
	req.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(signature)+":")
	return nil
}

// signatureParams names what is signed, and when.
func signatureParams(withBody bool, created int64) string {
	covered := `"x-ebay-signature-key" "@method" "@path" "@authority"`
	if withBody {
		covered = `"content-digest" ` + covered
	}
	return fmt.Sprintf("(%s);created=%d", covered, created)
}

// signatureBase is the text that is signed: one line for each covered component, and the
// parameters.
func signatureBase(req *http.Request, params string) string {
	var b strings.Builder
	covered := params[1:strings.IndexByte(params, ')')]
	for _, quoted := range strings.Fields(covered) {
		var value string
		switch name := strings.Trim(quoted, `"`); name {
		case "@method":
			value = req.Method
		case "@path":
			value = req.URL.EscapedPath()
		case "@authority":
			value = strings.ToLower(req.URL.Host)
		default:
			value = req.Header.Get(name)
		}
		fmt.Fprintf(&b, "%s: %s\n", quoted, value)
	}
	b.WriteString(`"@signature-params": ` + params)
	return b.String()
}

// signText signs with Ed25519 as it is, or with RSA over SHA-256 (PKCS #1 v1.5), the two
// ciphers that the Key Management API makes keys for.
func signText(key crypto.Signer, text []byte) ([]byte, error) {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(k, text), nil
	case *rsa.PrivateKey:
		sum := sha256.Sum256(text)
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	}
	return nil, errors.New("the key is neither Ed25519 nor RSA")
}

// privateKey reads PKCS #8 in base64, with or without PEM lines around it: the Key
// Management API gives it without.
func privateKey(text string) (crypto.Signer, error) {
	der, err := unarmoured(text, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("it is no private key in PKCS #8: take the privateKey that createSigningKey gave")
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("it is a key that cannot sign")
	}
	switch key.(type) {
	case ed25519.PrivateKey, *rsa.PrivateKey:
		return key, nil
	}
	return nil, errors.New("the key is neither Ed25519 nor RSA")
}

// unarmoured takes the PEM lines off. eBay writes them without line breaks, which package
// pem does not read.
func unarmoured(text, kind string) ([]byte, error) {
	text = strings.TrimSpace(text)
	text = strings.TrimPrefix(text, "-----BEGIN "+kind+"-----")
	text = strings.TrimSuffix(text, "-----END "+kind+"-----")
	text = strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(text)
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return der, nil
}

// usable says whether the configured key can be read.
func (s *signer) usable() error {
	if _, err := s.cfg.SigningJWE.Resolve(); err != nil {
		return fmt.Errorf("reading signing_jwe: %w", err)
	}
	text, err := s.cfg.SigningKey.Resolve()
	if err != nil {
		return fmt.Errorf("reading signing_key: %w", err)
	}
	if _, err := privateKey(text); err != nil {
		return fmt.Errorf("reading signing_key: %w", err)
	}
	return nil
}
