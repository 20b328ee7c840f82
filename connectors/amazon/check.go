package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
)

var opParticipations = operation{name: "getMarketplaceParticipations", method: http.MethodGet, pause: time.Minute}

// checker asks what the connection may do. Amazon has no list of an authorisation's roles:
// each is found out by a question that needs it and changes nothing.
type checker struct {
	*client
	queue *queue
	keep  *keeper
}

// nobodysOrder is an id that no order has.
const nobodysOrder = "000-0000000-0000000"

// Check asks one question after another. A failure of one does not end it, but for the first:
// without an authorisation all others fail the same way.
func (k *checker) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	results, err := k.markets(ctx)
	if err != nil {
		return append(results, connectors.CheckResult{
			Subject: "seller " + k.cfg.SellerID, Detail: err.Error(),
			Advice: "check client_id, client_secret and refresh_token, that the application is authorised by this seller, and region",
		}), ctx.Err()
	}
	ask := func(subject, role string, c call) {
		_, err := k.read(ctx, c)
		var input *inputError
		r := connectors.CheckResult{Subject: subject, OK: err == nil || errors.Is(err, errNotFound) || errors.As(err, &input), Detail: "for " + role}
		if !r.OK {
			r.Detail = err.Error()
			r.Advice = "try again later"
			if errors.Is(err, connectors.ErrNeedsAuthorisation) {
				r.Advice = "give the application the role " + role + ", and authorise it again"
			}
		}
		results = append(results, r)
	}
	on := k.deps.Modules
	if on.Any(connectors.ModuleOrders, connectors.ModuleFulfilment) {
		ask("reading orders", "Inventory and Order Tracking", call{op: opGetOrder, path: "/orders/2026-01-01/orders/" + nobodysOrder})
	}
	if on.Any(connectors.ModuleProducts, connectors.ModuleInventory, connectors.ModuleFinance) {
		ask("reading and writing listings", "Product Listing", call{
			op: opSearchListings, path: "/listings/2021-08-01/items/" + url.PathEscape(k.cfg.SellerID),
			query: url.Values{"marketplaceIds": {strings.Join(k.cfg.Marketplaces, ",")}, "pageSize": {"1"}},
		})
	}
	if k.cfg.FBA && on.Has(connectors.ModuleInventory) {
		market := k.cfg.Marketplaces[0]
		ask("reading Amazon's warehouses", "Amazon Fulfillment", call{op: opInventory, path: "/fba/inventory/v1/summaries", query: url.Values{
			"granularityType": {"Marketplace"}, "granularityId": {market}, "marketplaceIds": {market},
		}})
	}
	if on.Any(connectors.ModuleFulfilment, connectors.ModuleFinance) {
		ask("cancelling and refunding", "Inventory and Order Tracking", call{op: opGetFeed, path: "/feeds/2021-06-30/feeds/0"})
	}
	if on.Has(connectors.ModuleFinance) {
		ask("seeing what was refunded", "Finance and Accounting", call{op: opTransactions, path: "/finances/2024-06-19/transactions", query: url.Values{
			"relatedIdentifierName": {"ORDER_ID"}, "relatedIdentifierValue": {nobodysOrder},
		}})
	}
	// The poller of orders empties the queue.
	if k.queue != nil && on.Has(connectors.ModuleOrders) {
		results = append(results, k.inbox(ctx)...)
	}
	for i := range results {
		if results[i].OK {
			results[i].Advice = ""
		}
	}
	return results, nil
}

