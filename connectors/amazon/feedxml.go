package amazon

// The two feeds in which Amazon takes cancellations and refunds, and the report about either.
//
// The formats are no part of the published contracts. They are of the schemas that Amazon's help
// names (amzn-envelope.xsd, amzn-base.xsd, OrderAcknowledgement.xsd, OrderAdjustment.xsd), as far
// as these and examples of theirs could be read; README says what could not.
// https://developer-docs.amazon.com/sp-api/docs/order-feed-type-values

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Types of feeds.
const (
	feedCancel = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
	feedRefund = "POST_PAYMENT_ADJUSTMENT_DATA"
)

// feedContent is the content type of a feed in XML. It is said twice, to createFeedDocument and
// with the upload, and has to be the same.
const feedContent = "text/xml; charset=UTF-8"

// envelope is amzn-envelope.xsd, the members in the schema's order.
type envelope struct {
	XMLName  xml.Name      `xml:"AmazonEnvelope"`
	XSI      string        `xml:"xmlns:xsi,attr"`
	Schema   string        `xml:"xsi:noNamespaceSchemaLocation,attr"`
	Version  string        `xml:"Header>DocumentVersion"`
	Merchant string        `xml:"Header>MerchantIdentifier"`
	Type     string        `xml:"MessageType"`
	Messages []feedMessage `xml:"Message"`
}

// feedMessage is one message: a cancellation, or the refund of one item.
type feedMessage struct {
	ID     int64            `xml:"MessageID"`
	Cancel *acknowledgement `xml:"OrderAcknowledgement"`
	Refund *adjustment      `xml:"OrderAdjustment"`
}

// acknowledgement is OrderAcknowledgement.xsd. The status Failure cancels the order.
type acknowledgement struct {
	Order  string             `xml:"AmazonOrderID"`
	Status string             `xml:"StatusCode"`
	Items  []acknowledgedItem `xml:"Item"`
}

type acknowledgedItem struct {
	Code   string `xml:"AmazonOrderItemCode"`
	Reason string `xml:"CancelReason"`
}

// adjustment is OrderAdjustment.xsd. Amounts above zero are given to the buyer, and are of all
// units of the item together.
type adjustment struct {
	Order  string       `xml:"AmazonOrderID"`
	Action string       `xml:"ActionType"`
	Item   adjustedItem `xml:"AdjustedItem"`
}

type adjustedItem struct {
	Code string `xml:"AmazonOrderItemCode"`
	// Own is our name for it. Amazon does nothing with it, and shows it in settlement reports.
	Own        string              `xml:"MerchantAdjustmentItemID"`
	Reason     string              `xml:"AdjustmentReason"`
	Components []adjustedComponent `xml:"ItemPriceAdjustments>Component"`
}

type adjustedComponent struct {
	Type   string         `xml:"Type"`
	Amount adjustedAmount `xml:"Amount"`
}

type adjustedAmount struct {
	Currency string `xml:"currency,attr"`
	Value    string `xml:",chardata"`
}

// feedDocument writes a feed.
func feedDocument(seller, kind string, messages []feedMessage) ([]byte, error) {
	e := envelope{
		XSI: "http://www.w3.org/2001/XMLSchema-instance", Schema: "amzn-envelope.xsd", Version: "1.01",
		Merchant: seller, Type: "OrderAcknowledgement", Messages: messages,
	}
	if kind == feedRefund {
		e.Type = "OrderAdjustment"
	}
	b, err := xml.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("writing a feed: %w", err)
	}
	return append([]byte(xml.Header), b...), nil
}

// maxMessages bounds the messages of one feed: their numbers share the command's.
const maxMessages = 999

// messageID names message n (from 0) of a command: a number of up to 20 digits (amzn-base.xsd,
// IDNumber). The processing report names messages by it, so that a report of somebody else's
// feed, or of another command's, is known.
func messageID(command string, n int) int64 {
	sum := sha256.Sum256([]byte(command))
	return int64(1+binary.BigEndian.Uint64(sum[:8])%999_999_999)*(maxMessages+1) + int64(n)
}

