package simulator

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// keyring remembers idempotency keys.
type keyring struct {
	known map[string]used
	order []string
}

type used struct {
	content [32]byte
	failed  bool
	refund  *refund // what refundCreate made
}

// maxKeys bounds what is remembered; the oldest go first.
const maxKeys = 200_000

func (k *keyring) remember(key string, u used) {
	if k.known == nil {
		k.known = map[string]used{}
	}
	if len(k.order) >= maxKeys {
		delete(k.known, k.order[0])
		k.order = k.order[1:]
	}
	k.known[key] = u
	k.order = append(k.order, key)
}

// failureOf is a userError.
type failureOf struct {
	code, message string
	field         []string
}

func (x *exec) mutate(f *field) bool {
	switch f.name {
	case "inventorySetQuantities":
		failures := x.setQuantities(f)
		x.payload("InventorySetQuantitiesPayload", f, failures, func(f *field) bool {
			if f.name != "inventoryAdjustmentGroup" {
				return false
			}
			if len(failures) > 0 {
				x.null()
				return true
			}
			x.object("InventoryAdjustmentGroup", 0, f.under, func(f *field) bool {
				x.gid("InventoryAdjustmentGroup", x.s.id())
				return f.name == "id"
			})
			return true
		})
	case "webhookSubscriptionCreate", "webhookSubscriptionUpdate":
		sub, failures := x.saveSubscription(f)
		x.payload("WebhookSubscriptionPayload", f, failures, func(f *field) bool {
			if f.name != "webhookSubscription" {
				return false
			}
			if sub == nil {
				x.null()
				return true
			}
			x.subscription(sub, f.under)
			return true
		})
	case "productVariantsBulkUpdate":
		x.setPrices(f)
	case "fulfillmentCreate":
		x.createFulfilment(f)
	case "orderCancel":
		x.cancelOrder(f)
	case "refundCreate":
		x.createRefund(f)
	default:
		return false
	}
	return true
}

// refuses is the fault Refuse: 200, a userError, and nothing is done.
func (x *exec) refuses() []failureOf {
	if x.s.hit(x.s.faults.Refuse) {
		return []failureOf{{code: "INVALID", message: "The shop refuses."}}
	}
	return nil
}

// idempotent is the key of a mutation that needs one, and what its content was known for; ok
// is false when the call ends here.
func (x *exec) idempotent(f *field, input any) (key string, content [32]byte, ok bool) {
	if d := f.dirs.ForName("idempotent"); d != nil {
		if a := d.Arguments.ForName("key"); a != nil {
			v, _ := a.Value.Value(x.vars)
			key, _ = v.(string)
		}
	}
	if strings.TrimSpace(key) == "" {
		x.fail("BAD_REQUEST", "The @idempotent directive is required for %s", f.name)
		return "", content, false
	}
	text, err := json.Marshal(input)
	if err != nil {
		x.fail("BAD_REQUEST", "%v", err)
		return "", content, false
	}
	return key, sha256.Sum256(text), true
}

// spent is the refusal of a key that was used for something else, or whose use failed.
func (u used) spent(content [32]byte) []failureOf {
	switch {
	case u.content != content:
		return []failureOf{{code: "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", message: "The same idempotency key cannot be used with different operation parameters."}}
	case u.failed:
		return []failureOf{{code: "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", message: "A previous request with this idempotency key failed. Retry with a new idempotency key."}}
	}
	return nil
}

func (x *exec) payload(kind string, f *field, failures []failureOf, other func(f *field) bool) {
	x.object(kind, 0, f.under, func(f *field) bool {
		if f.name != "userErrors" && f.name != "orderCancelUserErrors" {
			return other(f)
		}
		x.list(len(failures), func(i int) {
			e := failures[i]
			x.object("UserError", 0, f.under, func(f *field) bool {
				switch f.name {
				case "code":
					x.string(e.code)
				case "message":
					x.quote(e.message)
				case "field":
					x.list(len(e.field), func(i int) { x.quote(e.field[i]) })
				default:
					return false
				}
				return true
			})
		})
		return true
	})
}

// setQuantities carries out inventorySetQuantities: all of it or nothing.
func (x *exec) setQuantities(f *field) []failureOf {
	s := x.s
	input, _ := x.arg(f, "input").(map[string]any)
	quantities, _ := input["quantities"].([]any)
	if len(quantities) > 250 {
		x.fail("MAX_INPUT_SIZE_EXCEEDED", "The input array size of %d is greater than the maximum allowed of 250.", len(quantities))
		return nil
	}
	key, content, ok := x.idempotent(f, input)
	if !ok {
		return nil
	}
	if u, known := s.keys.known[key]; known {
		if failures := u.spent(content); failures != nil {
			return failures
		}
		s.stats.PushesRepeated++
		return nil
	}
	changes, failures := x.checkQuantities(input, quantities)
	if len(failures) == 0 && s.hit(s.faults.Refuse) {
		failures = []failureOf{{code: "INVALID_REASON", message: "The specified reason is invalid.", field: []string{"input", "reason"}}}
	}
	s.keys.remember(key, used{content: content, failed: len(failures) > 0})
	if len(failures) > 0 {
		s.stats.PushesRefused += int64(len(quantities))
		return failures
	}
	for _, c := range changes {
		if c.v.available != c.to {
			c.v.available = c.to
			x.mail = s.stockChanged(x.mail, c.v)
		}
	}
	s.stats.PushesAccepted += int64(len(changes))
	return nil
}

