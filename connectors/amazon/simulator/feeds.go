package simulator

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/schemas/money"
)

// Types of feeds, and of the messages in them.
const (
	FeedCancel = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
	FeedRefund = "POST_PAYMENT_ADJUSTMENT_DATA"
)

var messageTypes = map[string]string{FeedCancel: "OrderAcknowledgement", FeedRefund: "OrderAdjustment"}

// uploadPath is below documentPath: where the documents of feeds are put.
const uploadPath, feedReportPath = documentPath + "upload/", documentPath + "feed/"

// addressLife is how long an address for an upload or a download works (contract).
const addressLife = 5 * time.Minute

// upload is the document of a feed.
type upload struct {
	contentType string
	until       time.Time
	content     []byte
	put         bool
}

// feed is one that was handed in.
type feed struct {
	id, kind, market string
	created          time.Time
	document         []byte
	// end is CANCELLED or FATAL when somebody or something ended it; late: all of it was carried out.
	end  string
	late bool
	over bool
	// report is compressed, unless Config.ReportPlain.
	report []byte
}

// status is where the feed is by now.
func (f *feed) status(c Config, now time.Time) string {
	switch age := now.Sub(f.created); {
	case f.end == "CANCELLED":
		return f.end
	case age < c.FeedQueue:
		return "IN_QUEUE"
	case age < c.FeedQueue+c.FeedRun:
		return "IN_PROGRESS"
	case f.end != "":
		return f.end
	}
	return "DONE"
}

// WithdrawFeeds cancels every feed that waits, as cancelFeed does.
func (s *Simulator) WithdrawFeeds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if f.status(s.cfg, s.cfg.Now()) == "IN_QUEUE" {
			f.end = "CANCELLED"
		}
	}
}

// ForeignFeed is a feed that another application of the seller has handed in, of one message.
func (s *Simulator) ForeignFeed(kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Foreign++
	f := s.addFeed(kind, nil)
	f.over = true
	f.report = s.packed(reportOf(f.id, 1, []outcome{{id: "1"}}))
	return f.id
}

// ForgetFeeds forgets all feeds, as Amazon does after 90 days.
func (s *Simulator) ForgetFeeds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeds = nil
}

func (s *Simulator) addFeed(kind string, document []byte) *feed {
	s.stats.Feeds++
	f := &feed{id: fmt.Sprint(60_000_000_000 + s.stats.Feeds), kind: kind, market: s.cfg.Marketplace, created: s.cfg.Now(), document: document}
	switch {
	case s.hit(s.faults.FeedFatal):
		f.end = "FATAL"
	case s.hit(s.faults.FeedFatalAfter):
		f.end, f.late = "FATAL", true
	}
	s.feeds = append(s.feeds, f)
	return f
}

