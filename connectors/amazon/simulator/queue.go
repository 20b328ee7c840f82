package simulator

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // SQS gives this sum of each message, for its client to compare
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// mailbox is the queue. Callers of its methods hold the account's mu.
type mailbox struct {
	messages []*message
	next     int64
	// arrived is closed and made anew with each message that comes.
	arrived chan struct{}
}

type message struct {
	id      string
	body    []byte
	visible time.Time
	// received counts; receipts are the handles that were given for it.
	received int
	receipts map[string]bool
}

// put puts a message into the queue.
func (s *Simulator) put(body []byte, visible time.Time) {
	s.queue.messages = append(s.queue.messages, &message{id: s.uuid(), body: body, visible: visible, receipts: map[string]bool{}})
	close(s.queue.arrived)
	s.queue.arrived = make(chan struct{})
}

// Put puts a message of any kind into the queue.
func (s *Simulator) Put(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(body, s.cfg.Now())
}

// Pending counts the messages that were not deleted.
func (s *Simulator) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue.messages)
}

// Drain waits until every message was received and deleted, or ctx ends.
func (s *Simulator) Drain(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.Pending() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the queue: %d messages are left: %w", s.Pending(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// QueuePath is the path of the queue's address.
func (s *Simulator) QueuePath() string { return "/" + s.cfg.QueueAccount + "/" + s.cfg.QueueName }

// QueueARN is the queue's name.
func (s *Simulator) QueueARN() string {
	return "arn:aws:sqs:us-east-1:" + s.cfg.QueueAccount + ":" + s.cfg.QueueName
}

func (s *Simulator) serveQueue(rw http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(code int, name, message string) {
		rw.Header().Set("X-Amzn-Query-Error", name+";Sender")
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		rw.WriteHeader(code)
		_ = json.NewEncoder(rw).Encode(object{"__type": "com.amazonaws.sqs#" + name, "message": message})
	}
	s.mu.Lock()
	key, secret := s.cfg.QueueKeyID, s.cfg.QueueSecret
	fail := s.hit(s.faults.FailBefore)
	s.mu.Unlock()
	if !signed(r, body, key, secret) {
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
		return
	}
	if fail {
		refuse(http.StatusInternalServerError, "InternalError", "try again")
		return
	}
	var in struct {
		URL        string `json:"QueueUrl"`
		Most       int    `json:"MaxNumberOfMessages"`
		Wait       int    `json:"WaitTimeSeconds"`
		Visibility int    `json:"VisibilityTimeout"`
		Entries    []struct {
			ID      string `json:"Id"`
			Receipt string `json:"ReceiptHandle"`
		} `json:"Entries"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		refuse(http.StatusBadRequest, "InvalidParameterValue", "the body is no JSON")
		return
	}
	if u, err := url.Parse(in.URL); err != nil || u.Path != s.QueuePath() {
		refuse(http.StatusBadRequest, "QueueDoesNotExist", "The specified queue does not exist.")
		return
	}
	var answer object
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.") {
	case "ReceiveMessage":
		answer = s.receive(r.Context(), max(1, min(10, in.Most)), time.Duration(in.Wait)*time.Second, time.Duration(in.Visibility)*time.Second)
	case "DeleteMessageBatch":
		if len(in.Entries) == 0 || len(in.Entries) > 10 {
			refuse(http.StatusBadRequest, "TooManyEntriesInBatchRequest", "1 to 10 entries are taken")
			return
		}
		done, failed := []object{}, []object{}
		s.mu.Lock()
		for _, e := range in.Entries {
			if s.hit(s.faults.Undeletable) {
				failed = append(failed, object{"Id": e.ID, "SenderFault": false, "Code": "InternalError", "Message": "try again"})
				continue
			}
			s.remove(e.Receipt)
			done = append(done, object{"Id": e.ID})
		}
		s.mu.Unlock()
		answer = object{"Successful": done, "Failed": failed}
	case "GetQueueAttributes":
		answer = object{"Attributes": object{
			"Policy":                      `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::437568002678:root"},"Action":["sqs:SendMessage","sqs:GetQueueAttributes"],"Resource":"` + s.QueueARN() + `"}]}`,
			"MessageRetentionPeriod":      "1209600",
			"ApproximateNumberOfMessages": strconv.Itoa(s.Pending()),
		}}
	default:
		refuse(http.StatusBadRequest, "InvalidAction", "the action is not simulated")
		return
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(rw).Encode(answer)
}

// receive hands out what is visible, and waits by the machine's clock for the first message.
func (s *Simulator) receive(ctx context.Context, most int, wait, hidden time.Duration) object {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		found := s.visible(most, hidden)
		arrived := s.queue.arrived
		s.mu.Unlock()
		if len(found) > 0 || wait == 0 {
			return object{"Messages": found}
		}
		select {
		case <-arrived:
		case <-timeout.C:
			return object{}
		case <-ctx.Done():
			return object{}
		}
	}
}

func (s *Simulator) visible(most int, hidden time.Duration) []object {
	now := s.cfg.Now()
	found := []object{}
	for _, m := range s.queue.messages {
		if len(found) == most {
			break
		}
		if m.visible.After(now) {
			continue
		}
		m.visible = now.Add(hidden)
		m.received++
		s.queue.next++
		receipt := fmt.Sprintf("%s#%d", m.id, s.queue.next)
		m.receipts[receipt] = true
		s.stats.MessagesReceived++
		sum := md5.Sum(m.body) //nolint:gosec // as above
		found = append(found, object{
			"MessageId": m.id, "ReceiptHandle": receipt, "Body": string(m.body), "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes": object{"ApproximateReceiveCount": strconv.Itoa(m.received)},
		})
	}
	return found
}

// remove deletes a message by any handle that was given for it.
func (s *Simulator) remove(receipt string) {
	for i, m := range s.queue.messages {
		if m.receipts[receipt] {
			s.queue.messages = append(s.queue.messages[:i], s.queue.messages[i+1:]...)
			s.stats.MessagesDeleted++
			return
		}
	}
}

// signed checks the AWS signature of a call by signing it once more.
func signed(r *http.Request, body []byte, key, secret string) bool {
	given := r.Header.Get("Authorization")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	_, names, ok := strings.Cut(given, "SignedHeaders=")
	if err != nil || !ok {
		return false
	}
	names, _, _ = strings.Cut(names, ",")
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // it is signed and never sent
	if err != nil {
		return false
	}
	for _, name := range strings.Split(names, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	again.Header.Del("X-Amz-Date")
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(r.Context(), credentials, again, hex.EncodeToString(sum[:]), "sqs", "us-east-1", at); err != nil {
		return false
	}
	return again.Header.Get("Authorization") == given
}
