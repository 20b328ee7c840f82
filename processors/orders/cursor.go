package orders

// cursor reads one encoded message, from front to back. All texts that it gives are parts of
// s. What it does not expect makes it bad, and ends it.
type cursor struct {
	s string
	// end is where the message ends that is being read; it may be part of another.
	at, end int
	bad     bool
}

// Wire types, as the lower bits of a tag.
const (
	varintType = 0
	bytesType  = 2
)

func (c *cursor) more() bool { return c.at < c.end }

func (c *cursor) fail() {
	c.bad = true
	c.at = c.end
}

// number reads a variable-length integer; a tag is one, too.
func (c *cursor) number() uint64 {
	s, i := c.s[:c.end], c.at
	if i < len(s) && s[i] < 0x80 {
		c.at = i + 1
		return uint64(s[i])
	}
	if i+1 < len(s) && s[i+1] < 0x80 {
		c.at = i + 2
		return uint64(s[i]&0x7f) | uint64(s[i+1])<<7
	}
	return c.longNumber()
}

//go:noinline
func (c *cursor) longNumber() (n uint64) {
	for shift := uint(0); shift < 64; shift += 7 {
		if c.at >= c.end {
			break
		}
		b := c.s[c.at]
		c.at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.fail()
	return 0
}

func (c *cursor) text() string {
	s, i := c.s[:c.end], c.at
	if i < len(s) && s[i] < 0x80 {
		// The usual length, without a call.
		from := i + 1
		if to := from + int(s[i]); to <= len(s) {
			c.at = to
			return s[from:to]
		}
	}
	return c.longText()
}

//go:noinline
func (c *cursor) longText() string {
	n := c.number()
	if n > uint64(c.end-c.at) {
		c.fail()
		return ""
	}
	from := c.at
	c.at += int(n)
	return c.s[from:c.at]
}

// enter goes into a message that is a field of the one being read, until leave gets back what
// enter returned.
func (c *cursor) enter() (outer int) {
	n := c.number()
	outer = c.end
	if n > uint64(c.end-c.at) {
		c.fail()
		return outer
	}
	c.end = c.at + int(n)
	return outer
}

// leave: all of the message was read, or the cursor is bad.
func (c *cursor) leave(outer int) {
	c.end = outer
	if c.bad {
		c.at = outer
	}
}

// once fails when a field is there already: that would have to be merged.
func (c *cursor) once(there bool) {
	if there {
		c.fail()
	}
}
