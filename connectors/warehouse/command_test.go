package warehouse

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

const asking = `"id":"r/1","account":"shop-uk","occurred_at":"2011-12-09T12:50:00Z"`

// requests are a good one of each kind, with all that it may hold.
var requests = map[string]string{
	"price of a SKU":   `{"kind":"price",` + asking + `,"sku":"85123A","amount":{"text":"12.50","currency":"GBP"}}`,
	"price of a thing": `{"kind":"price",` + asking + `,"listing":"44","product":"4","amount":{"text":"12.50","currency":"GBP"}}`,
	"shipment":         `{"kind":"shipment",` + asking + `,"order":"1001","lines":[{"line":"7","quantity":2},{"line":"8","quantity":1}],"carrier":"dhl","carrier_name":"DHL Paket","tracking":"00340434","tracking_url":"https://dhl.example.com/00340434","notify":true}`,
	"all of an order":  `{"kind":"shipment",` + asking + `,"order":"1001","lines":"all"}`,
	"cancellation":     `{"kind":"cancellation",` + asking + `,"order":"1001","reason":"customer","restock":true,"notify":false}`,
	"refund":           `{"kind":"refund",` + asking + `,"order":"1001","lines":[{"line":"7","quantity":1}],"amount":{"text":"3","currency":"GBP"},"payment":"p1","restock":"return","note":"broken"}`,
	"refund of lines":  `{"kind":"refund",` + asking + `,"order":"1001","lines":[{"line":"7","quantity":1}]}`,
}

