package ebay

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// keyring keeps the public keys of notifications by their ids. It is bounded, and fetches
// one key at a time: a stranger who makes ids up costs at most the calls that foreign allows.
// https://developer.ebay.com/api-docs/commerce/notification/resources/public_key/methods/getPublicKey
type keyring struct {
	*client
	// turn holds one token: whoever takes it out may look at what follows, and fetch. It is no
	// mutex, for a fetch may wait long for quota, and who waits behind it has a deadline.
	turn chan struct{}
	keys map[string]keptKey
	// unknown is ids that eBay does not know, until when; foreign counts them since the hour
	// began. They stand apart, so that they cannot crowd out the keys.
	unknown map[string]time.Time
	foreign int
	hour    time.Time
}

type keptKey struct {
	key   *ecdsa.PublicKey
	until time.Time
}

const (
	// keyLife is how long a key is kept; eBay asks to keep them for an hour at least.
	keyLife = 6 * time.Hour
	// unknownLife is how long an id stays unknown: a new key may be announced late.
	unknownLife = 5 * time.Minute
	maxKeys     = 100
	// maxForeign is how many unknown ids are asked for in an hour. eBay grants 10,000 calls
	// a day to this API.
	maxForeign = 60
)

func newKeyring(c *client) *keyring {
	k := &keyring{client: c, turn: make(chan struct{}, 1), keys: map[string]keptKey{}, unknown: map[string]time.Time{}}
	k.turn <- struct{}{}
	return k
}

// key is nil without an error for an id that eBay does not know.
func (k *keyring) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	// Everybody waits here for the one that fetches: the next one usually wants the same.
	select {
	case <-k.turn:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the public key of notifications: %w", ctx.Err())
	}
	defer func() { k.turn <- struct{}{} }()
	now := k.deps.Now()
	if kept, ok := k.keys[id]; ok && now.Before(kept.until) {
		return kept.key, nil
	}
	if now.Before(k.unknown[id]) {
		return nil, nil
	}
	if now.Sub(k.hour) >= time.Hour {
		k.hour, k.foreign = now, 0
	}
	if k.foreign >= maxForeign {
		return nil, nil // no more ids are asked for until the hour is over
	}
	key, err := k.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	if key == nil {
		k.foreign++
		if len(k.unknown) >= maxKeys {
			clear(k.unknown)
		}
		k.unknown[id] = now.Add(unknownLife)
		return nil, nil
	}
	if len(k.keys) >= maxKeys {
		clear(k.keys)
	}
	k.keys[id] = keptKey{key, now.Add(keyLife)}
	return key, nil
}

func (k *keyring) fetch(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	a, err := k.read(ctx, request{endpoint: callKey, ids: []string{id}, priority: connectors.Urgent})
	var refused *refusal
	if errors.As(err, &refused) && (refused.status == http.StatusNotFound || refused.status == http.StatusBadRequest) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Key       string `json:"key"`
		Algorithm string `json:"algorithm"`
	}
	if err := decode(a, callKey.name(), &answer); err != nil {
		return nil, err
	}
	der, err := unarmoured(answer.Key, "PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("reading the public key of notifications: %w", err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("reading the public key of notifications: it is no public key")
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the public key of notifications is of another kind than ECDSA: take a newer release", connectors.ErrPermanent)
	}
	return key, nil
}
