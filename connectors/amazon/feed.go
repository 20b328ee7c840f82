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
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// Operations of Feeds 2021-06-30.
var (
	opFeedAddress  = operation{name: "createFeedDocument", method: http.MethodPost, pause: 2 * time.Second}
	opCreateFeed   = operation{name: "createFeed", method: http.MethodPost, pause: 2 * time.Minute}
	opGetFeed      = operation{name: "getFeed", method: http.MethodGet, pause: time.Second / 2}
	opGetFeeds     = operation{name: "getFeeds", method: http.MethodGet, pause: 45 * time.Second}
	opFeedDocument = operation{name: "getFeedDocument", method: http.MethodGet, pause: 45 * time.Second}
)

// feeder hands in feeds and finds out what became of them.
//
// A feed is sent in three calls (createFeedDocument, an upload, createFeed), waits in Amazon's
// queue, is processed, and then has a report that says what became of each of its messages. None
// of that is waited for: the command comes back Unknown with a time, and the next attempt at it
// looks again. Only what the report says, and for a cancellation the order itself, is taken for
// done.
//
// createFeed has no idempotency key, and neither getFeed nor getFeeds names the document that a
// feed was made of. So it is written down before (the journal, by order), when and of what kind a
// feed is about to be made, and after, what it is called:
//   - Written down with its name: getFeed tells. No other feed is made for that command.
//   - Written down without a name (a lost answer, a process that was killed): it may have been
//     made. A cancellation may be sent again, because the order says whether it is cancelled. For
//     a refund see refunder.
//   - Not written down: nothing was sent.
//
// One command is one feed. Amazon would rather have few large ones, but the desk hands over one
// command at a time, and what goes together could only be lost together.
type feeder struct{ *client }