// markets asks where the seller sells.
func (k *checker) markets(ctx context.Context) (results []connectors.CheckResult, err error) {
	a, err := k.read(ctx, call{op: opParticipations, path: "/sellers/v1/marketplaceParticipations"})
	if err != nil {
		return nil, err
	}
	var data struct {
		Payload []struct {
			Marketplace struct {
				ID       string `json:"id"`
				Country  string `json:"countryCode"`
				Currency string `json:"defaultCurrencyCode"`
			} `json:"marketplace"`
			Store         string `json:"storeName"`
			Participation struct {
				Takes     bool `json:"isParticipating"`
				Suspended bool `json:"hasSuspendedListings"`
			} `json:"participation"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(a.body, &data); err != nil {
		return nil, errors.New("the list of marketplaces cannot be read")
	}
	for _, id := range k.cfg.Marketplaces {
		r := connectors.CheckResult{Subject: "marketplace " + id, Detail: "the seller does not sell there", Advice: "take it out of marketplaces, or register there in Seller Central"}
		for _, p := range data.Payload {
			if p.Marketplace.ID != id {
				continue
			}
			m, _ := marketplaceByID(id)
			r.OK = p.Participation.Takes && p.Marketplace.Currency == m.currency
			r.Detail = fmt.Sprintf("%s, %s, %s", p.Store, p.Marketplace.Country, p.Marketplace.Currency)
			switch {
			case p.Marketplace.Currency != m.currency:
				r.Advice = "the marketplace trades in " + p.Marketplace.Currency + ", which this release does not know: take a newer one"
			case p.Participation.Suspended:
				r.Detail += ", some listings are suspended"
			}
		}
		results = append(results, r)
	}
	return results, nil
}

// notificationsPrincipal is the AWS account from which Amazon sends notifications.
// https://developer-docs.amazon.com/sp-api/docs/set-up-notifications-with-amazon-sqs
const notificationsPrincipal = "437568002678"

// policyProblem says what is wrong with a queue's policy; "" when Amazon may write into the
// queue and not everybody may.
func policyProblem(text string) string {
	var policy struct {
		Statement json.RawMessage `json:"Statement"`
	}
	type statement struct {
		Effect    string          `json:"Effect"`
		Principal json.RawMessage `json:"Principal"`
		Action    json.RawMessage `json:"Action"`
		Condition json.RawMessage `json:"Condition"`
	}
	var all []statement
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return "the queue has no policy that can be read"
	}
	if json.Unmarshal(policy.Statement, &all) != nil {
		var only statement // one statement may stand without a list
		if err := json.Unmarshal(policy.Statement, &only); err != nil {
			return "the queue's policy has no statements that can be read"
		}
		all = []statement{only}
	}
	amazon := false
	for _, s := range all {
		action := strings.ToLower(string(s.Action))
		if s.Effect != "Allow" || !(strings.Contains(action, "sqs:sendmessage") || strings.Contains(action, `"sqs:*"`) || strings.Contains(action, `"*"`)) {
			continue
		}
		switch principal := string(s.Principal); {
		case strings.Contains(principal, notificationsPrincipal):
			amazon = true
		case strings.Contains(principal, `"*"`) && len(s.Condition) == 0:
			return "everybody may write into the queue, and notifications are not signed"
		}
	}
	if !amazon {
		return "Amazon may not write into the queue"
	}
	return ""
}

// shortRetention is when a queue forgets too soon for a long weekend.
const shortRetention = 4 * 24 * time.Hour

// inbox looks at the queue and at what is sent into it.
func (k *checker) inbox(ctx context.Context) (results []connectors.CheckResult) {
	subject := "queue " + k.keep.address.name
	attributes, err := k.queue.attributes(ctx)
	if err != nil {
		results = append(results, connectors.CheckResult{Subject: subject, Detail: err.Error(),
			Advice: "check queue_url and the AWS access key: it needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes on this queue"})
	} else {
		problem := policyProblem(attributes["Policy"])
		detail := attributes["ApproximateNumberOfMessages"] + " notifications wait"
		if problem != "" {
			detail = problem
		}
		results = append(results, connectors.CheckResult{
			Subject: subject, OK: problem == "", Detail: detail,
			Advice: "let the principal " + notificationsPrincipal + " do sqs:SendMessage and sqs:GetQueueAttributes in the queue's policy, and nobody else: notifications are not signed",
		})
		seconds, err := strconv.ParseInt(attributes["MessageRetentionPeriod"], 10, 64)
		kept := time.Duration(seconds) * time.Second
		results = append(results, connectors.CheckResult{
			Subject: subject + " retention", OK: err == nil && kept >= shortRetention, Detail: "notifications are kept for " + kept.String(),
			Advice: "raise the queue's retention period to 14 days: what waits longer is lost, until the list of orders is read again",
		})
	}
	for _, kind := range k.keep.kinds() {
		r := connectors.CheckResult{Subject: "notifications " + kind, Advice: "they are subscribed to when the application runs; give it the role that the kind needs"}
		switch have, err := k.keep.subscription(ctx, kind); {
		case err != nil:
			r.Detail = err.Error()
		case have == nil:
			r.Detail = "there is no subscription"
		default:
			r.OK, r.Detail = true, "subscription "+have.ID
		}
		results = append(results, r)
	}
	return results
}
