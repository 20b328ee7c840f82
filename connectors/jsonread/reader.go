// Package jsonread reads JSON documents of strangers: a strict pull parser that stands on
// every order's path, and the times that such documents hold.
//
// In: one document, complete and bounded by whoever received it. Out: its values as text
// that shares the document's memory, or an error that names the path and the byte. Keeps
// nothing between documents.
package jsonread

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/helloword/crossdock/connectors"
)

// maxDepth bounds the nesting of a document; Shopify's deepest answer needs 12.
const maxDepth = 40

// Reader is a strict pull parser over one JSON document. It is here, instead of a decoder
// into structs or a tree, because it stands on every order's path: it makes no tree, keeps
// numbers as text (an id of 64 bits and a price never become a float), and gives strings
// that share the document's memory: whoever keeps one longer than the document copies it.
//
// Errors stick: after the first one every method returns zero values and Next and More
// return false, so that a caller reads straight on and looks at err once. An error names
// the path and wraps ErrMalformed. Values that are read are checked for duplicate keys by
// once; values that nobody reads are checked for grammar only.
type Reader struct {
	s    string
	i    int
	err  error
	deep int // open objects and arrays
	path [maxDepth]step
}

// step is one open object (from and to is where the key of the member being read stands) or
// Array (count its elements). There are no pointers in it: it is written for every member.
type step struct {
	from, to, count int
}

// New takes the bytes over as a string: one copy instead of one for every value, and
// nobody can change them under us.
func New(body []byte) *Reader { return NewString(string(body)) }

// NewString begins a document that nobody will change.
func NewString(s string) *Reader {
	r := &Reader{}
	r.Reset(s)
	return r
}

// Err is the first mistake that was found; it wraps connectors.ErrMalformed.
func (r *Reader) Err() error { return r.err }

// Source is the document.
func (r *Reader) Source() string { return r.s }

// Offset is where the next value begins, or white space before it.
func (r *Reader) Offset() int { return r.i }

// Same passes over the next value when it stands there in exactly these bytes.
func (r *Reader) Same(text string) bool {
	r.Peek()
	if text == "" || !strings.HasPrefix(r.s[r.i:], text) {
		return false
	}
	r.i += len(text)
	return true
}

// Reset begins another document.
func (r *Reader) Reset(s string) { r.s, r.i, r.err, r.deep = s, 0, nil, 0 }

const notUTF8 = "the document is not valid UTF-8"

// Fail notes a mistake at the place that is being read, unless there was one before.
func (r *Reader) Fail(format string, args ...any) {
	if r.err != nil {
		return
	}
	// The first thing to know of a broken document. Strings are checked one by one, and
	// nothing else may hold more than ASCII.
	if !utf8.ValidString(r.s) {
		r.i, r.deep, format, args = 0, 0, notUTF8, nil
	}
	r.err = fmt.Errorf("%w: at %s (byte %d): %s", connectors.ErrMalformed, r.where(), r.i, fmt.Sprintf(format, args...))
	r.i = len(r.s)
}

// where is the JSON path of what is being read.
func (r *Reader) where() string {
	b := []byte{'$'}
	for _, s := range r.path[:min(r.deep, maxDepth)] {
		key, _ := decoded(r.s[s.from:s.to])
		switch {
		case key != "":
			b = append(b, '.')
			b = append(b, Clip(key)...)
		case s.count > 0:
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.count-1), 10)
			b = append(b, ']')
		}
	}
	return string(b)
}

// Clip bounds what an error repeats of its input.
func Clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// Peek skips white space and returns the next byte, 0 at the end.
func (r *Reader) Peek() byte {
	if r.i < len(r.s) && r.s[r.i] > ' ' {
		return r.s[r.i]
	}
	return r.space()
}

