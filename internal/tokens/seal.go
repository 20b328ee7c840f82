package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Secret is a reference that is read each time it is needed, so that a rotated key is taken up.
type Secret interface {
	Resolve() (string, error)
}

// Keys seal with AES-256-GCM: the first one seals, all of them open, so that a key can be
// rotated. A sealed value names its key by a fingerprint.
type Keys []Secret

// NewKeys takes the key and those before it: 32 random bytes each, in base64 or hex. A previous
// key that is not there any more is no error before something needs it.
func NewKeys(key Secret, previous ...Secret) (Keys, error) {
	if _, err := resolveKey(key); err != nil {
		return nil, err
	}
	return append(Keys{key}, previous...), nil
}

const (
	fingerprintSize = 8
	maxValue        = 1 << 19
)

// errUnknownKey: sealed by a key that is not configured. The value itself may be all right.
var errUnknownKey = errors.New("it was sealed with another key: add that key to tokens.previous_keys")

// errDamaged: changed, cut short, or sealed for another name.
var errDamaged = errors.New("its content is damaged, or was sealed for another connection")

func resolveKey(s Secret) ([]byte, error) {
	text, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("key of the tokens: %w", err)
	}
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(text); err == nil && len(b) == 32 {
			return b, nil
		}
	}
	return nil, errors.New("key of the tokens: it must be 32 random bytes in base64 or hex: make one with `openssl rand -base64 32`")
}

func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("crossdock token key\x00"), key...))
	return string(sum[:fingerprintSize])
}

// find returns the key with a fingerprint and its place among the keys.
func (k Keys) find(id string) (key []byte, place int, err error) {
	var missing error
	for i, s := range k {
		key, err := resolveKey(s)
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		if fingerprint(key) == id {
			return key, i, nil
		}
	}
	if missing != nil {
		return nil, 0, fmt.Errorf("%w (%w)", errUnknownKey, missing)
	}
	return nil, 0, errUnknownKey
}

// A value in the topic is: head ‖ nonce ‖ sealed text with its tag, where head is magic,
// fingerprint of the key and version. Head, scope and name are sealed with it: neither a value
// nor its version can be changed, and it cannot be moved to another connection.
const (
	valueMagic  = "CDT1"
	versionAt   = len(valueMagic) + fingerprintSize
	valueHead   = versionAt + 8
	maxVersion  = 1 << 62
	maxSealed   = maxValue + 1024
	keyIDPrefix = 4 // bytes of a fingerprint that are shown to people
)

func boundTo(head []byte, scope, name string) []byte {
	return slices.Concat(head, []byte(scope), []byte{0}, []byte(name))
}

// seal makes a value of the topic.
func (k Keys) seal(scope, name string, version uint64, value []byte) ([]byte, error) {
	if len(value) > maxValue {
		return nil, fmt.Errorf("%d bytes are no token", len(value))
	}
	key, err := resolveKey(k[0])
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint64([]byte(valueMagic+fingerprint(key)), version)
	sealed, err := seal(key, value, boundTo(head, scope, name))
	if err != nil {
		return nil, err
	}
	return append(head, sealed...), nil
}

// opened is a value of the topic that is authentic.
type opened struct {
	version uint64
	value   []byte
	place   int // of its key; 0 = the one that seals
}

func (k Keys) open(scope, name string, b []byte) (o opened, err error) {
	if len(b) < valueHead || len(b) > maxSealed || string(b[:len(valueMagic)]) != valueMagic {
		return o, errDamaged
	}
	key, place, err := k.find(string(b[len(valueMagic):versionAt]))
	if err != nil {
		return o, err
	}
	head := b[:valueHead]
	o = opened{version: binary.BigEndian.Uint64(b[versionAt:]), place: place}
	if o.value, err = open(key, b[valueHead:], boundTo(head, scope, name)); err != nil || o.version > maxVersion {
		return opened{}, errDamaged
	}
	return o, nil
}

// keyID is the beginning of the fingerprint of the key that sealed a value, for people.
func keyID(b []byte) string {
	if len(b) < valueHead {
		return ""
	}
	return hex.EncodeToString(b[len(valueMagic) : len(valueMagic)+keyIDPrefix])
}

func seal(key, value, bound []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, value, bound), nil
}

// open never returns nil without an error: an empty value is a value.
func open(key, sealed, bound []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("cut short")
	}
	return aead.Open([]byte{}, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], bound)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
