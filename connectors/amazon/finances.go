package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/money"
)

// opTransactions is of Finances 2024-06-19. It tells of a refund up to two days late (contract):
// what it tells is believed, what it does not tell means nothing.
var opTransactions = operation{name: "listTransactions", method: http.MethodGet, pause: 2 * time.Second}

// givenBack is one refund that Amazon's books tell of.
type givenBack struct {
	id string
	// goods is what was given back for the goods themselves, in the currency's smallest units;
	// told is false when the books do not say.
	goods int64
	told  bool
}

// transaction is what is read of one.
type transaction struct {
	ID         string      `json:"transactionId"`
	Kind       string      `json:"transactionType"`
	Breakdowns []breakdown `json:"breakdowns"`
	Items      []struct {
		Breakdowns []breakdown `json:"breakdowns"`
	} `json:"items"`
	Related []struct {
		Name string `json:"relatedIdentifierName"`
	} `json:"relatedIdentifiers"`
}

type breakdown struct {
	Kind   string `json:"breakdownType"`
	Amount struct {
		Currency string      `json:"currencyCode"`
		Value    json.Number `json:"currencyAmount"`
	} `json:"breakdownAmount"`
	Breakdowns []breakdown `json:"breakdowns"`
}

// UnmarshalJSON reads a transaction whose breakdowns are a list, as Amazon answers, or a list in
// an object, as the contract's example has it.
func (t *transaction) UnmarshalJSON(text []byte) error {
	type plain transaction
	var v struct {
		plain
		Breakdowns json.RawMessage `json:"breakdowns"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*t = transaction(v.plain)
	if len(v.Breakdowns) == 0 || string(v.Breakdowns) == "null" {
		return nil
	}
	if err := json.Unmarshal(v.Breakdowns, &t.Breakdowns); err == nil {
		return nil
	}
	var wrapped struct {
		Breakdowns []breakdown `json:"breakdowns"`
	}
	if err := json.Unmarshal(v.Breakdowns, &wrapped); err != nil {
		return fmt.Errorf("the breakdowns of a transaction: %w", err)
	}
	t.Breakdowns = wrapped.Breakdowns
	return nil
}

// maxTransactionPages bounds the transactions of one order. Pages may be empty.
const maxTransactionPages = 10

// givenBack lists the refunds of an order that Amazon's books tell of.
func (c *client) givenBack(ctx context.Context, order, currency string) (all []givenBack, err error) {
	query := url.Values{"relatedIdentifierName": {"ORDER_ID"}, "relatedIdentifierValue": {order}}
	for range maxTransactionPages {
		a, err := c.read(ctx, call{op: opTransactions, path: "/finances/2024-06-19/transactions", query: query, priority: connectors.Normal})
		if err != nil {
			return nil, err
		}
		var page struct {
			Payload struct {
				Next         string        `json:"nextToken"`
				Transactions []transaction `json:"transactions"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			return nil, calls.Passing(fmt.Errorf("the transactions of order %s cannot be read: %v", calls.Clip(order), err))
		}
		for _, t := range page.Payload.Transactions {
			if t.refunds() {
				g := givenBack{id: t.ID}
				g.goods, g.told = t.goods(currency)
				all = append(all, g)
			}
		}
		if page.Payload.Next == "" {
			return all, nil
		}
		query.Set("nextToken", page.Payload.Next)
	}
	return nil, calls.Passing(errors.New("the transactions of an order do not end"))
}

// refunds says whether it is a refund, and not the release of one that was deferred, which tells
// the same money once more.
func (t *transaction) refunds() bool {
	for _, r := range t.Related {
		if r.Name == "DEFERRED_TRANSACTION_ID" {
			return false
		}
	}
	return strings.EqualFold(t.Kind, "Refund")
}

// goods is what was given back for the goods. The items have it, or else the transaction.
func (t *transaction) goods(currency string) (sum int64, told bool) {
	for _, i := range t.Items {
		minor, ok := goodsOf(i.Breakdowns, currency)
		sum, told = sum+minor, told || ok
	}
	if !told {
		sum, told = goodsOf(t.Breakdowns, currency)
	}
	return sum, told && sum > 0
}

// goodsOf adds up the charges for products, wherever they stand: they are below Sales or below
// Expenses (https://github.com/amzn/selling-partner-api-models/issues/4274).
func goodsOf(all []breakdown, currency string) (sum int64, told bool) {
	for _, b := range all {
		if strings.EqualFold(strings.ReplaceAll(b.Kind, " ", ""), "ProductCharges") {
			minor, err := money.ParseNumber(provider, currency, b.Amount.Value.String())
			if err != nil || !strings.EqualFold(b.Amount.Currency, currency) {
				continue
			}
			sum, told = sum-minor, true // what the seller loses is below zero
			continue
		}
		minor, ok := goodsOf(b.Breakdowns, currency)
		sum, told = sum+minor, told || ok
	}
	return sum, told
}
