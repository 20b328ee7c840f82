package amazon

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// TestFeedsAreAsTheSchemasSay: the two documents, to the letter. The order of the members, what
// may be missing and which values there are is of amzn-envelope.xsd (Header, MessageType,
// Message), amzn-base.xsd (IDNumber, BuyerPrice), OrderAcknowledgement.xsd (AmazonOrderID,
// StatusCode, Item) and OrderAdjustment.xsd (AmazonOrderID, ActionType, AdjustedItem).
func TestFeedsAreAsTheSchemasSay(t *testing.T) {
	head := `<?xml version="1.0" encoding="UTF-8"?>
<AmazonEnvelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="amzn-envelope.xsd"><Header><DocumentVersion>1.01</DocumentVersion><MerchantIdentifier>A1SELLER</MerchantIdentifier></Header>`
	for _, c := range []struct {
		kind, message, want string
		messages            []feedMessage
	}{
		{feedCancel, "OrderAcknowledgement",
			head + `<MessageType>OrderAcknowledgement</MessageType><Message><MessageID>7</MessageID><OrderAcknowledgement><AmazonOrderID>050-1234567-1234567</AmazonOrderID><StatusCode>Failure</StatusCode>` +
				`<Item><AmazonOrderItemCode>12345678901234</AmazonOrderItemCode><CancelReason>BuyerCanceled</CancelReason></Item></OrderAcknowledgement></Message></AmazonEnvelope>`,
			[]feedMessage{{ID: 7, Cancel: &acknowledgement{"050-1234567-1234567", "Failure", []acknowledgedItem{{"12345678901234", "BuyerCanceled"}}}}}},
		{feedRefund, "OrderAdjustment",
			head + `<MessageType>OrderAdjustment</MessageType><Message><MessageID>8</MessageID><OrderAdjustment><AmazonOrderID>050-1234567-1234567</AmazonOrderID><ActionType>Refund</ActionType>` +
				`<AdjustedItem><AmazonOrderItemCode>12345678901234</AmazonOrderItemCode><MerchantAdjustmentItemID>c-1</MerchantAdjustmentItemID><AdjustmentReason>CustomerReturn</AdjustmentReason>` +
				`<ItemPriceAdjustments><Component><Type>Principal</Type><Amount currency="GBP">9.90</Amount></Component></ItemPriceAdjustments></AdjustedItem></OrderAdjustment></Message></AmazonEnvelope>`,
			[]feedMessage{{ID: 8, Refund: &adjustment{"050-1234567-1234567", "Refund", adjustedItem{
				"12345678901234", "c-1", "CustomerReturn", []adjustedComponent{{"Principal", adjustedAmount{"GBP", "9.90"}}},
			}}}}},
	} {
		got, err := feedDocument("A1SELLER", c.kind, c.messages)
		if diff := cmp.Diff(c.want, string(got)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.kind, err, diff)
		}
		if _, err := simulator.ReadFeed(got, c.message); err != nil {
			t.Errorf("%s: the simulator does not take it: %v", c.kind, err)
		}
	}
}