// processingReport is what a feed's report says.
type processingReport struct {
	Type string `xml:"MessageType"`
	// Status is "Complete" when nothing else is going to happen.
	Status     string             `xml:"Message>ProcessingReport>StatusCode"`
	Processed  *int               `xml:"Message>ProcessingReport>ProcessingSummary>MessagesProcessed"`
	Successful int                `xml:"Message>ProcessingReport>ProcessingSummary>MessagesSuccessful"`
	Failed     int                `xml:"Message>ProcessingReport>ProcessingSummary>MessagesWithError"`
	Warned     int                `xml:"Message>ProcessingReport>ProcessingSummary>MessagesWithWarning"`
	Results    []processingResult `xml:"Message>ProcessingReport>Result"`
}

type processingResult struct {
	Message string `xml:"MessageID"`
	// Result is Error or Warning.
	Result string `xml:"ResultCode"`
	Code   string `xml:"ResultMessageCode"`
	Text   string `xml:"ResultDescription"`
}

// maxProcessingReport bounds a report after decompression: it has some lines for each message.
const maxProcessingReport = 4 << 20

// readProcessingReport reads a report to its end: one that was cut off says nothing.
func readProcessingReport(body io.Reader) (*processingReport, error) {
	limited := &io.LimitedReader{R: body, N: maxProcessingReport}
	d := xml.NewDecoder(limited)
	d.CharsetReader = func(label string, body io.Reader) (io.Reader, error) {
		if of := charset("text/xml; charset=" + label); of != nil {
			return of.NewDecoder().Reader(body), nil
		}
		return nil, fmt.Errorf("it is in %.40q", label)
	}
	p := &processingReport{}
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("reading a processing report: %w", err)
	}
	for {
		// What stands behind the envelope is read, too: the checksum of a compressed document is last.
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading a processing report: %w", err)
		}
		if _, more := token.(xml.StartElement); more {
			return nil, errors.New("reading a processing report: there is more than one document in it")
		}
	}
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("reading a processing report: it is larger than %d bytes", maxProcessingReport)
	case p.Type != "ProcessingReport" || p.Processed == nil:
		return nil, errors.New("reading a processing report: it is none")
	}
	return p, nil
}

// verdict is what became of a feed.
type verdict struct {
	// done and failed count our messages; together they are all of them, or it is in doubt.
	done, failed int
	// failedAt are the places of those that failed, and code and text what Amazon says of the first.
	failedAt   []int
	code, text string
	// doubt says why the report cannot be about our messages alone; "" = it is.
	doubt string
}

// judge holds a report against the n messages of a command. It takes nothing for granted: a
// report that does not account for exactly our messages leaves a doubt.
func (p *processingReport) judge(command string, n int) verdict {
	doubt := func(format string, args ...any) verdict { return verdict{doubt: fmt.Sprintf(format, args...)} }
	if p.Status != "Complete" {
		return doubt("its status is %.40q", p.Status)
	}
	var v verdict
	failed := make([]bool, n)
	all := false
	for _, r := range p.Results {
		at, err := strconv.ParseInt(r.Message, 10, 64)
		i := at - messageID(command, 0)
		ours := err == nil && i >= 0 && i < int64(n)
		switch {
		case !ours && r.Message != "" && r.Message != "0":
			return doubt("it names a message %.40q that is not ours", r.Message)
		case r.Result != "Error":
			continue
		case ours:
			failed[i] = true
		default:
			all = true // of the document as a whole
		}
		if v.code == "" {
			v.code, v.text = r.Code, r.Text
		}
	}
	for i := range failed {
		if failed[i] || all {
			v.failedAt = append(v.failedAt, i)
		}
	}
	v.failed = len(v.failedAt)
	v.done = n - v.failed
	switch {
	case all && p.Successful > 0:
		return doubt("the document was refused, and %d messages were carried out", p.Successful)
	case all:
		return v
	case *p.Processed != n:
		return doubt("it is of %d messages, ours were %d", *p.Processed, n)
	case v.failed != p.Failed:
		return doubt("it counts %d messages with errors, and names %d", p.Failed, v.failed)
	case p.Successful != v.done && p.Successful+p.Warned != v.done:
		return doubt("it counts %d successful messages of %d with %d errors", p.Successful, n, v.failed)
	}
	return v
}
