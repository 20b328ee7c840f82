package stream

// slot is one entry as a session holds it. A batch finds the slots of the keys that its records
// name once, and reads and changes them without another look-up.
type slot struct {
	key Key
	// entry as it stands in Redis at the session's base; loaded says that it is known.
	entry
	loaded bool
	// batch that named it last: only entries named by a batch may be read in it.
	batch uint64
	// next is what the batch at hand makes of it, once changed.
	next    entry
	changed bool
	// trace is the trace context of the record that changed it last.
	trace []byte
	// cost in bytes that it is counted with.
	cost int
}

// newest is the entry within a batch: changed by it, or as loaded.
func (s *slot) newest() *entry {
	if s.changed {
		return &s.next
	}
	return &s.entry
}

// settle ends a batch's hold on the slot: its entry is e.
func (s *slot) settle(e entry) {
	s.entry, s.next, s.changed, s.trace = e, entry{}, false, nil
}

// slotCost is about what a slot and its place in a map take, without its key and value.
const slotCost = 250

// cache keeps recently used entries of one partition. It forgets by generations: when the
// young one is full it becomes the old one, and what was old and not asked for since is
// gone. Bounded in bytes (about, and beside those of one batch), and two map look-ups at most.
type cache struct {
	limit      int
	size       int // of young
	young, old map[Key]*slot
}

func newCache(limit int) *cache {
	return &cache{limit: max(limit, 1), young: make(map[Key]*slot)}
}

// turn begins a batch, and is the only time that anything is forgotten: a key has one slot as
// long as a batch lasts.
func (c *cache) turn() {
	if c.size >= c.limit {
		c.old, c.young, c.size = c.young, make(map[Key]*slot, len(c.young)), 0
	}
}

// slot returns the slot of a key: a new one, not loaded, if there is none.
func (c *cache) slot(k Key) *slot {
	if s, ok := c.young[k]; ok {
		return s
	}
	s, ok := c.old[k]
	if !ok {
		s = &slot{key: k, entry: noEntry, cost: slotCost + len(k.ID)}
	}
	c.young[k] = s
	c.size += s.cost
	return s
}

// find returns the slot of a key, nil if there is none.
func (c *cache) find(k Key) *slot {
	if s, ok := c.young[k]; ok {
		return s
	}
	return c.old[k]
}

// decoded is about how many times larger a message is in memory than encoded.
const decoded = 4

// weigh notes how large the entry of a slot is, encoded.
func (c *cache) weigh(s *slot, stored int) {
	cost := slotCost + len(s.key.ID) + decoded*stored
	c.size += cost - s.cost
	s.cost = cost
}

func (c *cache) clear() {
	clear(c.young)
	c.old, c.size = nil, 0
}
