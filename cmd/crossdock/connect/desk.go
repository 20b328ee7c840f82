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
	done chan error
}

// desk takes the callback. Only an answer with the right state uses it up: whoever guesses at
// the address cannot end the attempt.
type desk struct {
	way     connectors.AuthorizeWay
	state   string
	read    func(*connectors.AuthorizeAnswer) string
	answers chan *answer // holds one
	used    atomic.Bool
}

// claim uses the attempt up; false when the answer is another's, or another came before.
func (d *desk) claim(a *connectors.AuthorizeAnswer) bool {
	return same(d.read(a), d.state) && d.used.CompareAndSwap(false, true)
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(code int, text string) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		// The code stands in this page's address.
		h.Set("Referrer-Policy", "no-referrer")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text+"\n")
	}
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
	if !same(d.read(a), d.state) {
		say(http.StatusForbidden, "This answer does not belong to the attempt that is under way.")
		return
	}
	if !d.claim(a) {
		say(http.StatusGone, "This attempt has been answered already.")
		return
	}
	mine := &answer{a, make(chan error, 1)}
	d.answers <- mine
	select {
	case err := <-mine.done:
		if err != nil {
			// What went wrong may name the shop: it is for the terminal.
			say(http.StatusBadGateway, "It did not work. The terminal says why.")
			return
		}
		say(http.StatusOK, "Done. You can close this page and go back to the terminal.")
	case <-r.Context().Done():
	}
}
