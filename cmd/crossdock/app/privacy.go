package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/processors/privacy"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// privacyKey is what people are hashed with: the key of the analysts' hashes, so that both are
// the same. Where those are off, the scope's name stands for it; then whoever may read the table
// of requests, and has a list of ids to try, can tell who they are.
func (a *App) privacyKey() ([]byte, error) {
	ref := a.Config.ClickHouse.BuyerKey
	if ref == "" {
		return []byte(a.Scope.Key("privacy")), nil
	}
	key, err := ref.Resolve()
	if err != nil {
		return nil, fmt.Errorf("clickhouse.buyer_key: %w", err)
	}
	return []byte(key), nil
}

func (a *App) privacyRoom() (stream.Fold, error) {
	key, err := a.privacyKey()
	if err != nil {
		return nil, err
	}
	return privacy.New(privacy.Config{Key: key})
}

// describedPrivacyRoom is only looked at, or restored: it hashes nobody and needs no secret.
func describedPrivacyRoom() (stream.Fold, error) {
	return privacy.New(privacy.Config{Key: []byte("described")})
}

func startPrivacy(a *App, _ context.Context) (func(context.Context) error, error) {
	run, err := a.loop(a.privacyRoom())
	if err != nil {
		return nil, err
	}
	key, err := a.privacyKey()
	if err != nil {
		return nil, err
	}
	sweeper, err := privacy.NewSweeper(privacy.SweepConfig{Key: key, Interval: a.Config.Privacy.Interval}, privacy.SweepDeps{
		Scan: a.scan, Publish: a.Producer, Now: time.Now, Log: a.Log, Metrics: a.Registry,
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return run(ctx) })
		g.Go(func() error { return sweeper.Run(ctx) })
		return g.Wait()
	}, nil
}

// scan reads topics from their beginning to their end as it is now.
func (a *App) scan(ctx context.Context, topics []schemas.Topic, f func(*kafka.Scanned) error) error {
	return kafka.Scan(ctx, a.Config.KafkaConfig(), a.Scope, a.Log, topics, time.Time{}, f)
}

// PrivacyRequests are all requests about people's data that are on record, by their deadlines.
func (a *App) PrivacyRequests(ctx context.Context) ([]*event.PrivacyState, error) {
	states, err := privacy.Requests(ctx, a.scan)
	if err != nil {
		return nil, err
	}
	asked := states[:0]
	for _, s := range states {
		if privacy.Asked(s) {
			asked = append(asked, s)
		}
	}
	return asked, nil
}

// PrivacyRequest is one of them, by account/request.
func (a *App) PrivacyRequest(ctx context.Context, id string) (*event.PrivacyState, error) {
	states, err := a.PrivacyRequests(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.Account+"/"+s.Id == id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no request %s is on record: `crossdock privacy list --all` shows all", id)
}

// PrivacyExport writes what is held of the person of a request as JSON, and returns the number of
// orders.
func (a *App) PrivacyExport(ctx context.Context, s *event.PrivacyState, now time.Time, w io.Writer) (int, error) {
	key, err := a.privacyKey()
	if err != nil {
		return 0, err
	}
	e, err := privacy.Collect(ctx, a.scan, key, s, now)
	if err != nil {
		return 0, err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return len(e.Orders), enc.Encode(e)
}

// PrivacyHandover records that what was asked for was handed over.
func (a *App) PrivacyHandover(ctx context.Context, s *event.PrivacyState, by, note string, now time.Time) error {
	b, err := (&event.PrivacyInput{Input: &event.PrivacyInput_Handover{Handover: &event.PrivacyHandover{
		Account: s.Account, RequestId: s.Id, By: by, Note: note, AtMs: now.UnixMilli(),
	}}}).MarshalVTStrict()
	if err != nil {
		return fmt.Errorf("encoding a handover: %w", err)
	}
	if err := a.Producer.Produce(ctx, []kafka.Record{{Topic: schemas.PrivacyIn, Key: []byte(s.Account + "/" + s.Id), Value: b}}); err != nil {
		return fmt.Errorf("recording a handover: %w", err)
	}
	return nil
}