// space is peek where there may be white space.
func (r *Reader) space() byte {
	for r.i < len(r.s) {
		switch c := r.s[r.i]; c {
		case ' ', '\n', '\r', '\t':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// Null consumes a null.
func (r *Reader) Null() bool {
	if r.Peek() != 'n' {
		return false
	}
	return r.literal("null")
}

func (r *Reader) literal(word string) bool {
	if !strings.HasPrefix(r.s[r.i:], word) {
		r.Unexpected("a value")
		return false
	}
	r.i += len(word)
	return true
}

// Unexpected notes that something else stands where want should be.
func (r *Reader) Unexpected(want string) {
	if r.i >= len(r.s) {
		r.Fail("the document ends where %s should be", want)
		return
	}
	r.Fail("%q where %s should be", r.s[r.i], want)
}

// Object opens an object. It is false for null, and after an error.
func (r *Reader) Object() bool { return r.open('{', "an object") }

// Array opens an array. It is false for null, and after an error.
func (r *Reader) Array() bool { return r.open('[', "an array") }

func (r *Reader) open(c byte, want string) bool {
	switch r.Peek() {
	case c:
	case 'n':
		r.literal("null")
		return false
	default:
		r.Unexpected(want)
		return false
	}
	if r.deep == maxDepth {
		r.Fail("nested more than %d deep", maxDepth)
		return false
	}
	r.i++
	r.path[r.deep] = step{}
	r.deep++
	return true
}

// Next moves to the next member of the open object; false closes it.
func (r *Reader) Next() (key string, ok bool) {
	if r.err != nil {
		return "", false
	}
	top := &r.path[r.deep-1]
	// The way of nearly all members: no white space, and a key that is plain text.
	s, i := r.s, r.i
	if top.count > 0 && i < len(s) && s[i] == ',' {
		i++
	}
	if (top.count == 0 || i > r.i) && i < len(s) && s[i] == '"' {
		if end := plain(s, i+1); len(s)-end >= 2 && s[end] == '"' && s[end+1] == ':' {
			top.from, top.to = i+1, end
			top.count++
			r.i = end + 2
			return s[i+1 : end], true
		}
	}
	return r.nextOdd(top)
}

// nextOdd is next for every member, end and mistake.
func (r *Reader) nextOdd(top *step) (key string, ok bool) {
	c := r.Peek()
	switch {
	case c == '}':
		r.i++
		r.deep--
		return "", false
	case top.count == 0:
	case c == ',':
		r.i++
		c = r.Peek()
	default:
		r.Unexpected("a comma or }")
		return "", false
	}
	if c != '"' {
		r.Unexpected("a key")
		return "", false
	}
	top.count++
	from := r.i + 1
	key, escaped := r.scan()
	to := r.i - 1
	if escaped {
		key = r.unescape(key)
	}
	if r.Peek() != ':' {
		r.Unexpected("a colon")
		return "", false
	}
	r.i++
	top.from, top.to = from, to
	return key, r.err == nil
}

// More moves to the next element of the open array; false closes it.
func (r *Reader) More() bool {
	if r.err != nil {
		return false
	}
	top := &r.path[r.deep-1]
	c := r.Peek()
	if c == ']' {
		r.i++
		r.deep--
		return false
	}
	if top.count > 0 {
		if c != ',' {
			r.Unexpected("a comma or ]")
			return false
		}
		r.i++
	}
	top.count++
	return true
}

// Members marks which keys of one object have been read.
type Members uint64

// Once refuses a key that was read before: two values for one thing are no value.
func (r *Reader) Once(m *Members, bit uint) {
	if *m&(1<<bit) != 0 {
		r.Fail("the key is there twice")
	}
	*m |= 1 << bit
}

// End says that nothing may follow.
func (r *Reader) End() {
	r.Peek()
	if r.err == nil && r.i < len(r.s) {
		r.Unexpected("the end")
	}
}

// Text reads a string; null is "".
func (r *Reader) Text() string {
	if s, i := r.s, r.i; i < len(s) && s[i] == '"' { // mostly, and plain
		if end := plain(s, i+1); end < len(s) && s[end] == '"' {
			r.i = end + 1
			return s[i+1 : end]
		}
	}
	switch r.Peek() {
	case '"':
		return r.quoted()
	case 'n':
		r.literal("null")
	default:
		r.Unexpected("a string")
	}
	return ""
}

// Number reads a string or a number as text; null is "". Shopify writes some figures as one
// and some as the other, and changes its mind between versions.
func (r *Reader) Number() string {
	c := r.Peek()
	if c == '-' || c-'0' <= 9 {
		return r.digits()
	}
	return r.Text()
}

// Integer reads a whole number; null is 0.
func (r *Reader) Integer() int64 {
	text := r.Number()
	if text == "" {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.Fail("%q is not a whole number of 64 bits", Clip(text))
	}
	return v
}

// maxID is how many digits an id has at most: it is a number of 64 bits.
const maxID = 19

// ID reads an identifier as decimal text: a number, digits in a string, or the end of a
// global id such as "gid://shopify/Order/450789469". null is "".
func (r *Reader) ID() string {
	if s, i := r.s, r.i; i < len(s) && s[i]-'1' <= 8 { // mostly, a plain number
		if end := run(s, i); end-i <= maxID && end < len(s) && (s[end] == ',' || s[end] == '}') {
			r.i = end
			return s[i:end]
		}
	}
	text := r.Number()
	if i := strings.LastIndexByte(text, '/'); i >= 0 && strings.HasPrefix(text, "gid://") {
		text = text[i+1:]
		// gid://shopify/InventoryLevel/1?inventory_item_id=2
		text, _, _ = strings.Cut(text, "?")
	} else if text == "" {
		return ""
	}
	if len(text) == 0 || len(text) > maxID {
		r.Fail("%q is not an id", Clip(text))
		return ""
	}
	for i := range len(text) {
		if text[i]-'0' > 9 {
			r.Fail("%q is not an id", Clip(text))
			return ""
		}
	}
	return text
}

// Boolean reads true or false; null is false.
func (r *Reader) Boolean() bool {
	switch r.Peek() {
	case 't':
		return r.literal("true")
	case 'f':
		r.literal("false")
	case 'n':
		r.literal("null")
	default:
		r.Unexpected("true or false")
	}
	return false
}

// Raw returns the next value as it stands in the document.
func (r *Reader) Raw() string {
	r.Peek()
	from := r.i
	r.Skip()
	if r.err != nil {
		return ""
	}
	return r.s[from:r.i]
}

// Skip passes over one value, checking its grammar. What is wrong inside of it is reported
// at the path of the value, with the byte.
func (r *Reader) Skip() {
	switch c := r.Peek(); {
	case c == '"':
		if end := plain(r.s, r.i+1); end < len(r.s) && r.s[end] == '"' {
			r.i = end + 1
			return
		}
		r.scan()
	case c == '{':
		r.skipList('}', true)
	case c == '[':
		r.skipList(']', false)
	case c == '-' || c-'0' <= 9:
		r.digits()
	case c == 't':
		r.literal("true")
	case c == 'f':
		r.literal("false")
	case c == 'n':
		r.literal("null")
	default:
		r.Unexpected("a value")
	}
}

// skipList passes over the members of an object or the elements of an array.
func (r *Reader) skipList(end byte, keys bool) {
	if r.deep == maxDepth {
		r.Fail("nested more than %d deep", maxDepth)
		return
	}
	r.path[r.deep] = step{}
	r.deep++
	r.i++
	if r.Peek() == end {
		r.i++
		r.deep--
		return
	}
	for r.err == nil {
		if keys && !r.skipKey() {
			return
		}
		r.Skip()
		switch r.Peek() {
		case ',':
			r.i++
		case end:
			r.i++
			r.deep--
			return
		default:
			r.Unexpected("a comma or the end")
		}
	}
}

// skipKey passes over a key and its colon.
func (r *Reader) skipKey() bool {
	if s, i := r.s, r.i; i < len(s) && s[i] == '"' { // mostly, and plain
		if end := plain(s, i+1); len(s)-end >= 2 && s[end] == '"' && s[end+1] == ':' {
			r.i = end + 2
			return true
		}
	}
	if r.Peek() != '"' {
		r.Unexpected("a key")
		return false
	}
	r.scan()
	if r.Peek() != ':' {
		r.Unexpected("a colon")
		return false
	}
	r.i++
	return true
}

// digits reads a number by the grammar of RFC 8259.
func (r *Reader) digits() string {
	s, from, i := r.s, r.i, r.i
	if i < len(s) && s[i] == '-' {
		i++
	}
	first := i
	i = run(s, i)
	ok := i > first && (s[first] != '0' || i == first+1)
	if ok && i < len(s) && s[i] == '.' {
		start := i + 1
		i = run(s, start)
		ok = i > start
	}
	if ok && i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		start := i
		i = run(s, start)
		ok = i > start
	}
	r.i = i
	if !ok {
		r.Unexpected("a digit")
		return ""
	}
	return s[from:i]
}

// run is the end of the digits that begin at i.
func run(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}