func (s *Simulator) createFeedDocument(body []byte, host string) reply {
	var in struct {
		ContentType string `json:"contentType"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.ContentType == "" {
		return refusal(http.StatusBadRequest, "InvalidInput", "contentType is required")
	}
	id := s.uuid()
	s.uploads[id] = &upload{contentType: in.ContentType, until: s.cfg.Now().Add(addressLife)}
	return reply{code: http.StatusCreated, body: object{"feedDocumentId": id, "url": "http://" + host + uploadPath + id}}
}

func (s *Simulator) createFeed(body []byte) reply {
	var in struct {
		Kind     string   `json:"feedType"`
		Markets  []string `json:"marketplaceIds"`
		Document string   `json:"inputFeedDocumentId"`
	}
	u := (*upload)(nil)
	if json.Unmarshal(body, &in) == nil {
		u = s.uploads[in.Document]
	}
	if u == nil || !u.put || messageTypes[in.Kind] == "" || !slices.Equal(in.Markets, []string{s.cfg.Marketplace}) {
		return refusal(http.StatusBadRequest, "InvalidInput", "feedType, marketplaceIds or inputFeedDocumentId is not valid")
	}
	return reply{code: http.StatusAccepted, body: object{"feedId": s.addFeed(in.Kind, u.content).id}}
}

func (s *Simulator) feedJSON(f *feed) object {
	status := f.status(s.cfg, s.cfg.Now())
	out := object{
		"feedId": f.id, "feedType": f.kind, "marketplaceIds": []string{f.market}, "createdTime": f.created.UTC().Format("2006-01-02T15:04:05.000Z"), "processingStatus": status,
	}
	if status == "DONE" {
		out["resultFeedDocumentId"] = "result-" + f.id
	}
	return out
}

func (s *Simulator) findFeed(id string) *feed {
	for _, f := range s.feeds {
		if f.id == id {
			return f
		}
	}
	return nil
}

func (s *Simulator) getFeed(id string) reply {
	f := s.findFeed(id)
	if f == nil {
		return refusal(http.StatusNotFound, "NotFound", "The feed does not exist.")
	}
	return reply{code: http.StatusOK, body: s.feedJSON(f)}
}

// getFeeds lists feeds, the newest first. A token for the next page stands alone.
func (s *Simulator) getFeeds(q url.Values) reply {
	invalid := func(message string) reply { return refusal(http.StatusBadRequest, "InvalidInput", message) }
	offset := 0
	if token := q.Get("nextToken"); token != "" {
		kept, at, ok := strings.Cut(token, "|")
		again, err := url.ParseQuery(kept)
		n, bad := strconv.Atoi(at)
		if len(q) != 1 || !ok || err != nil || bad != nil {
			return invalid("nextToken must be the only parameter")
		}
		q, offset = again, n
	}
	kinds := list(q, "feedTypes")
	size, err := strconv.Atoi(q.Get("pageSize"))
	since, sinceErr := time.Parse(time.RFC3339, q.Get("createdSince"))
	if len(kinds) == 0 || err != nil || size < 1 || size > 100 || sinceErr != nil {
		return invalid("feedTypes, pageSize or createdSince is not valid")
	}
	until := s.cfg.Now()
	if text := q.Get("createdUntil"); text != "" {
		if until, err = time.Parse(time.RFC3339, text); err != nil || until.After(s.cfg.Now()) {
			return invalid("createdUntil is not valid")
		}
	}
	found := []object{}
	for _, f := range slices.Backward(s.feeds) {
		listed := f.created.Add(s.cfg.FeedListDelay)
		if slices.Contains(kinds, f.kind) && !f.created.Before(since) && !f.created.After(until) && !listed.After(s.cfg.Now()) {
			found = append(found, s.feedJSON(f))
		}
	}
	found = found[min(offset, len(found)):]
	out := object{"feeds": found}
	if size = min(size, max(1, s.cfg.FeedPage)); s.cfg.FeedPage > 0 && len(found) > size {
		out["feeds"], out["nextToken"] = found[:size], q.Encode()+"|"+strconv.Itoa(offset+size)
	}
	return reply{code: http.StatusOK, body: out}
}

func (s *Simulator) getFeedDocument(id, host string) reply {
	f := s.findFeed(strings.TrimPrefix(id, "result-"))
	if f == nil || f.report == nil {
		return refusal(http.StatusNotFound, "NotFound", "The document does not exist.")
	}
	return s.documentAt("feedDocumentId", id, "http://"+host+feedReportPath+f.id)
}

// serveFeeds takes uploads and gives processing reports. A token has no business here: the
// address itself is the permission.
func (s *Simulator) serveFeeds(rw http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	deny := func() { http.Error(rw, "AccessDenied", http.StatusForbidden) }
	if r.Header.Get("X-Amz-Access-Token") != "" {
		deny()
		return
	}
	if id, ok := strings.CutPrefix(r.URL.Path, uploadPath); ok {
		u := s.uploads[id]
		if u == nil || r.Method != http.MethodPut || r.Header.Get("Content-Type") != u.contentType || !s.cfg.Now().Before(u.until) {
			deny()
			return
		}
		if s.hit(s.faults.FailUpload) {
			page(rw, http.StatusServiceUnavailable)
			return
		}
		u.content, u.put = body, true
		return
	}
	f := s.findFeed(strings.TrimPrefix(r.URL.Path, feedReportPath))
	if f == nil || f.report == nil || r.Method != http.MethodGet {
		deny()
		return
	}
	report := f.report
	switch {
	case s.hit(s.faults.ReportCut):
		report = report[:len(report)*2/3]
	case s.hit(s.faults.ReportDamaged):
		report = bytes.Clone(report)
		report[len(report)/2] ^= 0xff
		report[len(report)-6] ^= 0xff // the checksum, if nothing else
	}
	rw.Header().Set("Content-Type", "text/xml; charset=UTF-8")
	_, _ = io.Copy(rw, bytes.NewReader(report))
}

// process carries out the feeds whose time has come, in the order in which they were handed in.
// Callers hold mu.
func (s *Simulator) process() {
	for _, f := range s.feeds {
		if status := f.status(s.cfg, s.cfg.Now()); f.over || status != "DONE" && (status != "FATAL" || !f.late) {
			continue
		}
		f.over = true
		messages, err := ReadFeed(f.document, messageTypes[f.kind])
		if err == nil && len(messages) > 0 && messages[0].Merchant != s.cfg.SellerID {
			err = fmt.Errorf("merchant %s is another", messages[0].Merchant)
		}
		var results []outcome
		processed := len(messages)
		if err != nil {
			processed, results = 0, []outcome{{id: "0", code: "5000", text: "This is a malformed or invalid XML document: " + err.Error()}}
		}
		for _, m := range messages {
			if err != nil {
				break
			}
			o := outcome{id: m.ID}
			if f.kind == FeedCancel {
				o.code, o.text = s.acknowledge(m.content)
			} else {
				o.code, o.text = s.adjust(m.content)
			}
			results = append(results, o)
		}
		f.report = s.packed(reportOf(f.id, processed, results))
	}
}

// outcome is what became of one message; no code = it was carried out.
type outcome struct{ id, code, text string }

// acknowledge carries out a cancellation.
func (s *Simulator) acknowledge(m *node) (code, text string) {
	o := s.orders[m.find("AmazonOrderID")]
	items := m.all("Item")
	switch {
	case o == nil || o.fba:
		return "18028", "The order was not found."
	case m.find("StatusCode") != "Failure":
		return "", ""
	case o.status == pending:
		return "18050", "The order is pending."
	case o.status == cancelled:
		return "18058", "The order is cancelled already."
	case len(items) == 0 || items[0].find("CancelReason") == "":
		return "18011", "CancelReason is required."
	}
	s.stats.Cancellations++
	for _, l := range o.lines {
		if l.fulfilled > 0 {
			// Once something was shipped this gives all the money back.
			for _, l := range o.lines {
				s.giveBack(o, l, l.left(o), "")
			}
			return "", ""
		}
	}
	o.reason = items[0].find("CancelReason")
	for _, l := range o.lines {
		if o.reason != "NoInventory" {
			s.move(l.listing, l.quantity-l.removed)
		}
		l.removed = l.quantity
	}
	o.status = cancelled
	s.touch(o, "OrderStatusChange")
	return "", ""
}

// Amounts of an item, by the type of BuyerPrice.
type amounts map[string]int64

func (a amounts) sum() (sum int64) {
	for _, v := range a {
		sum += v
	}
	return sum
}

// left is what was paid for an item and not given back.
func (l *line) left(o *order) amounts {
	a := amounts{"Principal": l.total - l.discount, "Shipping": l.shipping}
	if !o.spec.Included {
		a["Tax"] = l.tax
	}
	for _, r := range o.refunds {
		if r.item == l.id {
			for kind, v := range r.by {
				a[kind] -= v
			}
		}
	}
	return a
}

// adjust carries out a refund.
func (s *Simulator) adjust(m *node) (code, text string) {
	o := s.orders[m.find("AmazonOrderID")]
	if o == nil || o.fba {
		return "18028", "The order was not found."
	}
	type given struct {
		l   *line
		by  amounts
		own string
	}
	var all []given
	for _, item := range m.all("AdjustedItem") {
		l := o.line(item.find("AmazonOrderItemCode"))
		switch {
		case l == nil:
			return "18036", "The order item was not found."
		case l.fulfilled == 0:
			return "18039", "The order item has not been shipped."
		}
		by := amounts{}
		for _, c := range item.all("ItemPriceAdjustments")[0].all("Component") {
			amount := c.all("Amount")[0]
			minor, err := money.Parse("amazon", s.cfg.Currency, amount.find())
			if err != nil || !slices.ContainsFunc(amount.Attrs, func(a xml.Attr) bool { return a.Value == s.cfg.Currency }) {
				return "18030", "The currency or amount is not valid."
			}
			kind := c.find("Type")
			if o.spec.Included && (kind == "Tax" || kind == "ShippingTax") {
				return "18041", "The requested refund amount for the tax or shipping tax is not eligible."
			}
			by[kind] += minor
		}
		rest := l.left(o)
		for kind, v := range by {
			if v > rest[kind] {
				return "18042", "The refund of " + kind + " is more than was paid & not yet refunded."
			}
		}
		if by.sum() <= 0 {
			return "18043", "The net amount must be a credit to the buyer."
		}
		all = append(all, given{l, by, item.find("MerchantAdjustmentItemID")})
	}
	for _, g := range all {
		s.giveBack(o, g.l, g.by, g.own)
	}
	return "", ""
}

// reportOf is a processing report.
func reportOf(feed string, processed int, results []outcome) []byte {
	var b bytes.Buffer
	failed := 0
	for _, r := range results {
		if r.code != "" {
			failed++
		}
	}
	escape := func(text string) string {
		var e bytes.Buffer
		_ = xml.EscapeText(&e, []byte(text))
		return e.String()
	}
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<AmazonEnvelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="amzn-envelope.xsd">
<Header><DocumentVersion>1.02</DocumentVersion><MerchantIdentifier>simulated</MerchantIdentifier></Header>
<MessageType>ProcessingReport</MessageType>
<Message><MessageID>1</MessageID><ProcessingReport>
<DocumentTransactionID>%s</DocumentTransactionID><StatusCode>Complete</StatusCode>
<ProcessingSummary><MessagesProcessed>%d</MessagesProcessed><MessagesSuccessful>%d</MessagesSuccessful><MessagesWithError>%d</MessagesWithError><MessagesWithWarning>0</MessagesWithWarning></ProcessingSummary>
`, feed, processed, max(0, processed-failed), failed)
	for _, r := range results {
		if r.code != "" {
			fmt.Fprintf(&b, "<Result><MessageID>%s</MessageID><ResultCode>Error</ResultCode><ResultMessageCode>%s</ResultMessageCode><ResultDescription>%s</ResultDescription></Result>\n", r.id, r.code, escape(r.text))
		}
	}
	b.WriteString("</ProcessingReport></Message></AmazonEnvelope>\n")
	return b.Bytes()
}

// packed compresses a report, unless the account gives plain ones.
func (s *Simulator) packed(text []byte) []byte {
	if s.cfg.ReportPlain {
		return text
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(text)
	_ = w.Close()
	return z.Bytes()
}
