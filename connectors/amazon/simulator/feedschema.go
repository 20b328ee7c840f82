package simulator

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// What a feed must look like. The schemas themselves are Amazon's; of amzn-envelope.xsd,
// amzn-base.xsd, OrderAcknowledgement.xsd and OrderAdjustment.xsd this is what is written here:
// which elements there are, in which order, how often, and which values they may have.

// node is one element of a document.
type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []node     `xml:",any"`
}

// find is the text of an element further in; "" when there is none.
func (n *node) find(path ...string) string {
	for _, name := range path {
		i := slices.IndexFunc(n.Nodes, func(c node) bool { return c.XMLName.Local == name })
		if i < 0 {
			return ""
		}
		n = &n.Nodes[i]
	}
	return strings.TrimSpace(n.Text)
}

// all are the elements of a name right below.
func (n *node) all(name string) (found []*node) {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			found = append(found, &n.Nodes[i])
		}
	}
	return found
}

// shape is one element of a sequence.
type shape struct {
	name string
	// most is how often it may stand there, 0 = once; optional = it may be missing.
	most     int
	optional bool
	// in is what it is made of; nil = text.
	in []shape
	// values, when there are any, and a pattern, are what the text may be.
	values  []string
	pattern *regexp.Regexp
	// attr is an attribute that it must have.
	attr string
}

const many = 1 << 20

var (
	anyText = regexp.MustCompile(`\S`)
	// IDNumber of amzn-base.xsd.
	idNumber  = regexp.MustCompile(`^[1-9]\d{0,19}$`)
	orderCode = regexp.MustCompile(`^\w{3}-\w{7}-\w{7}$`)
	itemCode  = regexp.MustCompile(`^\d{1,20}$`)
	decimals  = regexp.MustCompile(`^-?\d+(\.\d{1,2})?$`)
)

// CancelReasons are those of OrderAcknowledgement.xsd, release 1.9.
var CancelReasons = []string{
	"NoInventory", "ShippingAddressUndeliverable", "CustomerExchange", "BuyerCanceled", "GeneralAdjustment", "CarrierCreditDecision",
	"RiskAssessmentInformationNotValid", "CarrierCoverageFailure", "CustomerReturn", "MerchandiseNotReceived",
}

// AdjustmentReasons are those of OrderAdjustment.xsd.
var AdjustmentReasons = []string{
	"NoInventory", "CustomerReturn", "GeneralAdjustment", "CouldNotShip", "DifferentItem", "Abandoned", "CustomerCancel", "PriceError",
	"ProductOutofStock", "CustomerAddressIncorrect", "Exchange", "Other", "CarrierCreditDecision", "RiskAssessmentInformationNotValid",
	"CarrierCoverageFailure", "TransactionRecord", "Undeliverable", "RefusedDelivery",
}

// BuyerPrices are the types of BuyerPrice in amzn-base.xsd that a refund may have.
var BuyerPrices = []string{
	"Principal", "Shipping", "Tax", "ShippingTax", "RestockingFee", "RestockingFeeTax", "GiftWrap", "GiftWrapTax", "Surcharge", "ReturnShipping",
	"Goodwill", "ExportCharge", "COD", "CODTax", "Other",
}

// contents of a message, by MessageType.
var contents = map[string]shape{
	"OrderAcknowledgement": {name: "OrderAcknowledgement", in: []shape{
		{name: "AmazonOrderID", pattern: orderCode},
		{name: "MerchantOrderID", optional: true, pattern: anyText},
		{name: "StatusCode", values: []string{"Success", "Failure"}},
		{name: "Item", optional: true, most: many, in: []shape{
			{name: "AmazonOrderItemCode", pattern: itemCode},
			{name: "MerchantOrderItemID", optional: true, pattern: anyText},
			{name: "CancelReason", optional: true, values: CancelReasons},
		}},
	}},
	"OrderAdjustment": {name: "OrderAdjustment", in: []shape{
		{name: "AmazonOrderID", pattern: orderCode},
		{name: "ActionType", optional: true, values: []string{"Refund", "Cancel"}},
		{name: "AdjustedItem", most: many, in: []shape{
			{name: "AmazonOrderItemCode", pattern: itemCode},
			{name: "MerchantAdjustmentItemID", optional: true, pattern: anyText},
			{name: "AdjustmentReason", values: AdjustmentReasons},
			{name: "ItemPriceAdjustments", in: []shape{
				{name: "Component", most: many, in: []shape{
					{name: "Type", values: BuyerPrices},
					{name: "Amount", pattern: decimals, attr: "currency"},
				}},
			}},
			{name: "QuantityCancelled", optional: true, pattern: itemCode},
		}},
	}},
}

