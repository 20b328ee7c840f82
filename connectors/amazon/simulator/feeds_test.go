package simulator

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// document puts a document at the address that createFeedDocument gives, and returns its id and
// what the upload is answered.
func (a *account) document(content string, change func(r *http.Request)) (id string, code int) {
	a.t.Helper()
	_, answer := a.call(http.MethodPost, "/feeds/2021-06-30/documents", `{"contentType":"text/xml; charset=UTF-8"}`)
	at, err := url.Parse(answer["url"].(string))
	if err != nil {
		a.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPut, at.Path, strings.NewReader(content))
	r.Header.Set("Content-Type", "text/xml; charset=UTF-8")
	if change != nil {
		change(r)
	}
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, r)
	return answer["feedDocumentId"].(string), rec.Code
}

// hand hands a feed in.
func (a *account) hand(kind, content string) (feed string) {
	a.t.Helper()
	id, _ := a.document(content, nil)
	code, answer := a.call(http.MethodPost, "/feeds/2021-06-30/feeds", fmt.Sprintf(`{"feedType":%q,"marketplaceIds":[%q],"inputFeedDocumentId":%q}`, kind, a.Config().Marketplace, id))
	if code != http.StatusAccepted {
		a.t.Fatalf("createFeed: %d %v", code, answer)
	}
	return answer["feedId"].(string)
}

// report is a feed's status, and its report when it is done.
func (a *account) report(feed string) (status, report string) {
	a.t.Helper()
	_, answer := a.call(http.MethodGet, "/feeds/2021-06-30/feeds/"+feed, "")
	status = answer["processingStatus"].(string)
	document, ok := answer["resultFeedDocumentId"].(string)
	if !ok {
		return status, ""
	}
	_, answer = a.call(http.MethodGet, "/feeds/2021-06-30/documents/"+document, "")
	at, err := url.Parse(answer["url"].(string))
	if err != nil {
		a.t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, at.Path, nil))
	z, err := gzip.NewReader(rec.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, z); err != nil {
		a.t.Fatal(err)
	}
	return status, text.String()
}

func cancelling(seller, order, line string) string {
	return `<?xml version="1.0"?><AmazonEnvelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="amzn-envelope.xsd"><Header><DocumentVersion>1.01</DocumentVersion><MerchantIdentifier>` + seller +
		`</MerchantIdentifier></Header><MessageType>OrderAcknowledgement</MessageType><Message><MessageID>1</MessageID><OrderAcknowledgement><AmazonOrderID>` + order +
		`</AmazonOrderID><StatusCode>Failure</StatusCode><Item><AmazonOrderItemCode>` + line + `</AmazonOrderItemCode><CancelReason>BuyerCanceled</CancelReason></Item></OrderAcknowledgement></Message></AmazonEnvelope>`
}

// TestFeedsTakeTheirTime: they wait, are processed, have a report, and only then an effect.
func TestFeedsTakeTheirTime(t *testing.T) {
	a := newAccount(t, Config{FeedQueue: time.Minute, FeedRun: time.Minute})
	id := a.order("M", 2)
	o, _ := a.Order(id)
	feed := a.hand(FeedCancel, cancelling(a.Config().SellerID, id, o.Lines[0].ID))
	for _, want := range []string{"IN_QUEUE", "IN_PROGRESS"} {
		if status, _ := a.report(feed); status != want {
			t.Errorf("status %s, want %s", status, want)
		}
		if o, _ := a.Order(id); o.Cancelled {
			t.Errorf("%s, and cancelled", want)
		}
		a.now = a.now.Add(time.Minute)
	}
	status, report := a.report(feed)
	if status != "DONE" || !strings.Contains(report, "<MessagesSuccessful>1<") {
		t.Errorf("%s %s", status, report)
	}
	if o, _ := a.Order(id); !o.Cancelled || a.Available("M") != 10 {
		t.Errorf("%+v, %d shown", o, a.Available("M"))
	}
	// Again: Amazon has nothing left to cancel.
	feed = a.hand(FeedCancel, cancelling(a.Config().SellerID, id, o.Lines[0].ID))
	a.now = a.now.Add(2 * time.Minute)
	if _, report = a.report(feed); !strings.Contains(report, "18058") || a.Stats().Cancellations != 1 {
		t.Errorf("once more: %s", report)
	}
}

// TestCancellingAfterAShipmentGivesAllBack, as Amazon warns.
func TestCancellingAfterAShipmentGivesAllBack(t *testing.T) {
	a := newAccount(t, Config{})
	id := a.order("M", 2)
	if err := a.Fulfil(id, FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	o, _ := a.Order(id)
	a.hand(FeedCancel, cancelling(a.Config().SellerID, id, o.Lines[0].ID))
	if o, _ = a.Order(id); o.Cancelled || len(o.Refunds) != 1 || o.Refunds[0].Total != 500 {
		t.Errorf("%+v", o)
	}
}

// TestDocumentsOfFeeds: an address is for one document, with its content type, without a token,
// and for five minutes.
func TestDocumentsOfFeeds(t *testing.T) {
	a := newAccount(t, Config{})
	for name, change := range map[string]func(r *http.Request){
		"another type": func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") },
		"a token":      func(r *http.Request) { r.Header.Set("X-Amz-Access-Token", a.token) },
		"a post":       func(r *http.Request) { r.Method = http.MethodPost },
		"late":         func(*http.Request) { a.now = a.now.Add(addressLife) },
	} {
		id, code := a.document("<x/>", change)
		if code != http.StatusForbidden {
			t.Errorf("%s: %d", name, code)
		}
		if code, _ := a.call(http.MethodPost, "/feeds/2021-06-30/feeds", fmt.Sprintf(`{"feedType":%q,"marketplaceIds":[%q],"inputFeedDocumentId":%q}`, FeedCancel, a.Config().Marketplace, id)); code != http.StatusBadRequest {
			t.Errorf("%s: a feed without a document: %d", name, code)
		}
	}
	for _, content := range []string{"no XML", cancelling("A2SOMEBODY", "000-0000000-0000000", "1")} {
		if status, report := a.report(a.hand(FeedCancel, content)); status != "DONE" || !strings.Contains(report, "<MessagesProcessed>0<") || !strings.Contains(report, "5000") {
			t.Errorf("%.30s: %s %s", content, status, report)
		}
	}
}

// TestListOfFeeds: by type and time, page by page, where a token stands alone.
func TestListOfFeeds(t *testing.T) {
	a := newAccount(t, Config{FeedPage: 2})
	for range 3 {
		a.ForeignFeed(FeedRefund)
	}
	a.ForeignFeed(FeedCancel)
	query := "/feeds/2021-06-30/feeds?feedTypes=" + FeedRefund + "&pageSize=100&createdSince="
	_, first := a.call(http.MethodGet, query+"2026-11-02T09:00:00Z", "")
	token, _ := first["nextToken"].(string)
	_, second := a.call(http.MethodGet, "/feeds/2021-06-30/feeds?nextToken="+url.QueryEscape(token), "")
	if len(first["feeds"].([]any)) != 2 || len(second["feeds"].([]any)) != 1 || second["nextToken"] != nil {
		t.Errorf("%v, then %v", first, second)
	}
	if code, _ := a.call(http.MethodGet, query+"2026-11-02T09:00:00Z&nextToken="+url.QueryEscape(token), ""); code != http.StatusBadRequest {
		t.Errorf("a token beside other parameters: %d", code)
	}
	if _, none := a.call(http.MethodGet, query+"2026-11-02T09:00:01Z", ""); len(none["feeds"].([]any)) != 0 {
		t.Errorf("later ones: %v", none)
	}
}
