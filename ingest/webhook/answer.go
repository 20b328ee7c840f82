package webhook

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// outcome is what became of a request: a small fixed set, fit for a label.
type outcome int

const (
	accepted outcome = iota
	ignored
	challenged
	unauthentic
	malformed
	tooLarge
	tooSlow
	wrongMethod
	unknownConnection
	busy
	kafkaAway
	receiverAway
	failed
	outcomes // how many there are
)

// answers by outcome. What is told to a caller who is not authentic is the same for every
// cause: it must not help to find out which part of a forgery was right.
var answers = [outcomes]struct {
	label, reason string
	status        int
}{
	accepted:          {"accepted", "stored", http.StatusOK},
	ignored:           {"ignored", "nothing to store", http.StatusOK},
	challenged:        {"challenged", "", http.StatusOK},
	unauthentic:       {"unauthentic", "unauthentic", http.StatusUnauthorized},
	malformed:         {"malformed", "malformed request", http.StatusBadRequest},
	tooLarge:          {"too-large", "body is too large", http.StatusRequestEntityTooLarge},
	tooSlow:           {"too-slow", "body did not arrive in time", http.StatusRequestTimeout},
	wrongMethod:       {"wrong-method", "send POST", http.StatusMethodNotAllowed},
	unknownConnection: {"unknown-connection", "no such connection", http.StatusNotFound},
	busy:              {"busy", "too many requests at once, send it again", http.StatusServiceUnavailable},
	kafkaAway:         {"kafka-away", "not stored, send it again", http.StatusServiceUnavailable},
	receiverAway:      {"receiver-away", "cannot be checked now, send it again", http.StatusServiceUnavailable},
	failed:            {"failed", "internal error", http.StatusInternalServerError},
}

func (o outcome) String() string { return answers[o].label }

// storedBody is the answer to almost every request.
var storedBody = answerBody(http.StatusOK, answers[accepted].reason)

var (
	jsonType    = []string{"application/json"}
	noSniff     = []string{"nosniff"}
	closing     = []string{"close"}
	postAllowed = []string{http.MethodPost}
)

func answerBody(status int, reason string) []byte {
	b, err := json.Marshal(struct {
		Status int    `json:"status"`
		Reason string `json:"reason"`
	}{status, reason})
	if err != nil {
		panic(err) // an int and a string: cannot fail
	}
	return append(b, '\n')
}

func (s *Server) answer(w http.ResponseWriter, v *verdict) {
	a := &answers[v.outcome]
	h := w.Header()
	h["X-Content-Type-Options"] = noSniff
	switch v.outcome {
	case challenged:
		h.Set("Content-Type", v.contentType)
		_, _ = w.Write(v.body)
		return
	case wrongMethod:
		h["Allow"] = postAllowed
	case busy, kafkaAway, receiverAway:
		h["Retry-After"] = s.retryAfter
	case tooLarge, tooSlow:
		// The rest of the body is not read.
		h["Connection"] = closing
	}
	h["Content-Type"] = jsonType
	body := storedBody
	if v.outcome != accepted {
		reason := v.reason
		if reason == "" {
			reason = a.reason
		}
		body = answerBody(a.status, reason)
	}
	w.WriteHeader(a.status)
	// A caller who hung up does not get its answer; it will send again.
	_, _ = w.Write(body)
}

// seconds rounds up: Retry-After has no fractions.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// logEvery is how often the trouble of one connection is logged.
const logEvery = time.Minute

// sampler lets one message through in a while and counts the others.
type sampler struct{ next, skipped atomic.Int64 }

func (s *sampler) due(now time.Time) (skipped int64, ok bool) {
	next := s.next.Load()
	if now.UnixNano() < next || !s.next.CompareAndSwap(next, now.Add(logEvery).UnixNano()) {
		s.skipped.Add(1)
		return 0, false
	}
	return s.skipped.Swap(0), true
}
