package shopify

import "github.com/helloword/crossdock/connectors/jsonread"

// reader is a document of Shopify's, with the things that stand in many of them.
type reader struct{ jsonread.Reader }

// newReader takes the bytes over as a string: one copy instead of one for every value, and
// nobody can change them under us.
func newReader(body []byte) *reader { return newReaderString(string(body)) }

func newReaderString(s string) *reader {
	r := &reader{}
	r.Reset(s)
	return r
}
