package connect

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/helloword/crossdock/connectors"
)

// answer is one that belongs to the attempt; done tells its browser what became of it.
type answer struct {
	*connectors.AuthorizeAnswer
	done chan page // holds one
}

// desk takes the callback. Only an answer that belongs to the attempt uses it up: whoever guesses
// at the address cannot end the attempt.
type desk struct {
	way   connectors.AuthorizeWay
	state string
	read  func(*connectors.AuthorizeAnswer) string
	embed connectors.Embedder // nil: nobody opens the app
	// frames of the policy of each page.
	frames  []string
	answers chan *answer // holds one
	used    atomic.Bool
	// refused is the first answer's that was turned away, for the terminal: the others are as many
	// as a stranger likes.
	refused chan error // holds one
	told    atomic.Bool
}

func newDesk(way connectors.AuthorizeWay, state string, read func(*connectors.AuthorizeAnswer) string, embed connectors.Embedder) *desk {
	d := &desk{way: way, state: state, read: read, embed: embed, answers: make(chan *answer, 1), refused: make(chan error, 1)}
	if embed != nil {
		d.frames = embed.Frames()
	}
	return d
}

// Why an answer is turned away.
var (
	errForeign = errors.New("it does not belong to this attempt")
	errUsed    = errors.New("this attempt has been answered already")
)

// claim uses the attempt up. Its error says why the answer is turned away.
func (d *desk) claim(a *connectors.AuthorizeAnswer) error {
	if !same(d.read(a), d.state) {
		if d.embed == nil {
			return errForeign
		}
		if err := d.embed.Opened(a); err != nil {
			return err
		}
	}
	if !d.used.CompareAndSwap(false, true) {
		return errUsed
	}
	return nil
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(code int, text string) { page{Code: code, Text: text}.write(w, d.frames) }
	method := http.MethodGet
	if d.way == connectors.AuthorizeByPost {
		method = http.MethodPost
	}
	switch {
	case r.URL.Path != Path:
		say(http.StatusNotFound, "not here")
		return
	case r.Method != method:
		w.Header().Set("Allow", method)
		say(http.StatusMethodNotAllowed, "not that way")
		return
	}
	a := &connectors.AuthorizeAnswer{Query: r.URL.Query(), RawQuery: r.URL.RawQuery}
	if method == http.MethodPost {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			say(http.StatusRequestEntityTooLarge, "too large")
			return
		case err != nil:
			say(http.StatusBadRequest, "broken off")
			return
		}
		a.Body = body
	}
	switch err := d.claim(a); {
	case errors.Is(err, errUsed):
		say(http.StatusGone, "This attempt has been answered already.")
		return
	case err != nil:
		if d.told.CompareAndSwap(false, true) {
			d.refused <- err
		}
		say(http.StatusForbidden, "This answer does not belong to the attempt that is under way.")
		return
	}
	mine := &answer{a, make(chan page, 1)}
	d.answers <- mine
	select {
	case p := <-mine.done:
		p.write(w, d.frames)
	case <-r.Context().Done():
	}
}