// sending is what the journal of an order says of one command.
type sending struct {
	Kind string `json:"kind"`
	// At is when it was last about to be sent, by our clock; Since the same by Amazon's.
	At    time.Time `json:"at"`
	Since time.Time `json:"since,omitzero"`
	// Feed is Amazon's id of it; "" = not known (yet).
	Feed     string `json:"feed,omitempty"`
	Messages int    `json:"messages"`
	// Sent counts the feeds that were made or may have been.
	Sent int `json:"sent,omitempty"`
	// Judged: the report was read, and Amazon took the feed without an error.
	Judged bool `json:"judged,omitempty"`
	// Parts are what a refund gives back, in Currency; Before are the refunds that there were, and
	// Previous the feeds of refunds that were made a moment before.
	Parts    []part   `json:"parts,omitempty"`
	Currency string   `json:"currency,omitempty"`
	Before   []string `json:"before,omitempty"`
	Previous []string `json:"previous,omitempty"`
	// Market is where the order was placed.
	Market string `json:"market,omitempty"`
	// Stuck: what can be found out is found out, and a person has to look.
	Stuck bool `json:"stuck,omitempty"`
	// Over: nothing else is going to happen, and the result was this.
	Over    bool   `json:"over,omitempty"`
	Done    bool   `json:"done,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// result is the result of a sending that is over.
func (s *sending) result() connectors.Result {
	if s.Done {
		return done(s.Code, s.Message)
	}
	return refused(s.Code, s.Message)
}

// answer is what is known of a sending for good; nil = it has to be asked about.
func (s *sending) answer() *connectors.Result {
	var r connectors.Result
	switch {
	case s.Over:
		r = s.result()
	case s.Stuck:
		r = unsettled(s.Code, personPause, s.Message)
	default:
		return nil
	}
	return &r
}

// book is the journal of an order, under its lock.
type book struct {
	calls.Journal[*sending]
	deps connectors.Deps
	name string
}

// open locks the journal of an order and reads it. close lets others at it.
func (f *feeder) open(ctx context.Context, order string) (b *book, unlock func(), err error) {
	name := "amazon/" + f.deps.Account + "/feeds/" + order
	unlock, err = f.deps.Tokens.Lock(ctx, name)
	if err != nil {
		return nil, nil, calls.Unsent(fmt.Errorf("locking what was asked of order %s: %w", order, err))
	}
	j, err := calls.LoadJournal[*sending](ctx, f.deps.Tokens, name, "look at the order in Seller Central")
	if err != nil {
		unlock()
		return nil, nil, calls.Unsent(err)
	}
	for command, s := range j {
		if s == nil {
			delete(j, command)
		}
	}
	return &book{j, f.deps, name}, unlock, nil
}

func (b *book) save(ctx context.Context) error {
	return b.Save(ctx, b.deps.Tokens, b.name)
}

// end writes down what became of a command. That it could not be written down costs a look at the
// feed, so that it is no failure.
func (b *book) end(ctx context.Context, s *sending, r connectors.Result) connectors.Result {
	s.Over, s.Done, s.Code, s.Message = true, r.Outcome == event.Outcome_OUTCOME_ACCEPTED, r.Code, r.Message
	if err := b.save(ctx); err != nil {
		b.deps.Log.Warn("what became of a feed could not be written down and is asked for again", "err", err)
	}
	return r
}

// stick writes down that a person has to look at a command.
func (b *book) stick(ctx context.Context, s *sending, code, message string) connectors.Result {
	s.Stuck, s.Code, s.Message = true, code, message
	if err := b.save(ctx); err != nil {
		b.deps.Log.Warn("what became of a feed could not be written down and is asked for again", "err", err)
	}
	return *s.answer()
}

// personPause is how often a command that waits for a person is looked at.
const personPause = time.Hour

// begin writes down that a feed is about to be made. It must be durable before the feed is.
func (b *book) begin(ctx context.Context, command string, s *sending) error {
	before, had := b.Journal[command]
	b.Journal[command] = s
	if err := b.save(ctx); err != nil {
		if delete(b.Journal, command); had {
			b.Journal[command] = before
		}
		return calls.Unsent(err)
	}
	return nil
}

// undo takes back what begin wrote, when certainly no feed was made. What cannot be taken back
// makes the next attempt wait until Amazon's list would show the feed.
func (b *book) undo(ctx context.Context, command string, before *sending) {
	if delete(b.Journal, command); before != nil {
		b.Journal[command] = before
	}
	if err := b.save(ctx); err != nil {
		b.deps.Log.Warn("that a feed was not made could not be written down", "err", err)
	}
}

// made writes down what a feed is called. Where that fails the feed is looked for.
func (b *book) made(ctx context.Context, s *sending, feed string) (written bool) {
	s.Feed = feed
	err := b.save(ctx)
	if err != nil {
		b.deps.Log.Warn("the name of a feed could not be written down: it is looked for in Amazon's list", "feed", feed, "err", err)
	}
	return err == nil
}

// quotaPatience is how long the slow quotas are waited for: the desk has other commands.
const quotaPatience = 2 * time.Second

// prepare gets the quota of a feed, uploads its document, and says where and since when, by
// Amazon's clock. Nothing that it does has an effect: all its failures are Unsent.
func (f *feeder) prepare(ctx context.Context, content []byte, priority connectors.Priority) (documentAddress, time.Time, error) {
	none := func(err error) (documentAddress, time.Time, error) {
		return documentAddress{}, time.Time{}, calls.Unsent(fmt.Errorf("handing in a feed: %w", err))
	}
	if err := f.grant(ctx, call{op: opCreateFeed, priority: priority, patience: quotaPatience}); err != nil {
		return none(err)
	}
	a, err := f.read(ctx, call{op: opFeedAddress, path: "/feeds/2021-06-30/documents", body: map[string]string{"contentType": feedContent}, priority: priority})
	if err != nil {
		return none(err)
	}
	var at documentAddress
	if err := json.Unmarshal(a.body, &at); err != nil || at.ID == "" || at.URL == "" {
		return none(calls.Passing(errors.New("the answer names no document")))
	}
	if err := f.upload(ctx, at, feedContent, content); err != nil {
		return none(err)
	}
	since := a.date
	if since.IsZero() {
		since = f.deps.Now().UTC()
	}
	return at, since, nil
}

// create makes a feed of a document that was uploaded. A failure that is not Unsent leaves open
// whether it was made.
func (f *feeder) create(ctx context.Context, s *sending, market string, at documentAddress, priority connectors.Priority) (feed string, err error) {
	if f.age(s.At) > awake {
		// Somebody else may have found by now that no feed was made.
		return "", calls.Unsent(errors.New("createFeed: the process slept since it was written down"))
	}
	a, err := f.send(ctx, call{op: opCreateFeed, path: "/feeds/2021-06-30/feeds", priority: priority, granted: true, body: map[string]any{
		"feedType": s.Kind, "marketplaceIds": []string{market}, "inputFeedDocumentId": at.ID,
	}})
	if err != nil {
		return "", err
	}
	var answer struct {
		ID string `json:"feedId"`
	}
	if err := json.Unmarshal(a.body, &answer); err != nil || answer.ID == "" {
		return "", calls.Passing(errors.New("createFeed: the answer names no feed"))
	}
	return answer.ID, nil
}

// madeFeed is the state of a feed.
type madeFeed struct {
	ID       string   `json:"feedId"`
	Kind     string   `json:"feedType"`
	Markets  []string `json:"marketplaceIds"`
	Created  string   `json:"createdTime"`
	Status   string   `json:"processingStatus"`
	Document string   `json:"resultFeedDocumentId"`
}

func (f *feeder) feed(ctx context.Context, id string, priority connectors.Priority) (m madeFeed, err error) {
	a, err := f.read(ctx, call{op: opGetFeed, path: "/feeds/2021-06-30/feeds/" + url.PathEscape(id), priority: priority})
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(a.body, &m); err != nil || m.Status == "" {
		return m, calls.Passing(fmt.Errorf("the answer about feed %s cannot be read", jsonread.Clip(id)))
	}
	return m, nil
}

// maxFeedPages bounds the list of feeds: a few are made in the time that is asked for.
const maxFeedPages = 3

// feeds lists the feeds of a kind that were made in a span of Amazon's time. It is all of them,
// or an error.
func (f *feeder) feeds(ctx context.Context, kind string, since, until time.Time) (all []madeFeed, err error) {
	query := url.Values{"feedTypes": {kind}, "createdSince": {stamp(since)}, "pageSize": {"100"}}
	if f.age(until) > clocksDiffer {
		query.Set("createdUntil", stamp(until)) // not in the future
	}
	for range maxFeedPages {
		a, err := f.read(ctx, call{op: opGetFeeds, path: "/feeds/2021-06-30/feeds", query: query, priority: connectors.Normal, patience: quotaPatience})
		if err != nil {
			return nil, err
		}
		var page struct {
			Feeds []madeFeed `json:"feeds"`
			Next  string     `json:"nextToken"`
		}
		if err := json.Unmarshal(a.body, &page); err != nil || page.Feeds == nil {
			return nil, calls.Passing(errors.New("the list of feeds cannot be read"))
		}
		if all = append(all, page.Feeds...); page.Next == "" {
			return all, nil
		}
		query = url.Values{"nextToken": {page.Next}}
	}
	return nil, errors.New("the list of feeds does not end")
}

// Ends of a feed.
type feedEnd int

const (
	feedPending   feedEnd = iota // it waits, or is being processed
	feedJudged                   // its report says what became of it
	feedWithdrawn                // it was cancelled before anything of it was done
	feedBroken                   // some, none or all of it was done
	feedGone                     // Amazon does not know it (any more): they are kept for 90 days
)

// follow finds out what became of the feed of a command. The verdict is of feedJudged.
func (f *feeder) follow(ctx context.Context, command string, s *sending, priority connectors.Priority) (feedEnd, verdict, error) {
	m, err := f.feed(ctx, s.Feed, priority)
	switch {
	case errors.Is(err, errNotFound):
		return feedGone, verdict{}, nil
	case err != nil:
		return feedPending, verdict{}, err
	}
	switch m.Status {
	case "CANCELLED":
		return feedWithdrawn, verdict{}, nil
	case "DONE", "FATAL":
	default: // IN_QUEUE, IN_PROGRESS, and what else there may be before an end
		return feedPending, verdict{}, nil
	}
	if m.Document == "" {
		if m.Status == "FATAL" {
			return feedBroken, verdict{}, nil
		}
		return feedPending, verdict{}, nil // the report is not there yet
	}
	d, err := f.document(ctx, call{
		op: opFeedDocument, path: "/feeds/2021-06-30/documents/" + url.PathEscape(m.Document), priority: priority, patience: quotaPatience,
	}, "a processing report")
	if err != nil {
		return feedPending, verdict{}, err
	}
	defer d.close()
	report, err := readProcessingReport(d)
	if err != nil {
		return feedPending, verdict{}, calls.Passing(err)
	}
	v := report.judge(command, s.Messages)
	if m.Status == "FATAL" && (v.doubt != "" || v.done > 0) {
		// A feed that was given up in the middle: its report is believed only when all was refused.
		return feedBroken, v, nil
	}
	return feedJudged, v, nil
}

// awake is how long may pass between writing down that a feed is about to be made, and making it.
const awake = 2 * time.Minute

// settleTime is how long a feed that may have been made may take to be in Amazon's list.
const settleTime = 15 * time.Minute

// age is how long ago something was, by our clock.
func (c *client) age(at time.Time) time.Duration { return c.deps.Now().Sub(at) }

// patience is when to look again at what was sent some time ago: soon at first, later less often.
func (c *client) patience(since time.Time) time.Duration {
	return min(max(c.age(since)/2, 5*time.Second), settleTime)
}

// unread is the result of a command whose feed could not be asked about.
func (f *feeder) unread(s *sending, err error) (connectors.Result, error) {
	r := outcome(err)
	return unsettled(r.Code, max(r.RetryAfter, f.patience(s.At)), r.Message), whole(err)
}

// asked is the result of a command before which a question failed: nothing was done.
func asked(err error) (connectors.Result, error) {
	if errors.Is(err, errNotFound) {
		return refused(codeNoOrder, "the seller has no such order"), nil
	}
	return outcome(calls.Unsent(err)), whole(err)
}

// codeNoOrder: Amazon does not know the order.
const codeNoOrder = "ORDER_NOT_FOUND"

// Codes of commands by feeds.
const (
	codeProgress  = "IN_PROGRESS"
	codeSettling  = "SETTLING"
	codeWithdrawn = "FEED_CANCELLED"
	codeBroken    = "FEED_FATAL"
	codeGone      = "FEED_NOT_FOUND"
	codeDoubt     = "REPORT_IN_DOUBT"
)

// why is what Amazon says of messages that failed.
func (v verdict) why() (code, message string) {
	if code = strings.TrimSpace(v.code); code == "" {
		code = "Error"
	}
	return calls.Clip(code), calls.Clip(strings.TrimSpace(v.text))
}
