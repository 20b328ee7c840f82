package calls

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/helloword/crossdock/connectors"
)

// Journal is what is written down of the writes to one object before they are sent, by the name
// of each: for a platform that neither knows a write by our name nor refuses it the second time.
// It stands in the token store, which is durable before Save returns and refuses whoever slept
// through the end of its lock. Whoever reads and writes one holds the lock of its name.
type Journal[E any] map[string]E

// LoadJournal reads a journal; an empty one where nothing was written down. advice says where to
// look before a journal that cannot be read is deleted.
func LoadJournal[E any](ctx context.Context, store connectors.TokenStore, name, advice string) (Journal[E], error) {
	b, err := store.Load(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", name, err)
	}
	j := Journal[E]{}
	if b != nil {
		if err := json.Unmarshal(b, &j); err != nil {
			return nil, fmt.Errorf("%w: the journal %s cannot be read: %s, then delete the journal", connectors.ErrPermanent, name, advice)
		}
	}
	return j, nil
}

// Save makes the journal durable.
func (j Journal[E]) Save(ctx context.Context, store connectors.TokenStore, name string) error {
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	if err := store.Save(ctx, name, b); err != nil {
		return fmt.Errorf("saving %s: %w", name, err)
	}
	return nil
}
