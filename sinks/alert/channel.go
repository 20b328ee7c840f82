package alert

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Notification is what a person is told of one kind and subject.
type Notification struct {
	Kind     string   `json:"kind"`
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"`
	Account  string   `json:"account,omitempty"`
	// Text is of the newest fact.
	Text string `json:"text"`
	// Count is how many facts there were since the subject was told of last.
	Count int64 `json:"count"`
	// First and Last are the times of the facts, UTC.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// others stands for all subjects of a kind beyond the bound, and for all kinds beyond it.
const others = "(others)"

// Bounds of what a channel keeps and says at once.
const (
	maxKinds   = 50
	maxMessage = 100 // notifications in one message
)

type key struct{ kind, subject string }

// told is what is known of one kind and subject.
type told struct {
	at      time.Time // zero: never
	pending Notification
}

// channel is one way to people, with its own windows: when one way is closed, what went the
// other way is not told again.
type channel struct {
	name string
	send func(ctx context.Context, id string, ns []Notification) error
	cfg  func() *Config // as it is now

	mu      sync.Mutex
	windows map[key]*told
	kinds   map[string]int // subjects held
	// done is the last offset told by partition: a batch that comes again because the other
	// channel failed adds nothing here.
	done map[string]int64
}

func newChannel(name string, cfg func() *Config, send func(context.Context, string, []Notification) error) *channel {
	return &channel{name: name, send: send, cfg: cfg, windows: map[key]*told{}, kinds: map[string]int{}, done: map[string]int64{}}
}

// tell takes the facts of a batch: those whose window is open are sent now, the others counted.
// On an error nothing is kept, so that the same batch can be told again.
func (c *channel) tell(ctx context.Context, partition, id string, last int64, facts []fact, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := c.cfg().Window
	before, seen := c.done[partition]
	fresh := facts
	if seen {
		fresh = slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return f.offset <= before })
	}
	// pending as it would be; told only once sent.
	draft := map[key]Notification{}
	drafted := map[string]int{} // new subjects by kind
	var order []key
	for _, f := range fresh {
		for _, kind := range f.clears {
			c.forget(key{kind, f.subject})
		}
		if f.kind == "" {
			continue
		}
		k := c.keyOf(f, draft, drafted)
		n, ok := draft[k]
		if !ok {
			order = append(order, k)
			if w := c.windows[k]; w != nil {
				n = w.pending
			} else {
				drafted[k.kind]++
			}
		}
		draft[k] = add(n, f, k)
	}
	var due []Notification
	for _, k := range order {
		if w := c.windows[k]; w == nil || w.at.IsZero() || now.Sub(w.at) >= window {
			due = append(due, draft[k])
		}
	}
	if err := c.sendAll(ctx, id, due); err != nil {
		return err
	}
	for _, k := range order {
		w := c.windows[k]
		if w == nil {
			w = &told{}
			c.windows[k] = w
			c.kinds[k.kind]++
		}
		if w.at.IsZero() || now.Sub(w.at) >= window {
			w.at, w.pending = now, Notification{}
		} else {
			w.pending = draft[k]
		}
	}
	c.done[partition] = max(last, before)
	return nil
}

// flush tells what was counted in windows that have ended, and forgets those that were quiet.
func (c *channel) flush(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := c.cfg().Window
	var due []Notification
	var ended []key
	for k, w := range c.windows {
		if now.Sub(w.at) < window {
			continue
		}
		ended = append(ended, k)
		if w.pending.Count > 0 {
			due = append(due, w.pending)
		}
	}
	slices.SortFunc(due, func(a, b Notification) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject))
	})
	if err := c.sendAll(ctx, "window/"+now.UTC().Format(time.RFC3339Nano), due); err != nil {
		return err
	}
	for _, k := range ended {
		if w := c.windows[k]; w.pending.Count > 0 {
			w.at, w.pending = now, Notification{}
		} else {
			c.forget(k)
		}
	}
	return nil
}

func (c *channel) sendAll(ctx context.Context, id string, all []Notification) error {
	part := 0
	for some := range slices.Chunk(all, maxMessage) {
		part++
		if err := c.send(ctx, messageID(c.name, id, part), some); err != nil {
			return err
		}
	}
	return nil
}

// keyOf is the fact's own kind and subject while there is room, else that of the others.
func (c *channel) keyOf(f fact, draft map[key]Notification, drafted map[string]int) key {
	kind := f.kind
	if c.kinds[kind]+drafted[kind] == 0 && c.held(drafted) >= maxKinds {
		kind = others
	}
	k := key{kind, f.subject}
	if _, ok := draft[k]; ok || c.windows[k] != nil {
		return k
	}
	if c.kinds[kind]+drafted[kind] >= c.cfg().SubjectsPerKind {
		return key{kind, others}
	}
	return k
}

// held is how many kinds are held or about to be.
func (c *channel) held(drafted map[string]int) int {
	n := len(c.kinds)
	for k := range drafted {
		if c.kinds[k] == 0 {
			n++
		}
	}
	return n
}

func (c *channel) forget(k key) {
	if c.windows[k] == nil {
		return
	}
	delete(c.windows, k)
	if c.kinds[k.kind]--; c.kinds[k.kind] == 0 {
		delete(c.kinds, k.kind)
	}
}

// add counts a fact into a notification.
func add(n Notification, f fact, k key) Notification {
	if n.Count == 0 {
		n = Notification{Kind: k.kind, Subject: k.subject, First: f.at, Last: f.at, Severity: f.severity}
	}
	n.Count++
	n.Account, n.Text = f.account, f.text
	if f.severity.rank() > n.Severity.rank() {
		n.Severity = f.severity
	}
	if f.at.Before(n.First) {
		n.First = f.at
	}
	if f.at.After(n.Last) {
		n.Last = f.at
	}
	return n
}