type stockChange struct {
	v  *variant
	to int64
}

func (x *exec) checkQuantities(input map[string]any, quantities []any) (changes []stockChange, failures []failureOf) {
	s := x.s
	refuse := func(i int, member, code, format string, args ...any) {
		failures = append(failures, failureOf{code, fmt.Sprintf(format, args...), []string{"input", "quantities", strconv.Itoa(i), member}})
	}
	if name, _ := input["name"].(string); name != "available" && name != "on_hand" {
		return nil, []failureOf{{"INVALID_NAME", "The quantity name must be either 'available' or 'on_hand'.", []string{"input", "name"}}}
	}
	// https://shopify.dev/docs/apps/build/orders-fulfillment/inventory-management-apps
	switch reason, _ := input["reason"].(string); reason {
	case "correction", "cycle_count_available", "damaged", "movement_created", "movement_updated", "movement_received",
		"movement_canceled", "other", "promotion", "quality_control", "received", "reservation_created",
		"reservation_deleted", "reservation_updated", "restock", "safety_stock", "shrinkage":
	default:
		return nil, []failureOf{{"INVALID_REASON", "The specified reason is invalid.", []string{"input", "reason"}}}
	}
	seen := map[*variant]bool{}
	for i, q := range quantities {
		q, _ := q.(map[string]any)
		item, _ := q["inventoryItemId"].(string)
		kind, id := split(item)
		v := s.items[id]
		if kind != "InventoryItem" || v == nil {
			refuse(i, "inventoryItemId", "INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.")
			continue
		}
		location, _ := q["locationId"].(string)
		if kind, id := split(location); kind != "Location" || id != s.cfg.LocationID {
			refuse(i, "locationId", "INVALID_LOCATION", "The specified location could not be found.")
			continue
		}
		if seen[v] {
			refuse(i, "inventoryItemId", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "The combination of inventoryItemId and locationId must be unique.")
			continue
		}
		seen[v] = true
		to, ok := whole(q["quantity"])
		if !ok {
			x.fail("INVALID_VARIABLE", "quantities.%d.quantity: an Int is required", i)
			return nil, nil
		}
		if to > 1_000_000_000 {
			refuse(i, "quantity", "INVALID_QUANTITY_TOO_HIGH", "The total quantity can't be higher than 1,000,000,000.")
			continue
		}
		if to < 0 {
			refuse(i, "quantity", "INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.")
			continue
		}
		expected, told := q["changeFromQuantity"]
		if !told {
			// Since 2026-10 leaving it out is an error; null says that nothing is compared.
			x.fail("INVALID_FIELD_ARGUMENTS", "changeFromQuantity is required on quantities.%d: pass null to skip the check", i)
			return nil, nil
		}
		if from, ok := whole(expected); ok && from != v.available {
			refuse(i, "changeFromQuantity", "CHANGE_FROM_QUANTITY_STALE", "The changeFromQuantity value does not match persisted value.")
			continue
		}
		changes = append(changes, stockChange{v, to})
	}
	return changes, failures
}

func (x *exec) saveSubscription(f *field) (*subscription, []failureOf) {
	s := x.s
	input, _ := x.arg(f, "webhookSubscription").(map[string]any)
	address, _ := input["uri"].(string)
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://127.0.0.1") && !strings.HasPrefix(address, "http://localhost") {
		return nil, []failureOf{{message: "Address protocol http:// is not supported", field: []string{"webhookSubscription", "callbackUrl"}}}
	}
	if f.name == "webhookSubscriptionUpdate" {
		_, id := split(x.text(f, "id"))
		for _, sub := range s.subs {
			if sub.id == id {
				sub.address = address
				return sub, nil
			}
		}
		return nil, []failureOf{{message: "Webhook subscription does not exist", field: []string{"id"}}}
	}
	name := strings.ToLower(x.text(f, "topic"))
	topic := ""
	for _, t := range Topics() {
		if strings.ReplaceAll(t, "/", "_") == name {
			topic = t
		}
	}
	if topic == "" {
		return nil, []failureOf{{message: "Invalid topic specified. Does it exist?", field: []string{"topic"}}}
	}
	for _, sub := range s.subs {
		if sub.topic == topic && sub.address == address {
			return nil, []failureOf{{message: "Address for this topic has already been taken", field: []string{"webhookSubscription", "callbackUrl"}}}
		}
	}
	return s.subscribe(topic, address), nil
}

// Topics is every topic that this shop sends.
func Topics() []string {
	return []string{
		"orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/fulfilled",
		"orders/partially_fulfilled", "orders/edited", "orders/delete", "refunds/create",
		"products/create", "products/update", "products/delete", "inventory_levels/update",
	}
}