// TestSchemasBite: what the schemas do not allow the simulator does not take, so that a feed that
// it takes is one.
func TestSchemasBite(t *testing.T) {
	good, err := feedDocument("A1SELLER", feedRefund, []feedMessage{{ID: 8, Refund: &adjustment{"050-1234567-1234567", "Refund", adjustedItem{
		"12345678901234", "c-1", "CustomerReturn", []adjustedComponent{{"Principal", adjustedAmount{"GBP", "9.90"}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"<ActionType>Refund</ActionType>", "<ActionType>Give</ActionType>"},
		{"<AmazonOrderID>050-1234567-1234567</AmazonOrderID><ActionType>Refund</ActionType>", "<ActionType>Refund</ActionType><AmazonOrderID>050-1234567-1234567</AmazonOrderID>"},
		{"050-1234567-1234567", "50-1-1"},
		{"CustomerReturn", "Whim"},
		{"Principal", "Interest"},
		{` currency="GBP"`, ""},
		{"9.90", "9,90"},
		{"<MessageID>8</MessageID>", "<MessageID>0</MessageID>"},
		{"<MessageID>8</MessageID>", ""},
		{"</AdjustedItem>", "<Colour>red</Colour></AdjustedItem>"},
		{"OrderAdjustment</MessageType>", "OrderAcknowledgement</MessageType>"},
		{"</AmazonEnvelope>", ""},
		{"</AmazonEnvelope>", "</AmazonEnvelope><more/>"},
	} {
		bad := strings.Replace(string(good), c[0], c[1], 1)
		if bad == string(good) {
			t.Fatalf("%q does not stand in %s", c[0], good)
		}
		if _, err := simulator.ReadFeed([]byte(bad), "OrderAdjustment"); err == nil {
			t.Errorf("%q for %q is taken", c[1], c[0])
		}
	}
}

// TestReasonsAndComponentsAreInTheSchemas: whatever is asked for, the words are the schemas'.
func TestReasonsAndComponentsAreInTheSchemas(t *testing.T) {
	for _, reason := range []string{"customer", "Buyer", "address", "exchange", "fraud", "inventory", "mistake", "", "anything"} {
		for _, restock := range []bool{true, false} {
			got := cancelReason(reason, restock)
			if !slices.Contains(simulator.CancelReasons, got) {
				t.Errorf("%q: %s is no CancelReason", reason, got)
			}
			if reason == "anything" && (got == "NoInventory") == restock {
				t.Errorf("%q with restock %v: %s", reason, restock, got)
			}
		}
	}
	for _, r := range []event.Restock{event.Restock_RESTOCK_NONE, event.Restock_RESTOCK_CANCEL, event.Restock_RESTOCK_RETURN} {
		if got := refundReason(r); !slices.Contains(simulator.AdjustmentReasons, got) {
			t.Errorf("%v: %s is no AdjustmentReason", r, got)
		}
	}
	for _, name := range componentNames {
		if !slices.Contains(simulator.BuyerPrices, name) {
			t.Errorf("%s is no type of BuyerPrice", name)
		}
	}
}

// TestIDsAreEscaped: an id is text, whatever is in it.
func TestIDsAreEscaped(t *testing.T) {
	nasty := `1"><StatusCode>Success</StatusCode><x a='&`
	got, err := feedDocument(nasty, feedCancel, []feedMessage{{ID: 1, Cancel: &acknowledgement{nasty, "Failure", []acknowledgedItem{{nasty, nasty}}}}})
	if err != nil {
		t.Fatal(err)
	}
	var e envelope
	if err := xml.Unmarshal(got, &e); err != nil {
		t.Fatal(err)
	}
	a := e.Messages[0].Cancel
	if e.Merchant != nasty || a.Order != nasty || a.Status != "Failure" || len(a.Items) != 1 || a.Items[0].Code != nasty {
		t.Errorf("read back: %+v", e)
	}
}

// TestMessageIDs: numbers of up to 20 digits that are the command's own.
func TestMessageIDs(t *testing.T) {
	seen := map[int64]bool{}
	for i := range 500 {
		for n := range 3 {
			id := messageID(fmt.Sprint("command ", i), n)
			if seen[id] || !regexp.MustCompile(`^[1-9]\d{0,19}$`).MatchString(fmt.Sprint(id)) {
				t.Fatalf("message id %d", id)
			}
			seen[id] = true
		}
	}
	if messageID("a", 1) != messageID("a", 0)+1 || messageID("a", maxMessages-1) >= messageID("a", 0)+maxMessages+1 {
		t.Error("the messages of a command do not follow one another")
	}
}

// reported is a processing report as Amazon writes it.
func reported(processed, successful, failed int, status string, results ...string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<AmazonEnvelope xsi:noNamespaceSchemaLocation="amzn-envelope.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<Header><DocumentVersion>1.02</DocumentVersion><MerchantIdentifier>M</MerchantIdentifier></Header><MessageType>ProcessingReport</MessageType>
<Message><MessageID>1</MessageID><ProcessingReport><DocumentTransactionID>1</DocumentTransactionID><StatusCode>%s</StatusCode>
<ProcessingSummary><MessagesProcessed>%d</MessagesProcessed><MessagesSuccessful>%d</MessagesSuccessful><MessagesWithError>%d</MessagesWithError><MessagesWithWarning>0</MessagesWithWarning></ProcessingSummary>
%s</ProcessingReport></Message></AmazonEnvelope>`, status, processed, successful, failed, strings.Join(results, ""))
}

func resultOf(id any, kind string) string {
	return fmt.Sprintf("<Result><MessageID>%v</MessageID><ResultCode>%s</ResultCode><ResultMessageCode>18028</ResultMessageCode><ResultDescription>not &amp; never</ResultDescription></Result>", id, kind)
}

// TestReportsAreJudged: a report is believed when it accounts for exactly our messages.
func TestReportsAreJudged(t *testing.T) {
	id := func(n int) int64 { return messageID("c", n) }
	for _, c := range []struct {
		name, report string
		n            int
		done, failed int
		doubt        bool
	}{
		{"all done", reported(2, 2, 0, "Complete"), 2, 2, 0, false},
		{"a warning", reported(1, 1, 0, "Complete", resultOf(id(0), "Warning")), 1, 1, 0, false},
		{"all refused", reported(1, 0, 1, "Complete", resultOf(id(0), "Error")), 1, 0, 1, false},
		{"one of two refused", reported(2, 1, 1, "Complete", resultOf(id(1), "Error")), 2, 1, 1, false},
		{"two errors of one message", reported(1, 0, 1, "Complete", resultOf(id(0), "Error"), resultOf(id(0), "Error")), 1, 0, 1, false},
		{"the document refused", reported(0, 0, 1, "Complete", resultOf(0, "Error")), 2, 0, 2, false},
		{"the document refused, and one done", reported(2, 1, 1, "Complete", resultOf(0, "Error")), 2, 0, 0, true},
		{"somebody else's messages", reported(3, 3, 0, "Complete"), 1, 0, 0, true},
		{"somebody else's message", reported(1, 0, 1, "Complete", resultOf(1, "Error")), 1, 0, 0, true},
		{"another command's message", reported(1, 0, 1, "Complete", resultOf(messageID("d", 0), "Error")), 1, 0, 0, true},
		{"an error that is not named", reported(1, 0, 1, "Complete"), 1, 0, 0, true},
		{"an error that is not counted", reported(1, 1, 0, "Complete", resultOf(id(0), "Error")), 1, 0, 0, true},
		{"nothing processed", reported(0, 0, 0, "Complete"), 1, 0, 0, true},
		{"not done yet", reported(1, 1, 0, "Processing"), 1, 0, 0, true},
	} {
		p, err := readProcessingReport(strings.NewReader(c.report))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		v := p.judge("c", c.n)
		if (v.doubt != "") != c.doubt || !c.doubt && (v.done != c.done || v.failed != c.failed) {
			t.Errorf("%s: %+v", c.name, v)
		}
		if code, text := v.why(); v.failed > 0 && (code != "18028" || text != "not & never") {
			t.Errorf("%s: %q %q", c.name, code, text)
		}
	}
}

// TestReportsThatCannotBeRead: whatever is cut off or changed on the way is no report.
func TestReportsThatCannotBeRead(t *testing.T) {
	whole := reported(1, 1, 0, "Complete")
	for n := range len(whole) {
		if _, err := readProcessingReport(strings.NewReader(whole[:n])); err == nil {
			t.Fatalf("a report of %d bytes of %d is taken", n, len(whole))
		}
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, whole)
	_ = w.Close()
	for n := range z.Len() {
		cut, err := gzip.NewReader(bytes.NewReader(z.Bytes()[:n]))
		if err != nil {
			continue
		}
		if _, err := readProcessingReport(cut); err == nil {
			t.Fatalf("%d compressed bytes of %d are taken", n, z.Len())
		}
	}
	for _, bad := range []string{
		"", "<html></html>", whole + "<more/>", strings.Replace(whole, "ProcessingReport</MessageType>", "Price</MessageType>", 1),
		strings.Replace(whole, "<MessagesProcessed>1</MessagesProcessed>", "", 1), strings.Replace(whole, "<MessagesProcessed>1<", "<MessagesProcessed>x<", 1),
		strings.Replace(whole, "UTF-8", "EBCDIC", 1), whole + strings.Repeat(" ", maxProcessingReport),
	} {
		if _, err := readProcessingReport(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q… is taken", bad)
		}
	}
	latin := strings.Replace(whole, "UTF-8", "ISO-8859-1", 1)
	if _, err := readProcessingReport(strings.NewReader(latin)); err != nil {
		t.Errorf("a report in Latin-1: %v", err)
	}
}

// FuzzProcessingReport: nothing that comes from outside makes it panic, or report more than the
// messages there were.
func FuzzProcessingReport(f *testing.F) {
	f.Add([]byte(reported(1, 1, 0, "Complete")), 1)
	f.Add([]byte(reported(2, 1, 1, "Complete", resultOf(messageID("c", 0), "Error"))), 2)
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		n = 1 + max(0, n)%5
		p, err := readProcessingReport(bytes.NewReader(text))
		if err != nil {
			return
		}
		if v := p.judge("c", n); v.doubt == "" && (v.done < 0 || v.failed < 0 || v.done+v.failed != n) {
			t.Errorf("of %d messages %d were done and %d failed", n, v.done, v.failed)
		}
	})
}

var _ connectors.Canceller = (*canceller)(nil)
