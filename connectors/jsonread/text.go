package jsonread

// The strings of a document. They have a file of their own because most of a document is
// strings, and most of the time of reading it goes here.

import (
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// plain passes over the bytes of a string from i on that are just text, eight at a time:
// most of a document is strings, and most of them are plain. It stops at a quote, a
// backslash, a control character, a byte that is not ASCII, or near the end.
func plain(s string, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for len(s)-i >= 8 {
		b := s[i : i+8]
		x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// The high bit of a byte is set where one of these stands. A borrow can set it in
		// bytes behind the first of them, which is all that is looked for.
		quote, slash := x^('"'*ones), x^('\\'*ones)
		if stop := ((quote - ones) | (slash - ones) | (x - ' '*ones) | x) & highs; stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
		i += 8
	}
	return i
}

// scan finds the end of a string; escaped says that its text has to be decoded.
func (r *Reader) scan() (text string, escaped bool) {
	s, from := r.s, r.i+1
	i := plain(s, from)
	if i < len(s) && s[i] == '"' {
		r.i = i + 1
		return s[from:i], false
	}
	return r.scanRest(from, i)
}

// scanRest is scan from i on, for a string that begins at from and is more than plain text.
func (r *Reader) scanRest(from, i int) (text string, escaped bool) {
	s, foreign := r.s, false
	for ; i < len(s); i = plain(s, i) {
		switch c := s[i]; {
		case c == '"':
			if text = s[from:i]; foreign && !utf8.ValidString(text) {
				r.Fail(notUTF8)
				return "", false
			}
			r.i = i + 1
			return text, escaped
		case c == '\\':
			escaped = true
			n := escape(s[i:])
			if n == 0 {
				r.i = i
				r.Fail("an escape that is none")
				return "", false
			}
			i += n
		case c < ' ':
			r.i = i
			r.Fail("a control character in a string")
			return "", false
		default:
			foreign = foreign || c >= utf8.RuneSelf
			i++
		}
	}
	r.i = len(s)
	r.Fail("the document ends inside a string")
	return "", false
}

// escape is the length of the escape at the start of s, 0 when it is none.
func escape(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) >= 6 && isHex(s[2:6]) {
			return 6
		}
	}
	return 0
}

func (r *Reader) quoted() string {
	text, escaped := r.scan()
	if !escaped {
		return text
	}
	return r.unescape(text)
}

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if c-'0' > 9 && c-'a' > 5 {
			return false
		}
	}
	return true
}

// unescape decodes a string that scan has checked. Half of a surrogate pair is refused: it
// has no UTF-8, and replacing it would alter what the platform said.
func (r *Reader) unescape(s string) string {
	text, ok := decoded(s)
	if !ok {
		r.Fail("half of a surrogate pair in a string")
		return ""
	}
	return text
}

// decoded is a string without its escapes, all of which are right; not ok with half of a
// surrogate pair.
func decoded(s string) (text string, ok bool) {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s, true
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] != '\\' {
			b = append(b, s[i])
			i++
			continue
		}
		switch c := s[i+1]; c {
		case 'u':
			v, _ := strconv.ParseUint(s[i+2:i+6], 16, 16)
			c, size := rune(v), 6
			if c >= 0xd800 && c <= 0xdfff {
				low := uint64(0)
				if len(s) >= i+12 && s[i+6] == '\\' && s[i+7] == 'u' {
					low, _ = strconv.ParseUint(s[i+8:i+12], 16, 16)
				}
				if c > 0xdbff || low < 0xdc00 || low > 0xdfff {
					return "", false
				}
				c, size = (c-0xd800)<<10|(rune(low)-0xdc00)+0x10000, 12
			}
			b = utf8.AppendRune(b, c)
			i += size
			continue
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		default:
			b = append(b, c)
		}
		i += 2
	}
	return string(b), true
}
