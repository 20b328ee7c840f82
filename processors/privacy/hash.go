package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"sync"
)

// hasher makes what stands for a person in a request's entry. For a person of one account it is
// what the ClickHouse sink writes into the column buyer with the same key, so that whoever looks
// at one finds the other.
type hasher struct {
	macs sync.Pool
	// id says which key it is, without saying it.
	id string
}

func newHasher(key []byte) (*hasher, error) {
	if len(key) == 0 {
		return nil, errors.New("privacy: no key for the hashes of people")
	}
	h := &hasher{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
	h.id = h.person("crossdock", "privacy key")[:8]
	return h, nil
}

// person is the first 16 hex digits of HMAC-SHA256(key, realm NUL id).
func (h *hasher) person(realm, id string) string {
	mac := h.macs.Get().(hash.Hash)
	defer h.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(realm))
	mac.Write([]byte{0})
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// realm is where a platform's id means one person: an account, or the whole platform. Accounts'
// names have no colon.
func realm(connector, account string, everyAccount bool) string {
	if everyAccount {
		return "every:" + connector
	}
	return account
}
