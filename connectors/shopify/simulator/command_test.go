package simulator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func gidOf(kind string, id int64) string {
	b, _ := json.Marshal(id)
	return "gid://shopify/" + kind + "/" + string(b)
}

func sold(t testing.TB, s *Simulator) (Order, int64) {
	t.Helper()
	v, _ := mug(s, 10)
	id, err := s.PlaceOrder(OrderSpec{Paid: true, Payments: []PaymentSpec{{"gift_card", "3.00"}}, Lines: []LineSpec{{Variant: v, Quantity: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	return o, v
}

const fulfilDoc = `mutation($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) { fulfillment { id status } userErrors { field message } } }`

func TestFulfillmentCreate(t *testing.T) {
	s := shop(t, Config{})
	o, _ := sold(t, s)
	open := func() (orders []any) {
		_, answer := ask(t, s, `query($id: ID!) { order(id: $id) { fulfillmentOrders(first: 10) { nodes { id status supportedActions { action }
			lineItems(first: 10) { nodes { id remainingQuantity lineItem { id } } } } } } }`, map[string]any{"id": gidOf("Order", o.ID)})
		orders, _ = dig(answer, "data", "order", "fulfillmentOrders", "nodes").([]any)
		return orders
	}
	if err := s.SplitFulfilment(o.ID, 77, FulfilLineSpec{o.Lines[0].ID, 1}); err != nil {
		t.Fatal(err)
	}
	here, there := open()[0], open()[1]
	if dig(here, "lineItems", "nodes", 0, "remainingQuantity") != 2.0 || dig(there, "lineItems", "nodes", 0, "remainingQuantity") != 1.0 {
		t.Fatalf("split: %v, %v", here, there)
	}
	group := func(fo any, quantity int) map[string]any {
		return map[string]any{"fulfillmentOrderId": dig(fo, "id"), "fulfillmentOrderLineItems": []any{map[string]any{"id": dig(fo, "lineItems", "nodes", 0, "id"), "quantity": quantity}}}
	}
	for _, tc := range []struct {
		name    string
		groups  []any
		ok      bool
		shipped int64
	}{
		{"nothing", []any{}, false, 0},
		{"too many", []any{group(here, 3)}, false, 0},
		{"none", []any{group(here, 0)}, false, 0},
		{"of two locations", []any{group(here, 1), group(there, 1)}, false, 0},
		{"of an order that is none", []any{map[string]any{"fulfillmentOrderId": gidOf("FulfillmentOrder", 1)}}, false, 0},
		{"one", []any{group(here, 1)}, true, 1},
		{"the rest of it", []any{map[string]any{"fulfillmentOrderId": dig(here, "id")}}, true, 2},
		{"of one that is closed", []any{group(here, 1)}, false, 2},
		{"the other location", []any{group(there, 1)}, true, 3},
	} {
		_, answer := ask(t, s, fulfilDoc, map[string]any{"f": map[string]any{"lineItemsByFulfillmentOrder": tc.groups}})
		failure := dig(answer, "data", "fulfillmentCreate", "userErrors", 0, "message")
		now, _ := s.Order(o.ID)
		if (failure == nil) != tc.ok || now.Lines[0].Fulfilled != tc.shipped {
			t.Errorf("%s: %v, %d shipped", tc.name, answer, now.Lines[0].Fulfilled)
		}
	}
	if status := dig(open()[0], "status"); status != "CLOSED" {
		t.Errorf("status %v", status)
	}
}

const refundDoc = `mutation($input: RefundInput!, $key: String!) { refundCreate(input: $input) @idempotent(key: $key) { refund { id } userErrors { field message } } }`

func TestRefundCreate(t *testing.T) {
	s := shop(t, Config{})
	o, v := sold(t, s)
	give := func(payment int, amount string) map[string]any {
		p := o.Payments[payment]
		return map[string]any{"orderId": gidOf("Order", o.ID), "parentId": gidOf("OrderTransaction", p.ID), "gateway": p.Gateway, "kind": "REFUND", "amount": amount}
	}
	line := func(quantity int, how, location string) map[string]any {
		return map[string]any{"lineItemId": gidOf("LineItem", o.Lines[0].ID), "quantity": quantity, "restockType": how, "locationId": location}
	}
	stranger := give(0, "1.00")
	stranger["parentId"] = gidOf("OrderTransaction", 1)
	for _, tc := range []struct {
		name         string
		key          string
		lines, money []any
		refusal      string // part of it; "" = done
		total, stock int64
	}{
		{"more than a payment", "a", nil, []any{give(0, "3.01")}, "more than the amount", 0, 7},
		{"the same key again", "a", nil, []any{give(0, "3.01")}, "key failed", 0, 7},
		{"in two parts more than a payment", "b", nil, []any{give(0, "2.00"), give(0, "1.01")}, "more than the amount", 0, 7},
		{"a payment of nobody", "c", nil, []any{stranger}, "Parent", 0, 7},
		{"restocked nowhere", "d", []any{line(1, "RETURN", "")}, []any{give(0, "1.00")}, "location", 0, 7},
		{"more units than there are", "e", []any{line(4, "NO_RESTOCK", "")}, []any{give(0, "1.00")}, "units", 0, 7},
		{"a unit, over both", "f", []any{line(1, "RETURN", gidOf("Location", 905684977))}, []any{give(0, "3.00"), give(1, "0.39")}, "", 339, 8},
		{"the same once more", "f", []any{line(1, "RETURN", gidOf("Location", 905684977))}, []any{give(0, "3.00"), give(1, "0.39")}, "", 339, 8},
		{"the key for something else", "f", nil, []any{give(1, "0.39")}, "different operation parameters", 339, 8},
		{"of a payment that is given back", "g", nil, []any{give(0, "0.01")}, "more than the amount", 339, 8},
	} {
		_, answer := ask(t, s, refundDoc, map[string]any{"key": tc.key, "input": map[string]any{"orderId": gidOf("Order", o.ID), "refundLineItems": tc.lines, "transactions": tc.money}})
		failure, _ := dig(answer, "data", "refundCreate", "userErrors", 0, "message").(string)
		now, _ := s.Order(o.ID)
		total := int64(0)
		for _, r := range now.Refunds {
			total += r.Total
		}
		if (failure == "") != (tc.refusal == "") || !strings.Contains(failure, tc.refusal) || total != tc.total || s.Available(v) != tc.stock {
			t.Errorf("%s: %v; %d given back, %d available", tc.name, answer, total, s.Available(v))
		}
	}
	if st := s.Stats(); st.Refunds != 1 || st.RefundsRepeated != 1 {
		t.Errorf("%+v", st)
	}
	if _, answer := ask(t, s, strings.Replace(refundDoc, "@idempotent(key: $key)", "", 1), map[string]any{"key": "z", "input": map[string]any{"orderId": gidOf("Order", o.ID)}}); dig(answer, "errors", 0, "message") == nil {
		t.Errorf("there was no idempotency key and nobody minded: %v", answer)
	}
}

func TestOrderCancel(t *testing.T) {
	s := shop(t, Config{})
	o, v := sold(t, s)
	const doc = `mutation($id: ID!) { orderCancel(orderId: $id, reason: FRAUD, restock: true, staffNote: "why", refundMethod: {originalPaymentMethodsRefund: true}) {
		jobResult { id done status } orderCancelUserErrors { code message } } }`
	cancel := func(id int64) any {
		_, answer := ask(t, s, doc, map[string]any{"id": gidOf("Order", id)})
		return dig(answer, "data", "orderCancel")
	}
	job := func(began any) any {
		_, answer := ask(t, s, `query($id: ID!) { node(id: $id) { ... on OrderCancelJobResult { done status errors { code message } } } }`, map[string]any{"id": dig(began, "jobResult", "id")})
		return dig(answer, "data", "node")
	}
	s.SetFaults(Faults{HoldJobs: true})
	first, second := cancel(o.ID), cancel(o.ID)
	if dig(first, "jobResult", "done") != false || dig(job(first), "done") != false {
		t.Errorf("it is done at once: %v", first)
	}
	if now, _ := s.Order(o.ID); now.Cancelled {
		t.Error("the order is cancelled before the job ran")
	}
	s.SetFaults(Faults{})
	if got := job(first); dig(got, "status") != "SUCCEEDED" {
		t.Errorf("%v", got)
	}
	if got := job(second); dig(got, "status") != "FAILED" || dig(got, "errors", 0, "message") == nil {
		t.Errorf("the second job: %v", got)
	}
	now, _ := s.Order(o.ID)
	if !now.Cancelled || now.CancelReason != "fraud" || now.StaffNote != "why" || s.Available(v) != 10 || now.Refunds[0].Total != 1017 {
		t.Errorf("%+v, %d available", now, s.Available(v))
	}
	if got := dig(cancel(o.ID), "orderCancelUserErrors", 0, "code"); got != "INVALID" {
		t.Errorf("once more: %v", got)
	}
	if got := dig(cancel(1), "orderCancelUserErrors", 0, "code"); got != "NOT_FOUND" {
		t.Errorf("none: %v", got)
	}
}

func TestVariantsBulkUpdate(t *testing.T) {
	s := shop(t, Config{})
	p := s.AddProduct(ProductSpec{Title: "Mug", Variants: []VariantSpec{{SKU: "A", Price: "1.00"}, {SKU: "B", Price: "2.00"}}})
	other, _ := mug(s, 1)
	set := func(partial bool, prices map[int64]string, order ...int64) any {
		var in []any
		for _, v := range order {
			in = append(in, map[string]any{"id": gidOf("ProductVariant", v), "price": prices[v]})
		}
		_, answer := ask(t, s, `mutation($p: ID!, $v: [ProductVariantsBulkInput!]!, $partial: Boolean) { productVariantsBulkUpdate(productId: $p, variants: $v, allowPartialUpdates: $partial) {
			productVariants { id price } userErrors { code field message } } }`, map[string]any{"p": gidOf("Product", p.ID), "v": in, "partial": partial})
		return dig(answer, "data", "productVariantsBulkUpdate")
	}
	for _, tc := range []struct {
		name    string
		partial bool
		second  int64
		price   string
		code    any
		first   string
	}{
		{"both", false, p.Variants[1], "9.99", nil, "1.50"},
		{"one of another product", false, other, "9.99", "PRODUCT_VARIANT_DOES_NOT_EXIST", "1.00"},
		{"one of another product, in part", true, other, "9.99", "PRODUCT_VARIANT_DOES_NOT_EXIST", "1.50"},
		{"below nothing", false, p.Variants[1], "-1", "GREATER_THAN_OR_EQUAL_TO", "1.00"},
		{"no number", false, p.Variants[1], "x", "INVALID_INPUT", "1.00"},
	} {
		if err := s.UpdateProduct(p.ID, "Mug", "1.00"); err != nil {
			t.Fatal(err)
		}
		got := set(tc.partial, map[int64]string{p.Variants[0]: "1.50", tc.second: tc.price}, p.Variants[0], tc.second)
		if code := dig(got, "userErrors", 0, "code"); code != tc.code || s.Price(p.Variants[0]) != tc.first {
			t.Errorf("%s: %v; the first costs %s", tc.name, got, s.Price(p.Variants[0]))
		}
	}
}

// A code is good once, and what is given for it is what was asked for.
func TestCodesAndTokens(t *testing.T) {
	s := shop(t, Config{Scopes: []string{"read_orders", "write_products"}})
	redeem := func(query string, more url.Values) (int, map[string]any) {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"client_id": {"simulated-app"}, "client_secret": {"simulated-secret"}, "code": {q.Get("code")}}
		for k, v := range more {
			form[k] = v
		}
		r := httptest.NewRequest(http.MethodPost, "/admin/oauth/access_token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var answer map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &answer)
		return w.Code, answer
	}
	query := s.Callback("state", "read_orders", "write_orders")
	if code, answer := redeem(query, url.Values{"expiring": {"1"}}); code != 200 || answer["refresh_token"] == nil || answer["expires_in"] != 3600.0 || answer["scope"] != "read_orders" {
		t.Errorf("%d %v", code, answer)
	}
	if code, _ := redeem(query, nil); code != http.StatusBadRequest {
		t.Errorf("the code again: %d", code)
	}
	if code, answer := redeem(s.Callback("state"), nil); code != 200 || answer["refresh_token"] != nil || answer["expires_in"] != nil {
		t.Errorf("not expiring: %d %v", code, answer)
	}
	if code, _ := redeem(s.Callback("state"), url.Values{"client_secret": {"wrong"}}); code != http.StatusUnauthorized {
		t.Errorf("with another secret: %d", code)
	}
}
