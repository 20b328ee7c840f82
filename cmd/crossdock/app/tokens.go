package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/helloword/crossdock/internal/tokens"
)

// errNotInKafka: these commands are for the topic.
var errNotInKafka = errors.New("tokens are not kept in Kafka: set tokens.key and leave tokens.dir out")

// Tokens lists the tokens in Kafka, without their contents.
func (a *App) Tokens(ctx context.Context) ([]tokens.Status, error) {
	if a.kept == nil {
		return nil, errNotInKafka
	}
	return a.kept.List(ctx)
}

// ResealTokens seals with tokens.key what a previous key sealed.
func (a *App) ResealTokens(ctx context.Context) (int, error) {
	if a.kept == nil {
		return 0, errNotInKafka
	}
	return a.kept.Reseal(ctx)
}

// ImportTokens takes over the tokens of a folder of sealed files into Kafka. Those that Kafka
// has already are left as they are: they are newer.
func (a *App) ImportTokens(ctx context.Context, dir string) (taken, left []string, err error) {
	if a.kept == nil {
		return nil, nil, errNotInKafka
	}
	keys, err := a.tokenKeys()
	if err != nil {
		return nil, nil, err
	}
	files, err := tokens.NewFiles(dir, a.Scope.Key(""), keys)
	if err != nil {
		return nil, nil, err
	}
	names, err := files.Names()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		have, err := a.kept.Load(ctx, name)
		if err != nil {
			return taken, left, err
		}
		if have != nil {
			left = append(left, name)
			continue
		}
		value, err := files.Load(ctx, name)
		if err != nil {
			return taken, left, err
		}
		if value == nil {
			continue
		}
		if err := a.kept.Save(ctx, name, value, 0); err != nil {
			return taken, left, fmt.Errorf("taking over token %s: %w", name, err)
		}
		taken = append(taken, name)
	}
	return taken, left, nil
}
