package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// Operations of the Notifications API. What is the application's own, and not a seller's, is
// asked with a grantless token.
var (
	opGetDestinations    = operation{name: "getDestinations", method: http.MethodGet, pause: time.Second, scope: scopeNotifications}
	opCreateDestination  = operation{name: "createDestination", method: http.MethodPost, pause: time.Second, scope: scopeNotifications}
	opGetSubscription    = operation{name: "getSubscription", method: http.MethodGet, pause: time.Second}
	opCreateSubscription = operation{name: "createSubscription", method: http.MethodPost, pause: time.Second}
	opDeleteSubscription = operation{name: "deleteSubscriptionById", method: http.MethodDelete, pause: time.Second, scope: scopeNotifications}
)

// payloadVersion of the notifications that are read.
const payloadVersion = "1.0"

// keeper keeps the subscriptions of the seller's notifications to the queue.
type keeper struct {
	*client
	address queueAddress
}

// kinds is what is subscribed to.
func (k *keeper) kinds() []string {
	all := []string{kindOrderChange, kindQuantity}
	if k.cfg.FBA {
		all = append(all, kindFBA)
	}
	return all
}

// subscription as Amazon tells it.
type subscription struct {
	ID          string `json:"subscriptionId"`
	Version     string `json:"payloadVersion"`
	Destination string `json:"destinationId"`
}

// EnsureWebhooks makes the queue a destination, and subscribes it to what is wanted. Amazon
// calls no address of ours, so that the one that is given is not used. Called again and
// again: Amazon ends subscriptions of a queue that it cannot write into for long.
func (k *keeper) EnsureWebhooks(ctx context.Context, _ string) error {
	destination, err := k.destination(ctx)
	if err != nil {
		return fmt.Errorf("naming the queue to Amazon: %w", err)
	}
	for _, kind := range k.kinds() {
		if err := k.subscribe(ctx, kind, destination); err != nil {
			return fmt.Errorf("subscribing to %s: %w", kind, err)
		}
	}
	return nil
}

// destination is the id under which Amazon knows the queue.
func (k *keeper) destination(ctx context.Context) (id string, err error) {
	type found struct {
		ID       string `json:"destinationId"`
		Resource struct {
			SQS struct {
				ARN string `json:"arn"`
			} `json:"sqs"`
		} `json:"resource"`
	}
	a, err := k.read(ctx, call{op: opGetDestinations, path: "/notifications/v1/destinations", priority: connectors.Normal})
	if err != nil {
		return "", err
	}
	var all struct {
		Payload []found `json:"payload"`
	}
	if err := json.Unmarshal(a.body, &all); err != nil {
		return "", calls.Passing(errors.New("the list of destinations cannot be read"))
	}
	arn := k.address.arn()
	for _, d := range all.Payload {
		if d.Resource.SQS.ARN == arn && d.ID != "" {
			return d.ID, nil
		}
	}
	if a, err = k.send(ctx, call{op: opCreateDestination, path: "/notifications/v1/destinations", priority: connectors.Normal, body: map[string]any{
		"name": "crossdock-" + k.address.name, "resourceSpecification": map[string]any{"sqs": map[string]any{"arn": arn}},
	}}); err != nil {
		return "", err
	}
	var made struct {
		Payload found `json:"payload"`
	}
	if err := json.Unmarshal(a.body, &made); err != nil || made.Payload.ID == "" {
		return "", calls.Passing(errors.New("the new destination has no id"))
	}
	return made.Payload.ID, nil
}

func (k *keeper) subscribe(ctx context.Context, kind, destination string) error {
	have, err := k.subscription(ctx, kind)
	if err != nil {
		return err
	}
	path := "/notifications/v1/subscriptions/" + url.PathEscape(kind)
	if have != nil {
		if have.Destination == destination && have.Version == payloadVersion {
			return nil
		}
		if _, err := k.send(ctx, call{op: opDeleteSubscription, path: path + "/" + url.PathEscape(have.ID), priority: connectors.Normal}); err != nil && !errors.Is(err, errNotFound) {
			return err
		}
	}
	_, err = k.send(ctx, call{op: opCreateSubscription, path: path, priority: connectors.Normal, body: map[string]any{
		"payloadVersion": payloadVersion, "destinationId": destination,
	}})
	return err
}

// subscription is nil when there is none.
func (k *keeper) subscription(ctx context.Context, kind string) (*subscription, error) {
	a, err := k.read(ctx, call{
		op: opGetSubscription, path: "/notifications/v1/subscriptions/" + url.PathEscape(kind),
		query: url.Values{"payloadVersion": {payloadVersion}}, priority: connectors.Normal,
	})
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var have struct {
		Payload subscription `json:"payload"`
	}
	if err := json.Unmarshal(a.body, &have); err != nil || have.Payload.ID == "" {
		return nil, calls.Passing(errors.New("the subscription cannot be read"))
	}
	return &have.Payload, nil
}