// ReadFeed reads an envelope whose messages are of a type, and holds it against the schemas.
func ReadFeed(document []byte, messageType string) ([]Message, error) {
	var root node
	d := xml.NewDecoder(strings.NewReader(string(document)))
	if err := d.Decode(&root); err != nil {
		return nil, fmt.Errorf("it is no XML: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the envelope")
	}
	content, ok := contents[messageType]
	if !ok {
		return nil, fmt.Errorf("messages of type %q are not known", messageType)
	}
	err := root.is(shape{name: "AmazonEnvelope", in: []shape{
		{name: "Header", in: []shape{{name: "DocumentVersion", values: []string{"1.01", "1.02"}}, {name: "MerchantIdentifier", pattern: anyText}}},
		{name: "MessageType", values: []string{messageType}},
		{name: "Message", most: many, in: []shape{{name: "MessageID", pattern: idNumber}, content}},
	}}, "")
	if err != nil {
		return nil, err
	}
	var all []Message
	seen := map[string]bool{}
	for _, m := range root.all("Message") {
		id := m.find("MessageID")
		if seen[id] {
			return nil, fmt.Errorf("two messages are called %s", id)
		}
		seen[id] = true
		all = append(all, Message{ID: id, Merchant: root.find("Header", "MerchantIdentifier"), content: m.all(messageType)[0]})
	}
	return all, nil
}

// Message is one message of a feed that the schemas allow.
type Message struct {
	ID, Merchant string
	content      *node
}

// is holds an element against a shape.
func (n *node) is(s shape, path string) error {
	path += "/" + s.name
	if n.XMLName.Local != s.name || n.XMLName.Space != "" {
		return fmt.Errorf("%s: found %s", path, n.XMLName.Local)
	}
	for _, a := range n.Attrs {
		if a.Name.Local != s.attr && a.Name.Local != "noNamespaceSchemaLocation" && a.Name.Local != "xsi" {
			return fmt.Errorf("%s: attribute %s", path, a.Name.Local)
		}
	}
	if s.attr != "" && !slices.ContainsFunc(n.Attrs, func(a xml.Attr) bool { return a.Name.Local == s.attr && len(a.Value) == 3 }) {
		return fmt.Errorf("%s: no attribute %s", path, s.attr)
	}
	text := strings.TrimSpace(n.Text)
	switch {
	case s.in == nil && len(n.Nodes) > 0:
		return fmt.Errorf("%s: it holds elements", path)
	case s.in == nil && s.values != nil && !slices.Contains(s.values, text):
		return fmt.Errorf("%s: value %q", path, text)
	case s.in == nil && s.pattern != nil && !s.pattern.MatchString(text):
		return fmt.Errorf("%s: value %q", path, text)
	case s.in != nil && text != "":
		return fmt.Errorf("%s: it holds text", path)
	}
	at := 0
	for _, c := range s.in {
		found := 0
		for at < len(n.Nodes) && n.Nodes[at].XMLName.Local == c.name && found < max(1, c.most) {
			if err := n.Nodes[at].is(c, path); err != nil {
				return err
			}
			at, found = at+1, found+1
		}
		if found == 0 && !c.optional {
			return fmt.Errorf("%s: no %s where it belongs", path, c.name)
		}
	}
	if s.in != nil && at < len(n.Nodes) {
		return fmt.Errorf("%s: %s does not belong there", path, n.Nodes[at].XMLName.Local)
	}
	return nil
}
