package bearer

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// Token is an access token as the token store keeps it. What a platform does not give is empty.
type Token struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"`
	Expires time.Time `json:"expires"`
	// Begun is a fingerprint of the credentials that it was given for.
	Begun string `json:"begun,omitempty"`
	// Previous is the token before it: should an answer turn out to be wrong, an operator still
	// finds the last pair that worked.
	Previous *Token `json:"previous,omitempty"`
}

// margin is how long before its end a token is not used any more.
const margin = time.Minute

// Holder hands out the access token of one name. One renewal is in flight at a time, in this
// process by mu and over all processes by the token store's lock. A token is saved before it is
// used: where tokens rotate the one before it is dead by then, and elsewhere all processes are
// to use one.
//
// Safe for concurrent use.
type Holder struct {
	deps connectors.Deps
	name string
	// precious: a stored token that cannot be read is an error, because no other can be asked for.
	precious bool

	mu sync.Mutex
	// held is the newest token known here. unsaved: the platform gave it, but the store did not
	// take it yet; it must not be used and must not be lost.
	held    *Token
	unsaved bool
}

// NewHolder makes a holder of the token that the store keeps under a name.
func NewHolder(deps connectors.Deps, name string) *Holder { return &Holder{deps: deps, name: name} }

// Precious makes a holder of a token without which the owner has to be asked again.
func Precious(deps connectors.Deps, name string) *Holder {
	return &Holder{deps: deps, name: name, precious: true}
}

// Name of the token in the store.
func (h *Holder) Name() string { return h.name }

// Good reports whether a token lasts for a while. stale is one that the platform has just
// refused: it is good no more.
func (h *Holder) Good(t *Token, stale string) bool {
	return t != nil && t.Access != "" && t.Access != stale && h.deps.Now().Add(margin).Before(t.Expires)
}

// Token returns an access token that serves. When the one at hand does not, renew is called
// with what the store has (nil: nothing), and gives that back if it serves, or another. Both are
// called by one goroutine at a time.
//
// Errors: of the store, of renew. A token that could not be saved is kept, and the next call
// saves it instead of asking for another.
func (h *Holder) Token(ctx context.Context, serves func(*Token) bool, renew func(ctx context.Context, stored *Token) (*Token, error)) (string, error) {
	// Everybody waits here for the one that renews.
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.unsaved && serves(h.held) {
		return h.held.Access, nil
	}
	unlock, err := h.deps.Tokens.Lock(ctx, h.name)
	if err != nil {
		return "", fmt.Errorf("locking the token of %s: %w", h.deps.Account, err)
	}
	defer unlock()
	if !h.unsaved {
		// Another process may have renewed it while we waited.
		stored, err := h.Load(ctx)
		if err != nil {
			return "", err
		}
		h.held = stored
		fresh, err := renew(ctx, stored)
		if err != nil {
			return "", err
		}
		if fresh == stored {
			return stored.Access, nil
		}
		h.held, h.unsaved = fresh, true
	}
	if err := h.Save(ctx, h.held); err != nil {
		if connectors.Superseded(err) {
			h.held, h.unsaved = nil, false
		}
		return "", err
	}
	h.unsaved = false
	return h.held.Access, nil
}

// Load returns what the store has, nil when there is nothing. What cannot be read is nothing,
// unless it is precious: ErrNeedsAuthorisation.
func (h *Holder) Load(ctx context.Context) (*Token, error) {
	b, err := h.deps.Tokens.Load(ctx, h.name)
	if err != nil {
		return nil, fmt.Errorf("loading the token of %s: %w", h.deps.Account, err)
	}
	t := &Token{}
	switch {
	case b == nil:
		return nil, nil
	case json.Unmarshal(b, t) == nil:
		return t, nil
	case h.precious:
		// The content is a secret: the decoder's words are not repeated.
		return nil, fmt.Errorf("%w: the stored token of %s cannot be read: delete it and authorise the account again", connectors.ErrNeedsAuthorisation, h.deps.Account)
	}
	return nil, nil
}

// Save stores a token. The caller holds the store's lock of its name.
func (h *Holder) Save(ctx context.Context, t *Token) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding the token of %s: %w", h.deps.Account, err)
	}
	if err := h.deps.Tokens.Save(ctx, h.name, b); err != nil {
		return fmt.Errorf("saving the token of %s: %w", h.deps.Account, err)
	}
	return nil
}

// Last is the token itself, without what was before it; nil for none.
func (t *Token) Last() *Token {
	if t == nil {
		return nil
	}
	last := *t
	last.Previous = nil
	return &last
}
