package amazon

// Documents of reports and feeds lie on another host than the API. Their addresses hold their
// own authorisation and live for five minutes: nothing of ours goes along, and the client that
// is handed in reaches public addresses only.
// https://developer-docs.amazon.com/sp-api/docs/submit-a-feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
)

// documentAddress is the answer to getReportDocument, getFeedDocument and createFeedDocument.
type documentAddress struct {
	// ID is that of a feed's document.
	ID          string `json:"feedDocumentId"`
	URL         string `json:"url"`
	Compression string `json:"compressionAlgorithm"`
}

func (c *client) documentAddress(ctx context.Context, k call, what string) (d documentAddress, err error) {
	a, err := c.read(ctx, k)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(a.body, &d); err != nil || d.URL == "" {
		return d, calls.Passing(fmt.Errorf("the answer about the document of %s cannot be read", what))
	}
	return d, nil
}

// document is one that is being downloaded, without its compression. It is closed by close.
type document struct {
	io.Reader
	contentType string
	close       func()
}

// document asks where a document is, by k, and begins to download it.
func (c *client) document(ctx context.Context, k call, what string) (*document, error) {
	at, err := c.documentAddress(ctx, k, what)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.URL, nil)
	if err != nil {
		return nil, calls.Passing(fmt.Errorf("downloading %s: its address cannot be read", what))
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, calls.Passing(fmt.Errorf("downloading %s: %w", what, httpx.RedactError(err)))
	}
	d := &document{Reader: resp.Body, contentType: resp.Header.Get("Content-Type"), close: func() { _ = resp.Body.Close() }}
	if resp.StatusCode != http.StatusOK {
		d.close()
		return nil, calls.Passing(fmt.Errorf("downloading %s: the answer is %d", what, resp.StatusCode))
	}
	switch at.Compression {
	case "":
	case "GZIP":
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			d.close()
			return nil, calls.Passing(fmt.Errorf("downloading %s: gzip: %w", what, err))
		}
		d.Reader = z // its Close checks nothing that reading to the end does not
	default:
		d.close()
		return nil, fmt.Errorf("downloading %s: %w: compression %q: a newer release is needed", what, connectors.ErrPermanent, jsonread.Clip(at.Compression))
	}
	return d, nil
}

// upload puts a document where createFeedDocument said. A document that no feed names does
// nothing, so that a failure is none of the feed's.
func (c *client) upload(ctx context.Context, to documentAddress, contentType string, content []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to.URL, bytes.NewReader(content))
	if err != nil {
		return calls.Passing(fmt.Errorf("uploading a feed: its address cannot be read"))
	}
	req.Header.Set("Content-Type", contentType)
	resp, _, err := calls.Do(c.http, req, maxAnswer)
	if err != nil {
		return fmt.Errorf("uploading a feed: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return calls.Passing(fmt.Errorf("uploading a feed: the answer is %d", resp.StatusCode))
	}
	return nil
}
