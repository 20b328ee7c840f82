package bearer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/helloword/crossdock/connectors"
)

// grant is the refresh token that an owner gave, as the token store keeps it: one that does
// not rotate, under a name of its own, because it outlives the access tokens.
type grant struct {
	Refresh string `json:"refresh"`
}

// Keep saves the refresh token that an owner gave.
func Keep(ctx context.Context, deps connectors.Deps, name, refresh string) error {
	b, err := json.Marshal(grant{refresh})
	if err != nil {
		return fmt.Errorf("encoding the owner's agreement to %s: %w", deps.Account, err)
	}
	unlock, err := deps.Tokens.Lock(ctx, name)
	if err != nil {
		return fmt.Errorf("locking the owner's agreement to %s: %w", deps.Account, err)
	}
	defer unlock()
	if err := deps.Tokens.Save(ctx, name, b); err != nil {
		return fmt.Errorf("saving the owner's agreement to %s: %w", deps.Account, err)
	}
	return nil
}

// Kept is what Keep saved; "" when there is nothing that can be read.
func Kept(ctx context.Context, deps connectors.Deps, name string) (refresh string, err error) {
	b, err := deps.Tokens.Load(ctx, name)
	if err != nil {
		return "", fmt.Errorf("loading the owner's agreement to %s: %w", deps.Account, err)
	}
	var g grant
	if b == nil || json.Unmarshal(b, &g) != nil {
		return "", nil
	}
	return g.Refresh, nil
}