func TestTranslateRequests(t *testing.T) {
	base := func(order string) *event.Command {
		return &event.Command{Id: "r/1", Account: "shop-uk", OrderId: order, RequestedMs: atMs}
	}
	pounds := func(unscaled int64, scale int32) *event.Amount {
		return &event.Amount{Value: &event.Decimal{Unscaled: unscaled, Scale: scale}, Currency: "GBP"}
	}
	line := &event.CommandLine{LineId: "7", Quantity: 1}
	want := map[string]*event.Command{}
	for name := range requests {
		want[name] = base("1001")
	}
	want["price of a SKU"] = base("")
	want["price of a SKU"].Action = &event.Command_Price{Price: &event.PriceChange{Sku: "85123A", Amount: pounds(125, 1)}}
	want["price of a thing"] = base("")
	want["price of a thing"].Action = &event.Command_Price{Price: &event.PriceChange{ListingId: "44", ProductId: "4", Amount: pounds(125, 1)}}
	want["shipment"].Action = &event.Command_Shipment{Shipment: &event.ShipmentReport{
		Lines:       []*event.CommandLine{{LineId: "7", Quantity: 2}, {LineId: "8", Quantity: 1}},
		CarrierCode: "dhl", CarrierName: "DHL Paket", Tracking: "00340434", TrackingUrl: "https://dhl.example.com/00340434", Notify: true,
	}}
	want["all of an order"].Action = &event.Command_Shipment{Shipment: &event.ShipmentReport{}}
	want["cancellation"].Action = &event.Command_Cancellation{Cancellation: &event.Cancellation{Reason: "customer", Restock: true}}
	want["refund"].Action = &event.Command_Refund{Refund: &event.RefundRequest{
		Lines: []*event.CommandLine{line}, Amount: pounds(3, 0), PaymentId: "p1", Restock: event.Restock_RESTOCK_RETURN, Note: "broken",
	}}
	want["refund of lines"].Action = &event.Command_Refund{Refund: &event.RefundRequest{Lines: []*event.CommandLine{line}}}
	for name, body := range requests {
		got, err := translate(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(connectors.Facts{Commands: []*event.Command{want[name]}}, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTranslateRefusesRequests: what is refused names its place.
func TestTranslateRefusesRequests(t *testing.T) {
	change := func(name, from, to string) string {
		if !strings.Contains(requests[name], from) {
			t.Fatalf("%s is not in %s", from, name)
		}
		return strings.Replace(requests[name], from, to, 1)
	}
	for body, place := range map[string]string{
		change("price of a SKU", `"sku":"85123A",`, ""):                                             "$.sku: it is missing, and so is listing",
		change("price of a SKU", `"sku"`, `"listing":"4","sku"`):                                    "$.listing: name the SKU or the listing",
		change("price of a SKU", `"sku"`, `"product":"4","sku"`):                                    "$.product: it goes with listing",
		change("price of a SKU", `12.50`, `0.00`):                                                   "$.amount.text: a price above 0",
		change("price of a SKU", `12.50`, `-1`):                                                     "$.amount.text: -1 is below 0",
		change("price of a SKU", `12.50`, `12.505`):                                                 "$.amount",
		change("price of a SKU", `"12.50"`, `12.50`):                                                "$.amount.text: not a string",
		change("price of a SKU", `GBP`, `XQQ`):                                                      "$.amount",
		change("price of a SKU", `"account":"shop-uk",`, ""):                                        "$.account: it is missing",
		change("price of a SKU", `"sku"`, `"order":"1","sku"`):                                      "$.order: a request of kind price has no such member",
		change("price of a SKU", `"sku"`, `"quantity":1,"sku"`):                                     "$.quantity: a request of kind price has no such member",
		change("shipment", `"order":"1001",`, ""):                                                   "$.order: it is missing",
		change("shipment", `"1001"`, `1001`):                                                        "$.order: not a string",
		change("all of an order", `,"lines":"all"`, ""):                                             "$.lines: it is missing",
		change("all of an order", `"all"`, `"some"`):                                                `$.lines: "some" is neither "all" nor a list`,
		change("all of an order", `"all"`, `[]`):                                                    "$.lines: it is empty",
		change("all of an order", `"all"`, `null`):                                                  "$.lines: not a JSON array",
		change("all of an order", `"all"`, `[{"line":"7"}]`):                                        "$.lines[0].quantity: it is missing",
		change("all of an order", `"all"`, `[{"quantity":1}]`):                                      "$.lines[0].line: it is missing",
		change("all of an order", `"all"`, `[{"line":"7","quantity":0}]`):                           "$.lines[0].quantity: 0",
		change("all of an order", `"all"`, `[{"line":"7","quantity":1,"sku":"x"}]`):                 "$.lines[0].sku: a line has no such member",
		change("all of an order", `"all"`, `[{"line":"7","quantity":1},{"line":"7","quantity":2}]`): `$.lines[1].line: "7" stands twice`,
		change("shipment", `"tracking":"00340434",`, ""):                                            "$.tracking: it is missing, and tracking_url is there",
		change("shipment", `https://`, `javascript:`):                                               "$.tracking_url",
		change("shipment", `"notify":true`, `"notify":"yes"`):                                       `$.notify: "yes" is not true or false`,
		change("shipment", `"notify":true`, `"notify":1`):                                           "$.notify: 1 is not true or false",
		change("cancellation", `"reason":"customer",`, ""):                                          "$.reason: it is missing",
		change("cancellation", `"restock":true`, `"restock":"return"`):                              "$.restock",
		change("refund", `"restock":"return"`, `"restock":true`):                                    "$.restock: not a string",
		change("refund", `"restock":"return"`, `"restock":"shelf"`):                                 `$.restock: "shelf" is not known`,
		change("refund of lines", `,"lines":[{"line":"7","quantity":1}]`, ""):                       "$.amount: it is missing, and so are lines",
		change("refund of lines", `[{"line":"7","quantity":1}]`, `"all"`):                           "$.lines: not a JSON array",
		change("refund", `"text":"3"`, `"text":"0"`):                                                "$.amount.text: an amount above 0",
		change("refund", `"order"`, `"reason":"x","order"`):                                         "$.reason: a request of kind refund has no such member",
	} {
		got, err := translate(body)
		if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), place) {
			t.Errorf("%.300s\n\tgot %v, want %s", body, err, place)
		}
		if len(got.Commands) != 0 {
			t.Errorf("%s: refused and translated", body)
		}
	}
}

// TestEveryTruncatedRequestIsMalformed: never half of a command.
func TestEveryTruncatedRequestIsMalformed(t *testing.T) {
	for _, body := range requests {
		for i := range body {
			if _, err := translate(body[:i]); !errors.Is(err, connectors.ErrMalformed) {
				t.Errorf("cut at %d: %v", i, err)
			}
		}
	}
}
