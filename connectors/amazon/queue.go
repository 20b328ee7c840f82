package amazon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/internal/httpx"
)

// queue is the Amazon SQS queue that a seller's notifications arrive in. There is no
// signature in them: that only Amazon may write into the queue is its policy, which Check
// reads.
type queue struct {
	address   queueAddress
	url       string
	invisible time.Duration
	client    *sqs.Client
	log       *slog.Logger
	// pause is between the tries of a call.
	pause time.Duration
}

// message is one that was received.
type message struct {
	id, receipt string
	body        []byte
	// received counts how often it was handed out.
	received int
}

// maxReceive and maxDelete are what SQS takes at once.
const maxReceive, maxDelete = 10, 10

// newQueue is nil when no queue is configured.
func newQueue(cfg Config, deps connectors.Deps) (*queue, error) {
	if cfg.QueueURL == "" {
		return nil, nil
	}
	address, err := cfg.queue()
	if err != nil {
		return nil, fmt.Errorf("queue_url: %w", err)
	}
	options := sqs.Options{
		Region:     address.region,
		HTTPClient: calls.Unfollowing(deps.HTTP),
		// The secret is read at each use, so that a rotation needs no restart.
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			secret, err := cfg.QueueSecretKey.Resolve()
			if err != nil {
				return aws.Credentials{}, fmt.Errorf("reading queue_secret_key: %w", err)
			}
			return aws.Credentials{AccessKeyID: cfg.QueueAccessKeyID, SecretAccessKey: secret}, nil
		}),
		// Calls are tried again by our rules, see ask.
		Retryer: aws.NopRetryer{},
	}
	if address.base != "" {
		options.BaseEndpoint = aws.String(address.base)
	}
	return &queue{address: address, url: cfg.QueueURL, invisible: cfg.QueueInvisible, client: sqs.New(options), log: deps.Log, pause: retryPause}, nil
}

// ask makes one call, and makes it again after a failure that passes. A connection that was
// kept alive may be closed by SQS at the moment at which it serves again: net/http repeats such
// a call by itself only when it can rewind the body, and the SDK's bodies it cannot. All three
// calls may be repeated: a message whose delivery was lost is hidden and comes again, one that
// is deleted already is deleted, and the settings are only read.
func ask[T any](ctx context.Context, q *queue, what string, call func(context.Context) (T, error)) (T, error) {
	how := calls.Patience{Tries: maxReads, Failures: maxReads, Pause: q.pause}
	return calls.Read(ctx, how, func(ctx context.Context) (T, error) {
		out, err := call(ctx)
		if err != nil {
			err = queueError(what, err)
		}
		return out, err
	})
}

// receive takes up to most messages, and waits for the first.
func (q *queue) receive(ctx context.Context, wait time.Duration, most int) ([]message, error) {
	in := &sqs.ReceiveMessageInput{
		QueueUrl:                    aws.String(q.url),
		MaxNumberOfMessages:         int32(min(most, maxReceive)),
		WaitTimeSeconds:             int32(wait / time.Second),
		VisibilityTimeout:           int32(q.invisible / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	}
	out, err := ask(ctx, q, "receiving notifications", func(ctx context.Context) (*sqs.ReceiveMessageOutput, error) {
		return q.client.ReceiveMessage(ctx, in)
	})
	if err != nil {
		return nil, err
	}
	messages := make([]message, 0, len(out.Messages))
	for _, m := range out.Messages {
		if m.ReceiptHandle == nil || m.Body == nil {
			continue // it comes again
		}
		n, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
		if err != nil {
			n = 1
		}
		messages = append(messages, message{id: aws.ToString(m.MessageId), receipt: *m.ReceiptHandle, body: []byte(*m.Body), received: n})
	}
	return messages, nil
}

// remove deletes messages. One that cannot be deleted comes again, which costs a repetition
// and nothing else: so no error ends a poll here.
func (q *queue) remove(ctx context.Context, receipts []string) {
	for len(receipts) > 0 {
		n := min(len(receipts), maxDelete)
		entries := make([]types.DeleteMessageBatchRequestEntry, n)
		for i, receipt := range receipts[:n] {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(receipt)}
		}
		receipts = receipts[n:]
		out, err := ask(ctx, q, "deleting notifications", func(ctx context.Context) (*sqs.DeleteMessageBatchOutput, error) {
			return q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
		})
		if err != nil {
			q.log.Warn("notifications that were dealt with could not be deleted and will come again", "err", err)
			return
		}
		if len(out.Failed) > 0 {
			q.log.Warn("notifications that were dealt with could not be deleted and will come again", "count", len(out.Failed), "code", aws.ToString(out.Failed[0].Code))
		}
	}
}

// attributes reads the queue's settings.
func (q *queue) attributes(ctx context.Context) (map[string]string, error) {
	in := &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(q.url),
		AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNamePolicy, types.QueueAttributeNameMessageRetentionPeriod,
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameRedrivePolicy,
		},
	}
	out, err := ask(ctx, q, "reading the queue's settings", func(ctx context.Context) (*sqs.GetQueueAttributesOutput, error) {
		return q.client.GetQueueAttributes(ctx, in)
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// queueError turns the service's words into an instruction. Its texts name the queue and the
// key's id, never a secret.
func queueError(what string, err error) error {
	var told smithy.APIError
	if errors.As(err, &told) {
		switch code := told.ErrorCode(); code {
		case "AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
			"InvalidAccessKeyId", "ExpiredToken", "InvalidSecurity", "MissingAuthenticationToken", "IncompleteSignature":
			return fmt.Errorf("%s: %w: SQS answered %s: check queue_access_key_id and queue_secret_key, and that the key may receive and delete messages of this queue",
				what, connectors.ErrNeedsAuthorisation, code)
		case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
			return fmt.Errorf("%s: %w: SQS knows no such queue: check queue_url", what, connectors.ErrPermanent)
		case "RequestThrottled", "ThrottlingException", "OverLimit", "KmsThrottled":
			return fmt.Errorf("%s: %w", what, &connectors.RetryAfterError{After: 5 * time.Second, Err: errors.New("SQS answered " + code)})
		}
	}
	var unsent *smithyhttp.RequestSendError
	var answered *smithyhttp.ResponseError
	redacted := fmt.Errorf("%s: %w", what, httpx.RedactError(err))
	if errors.As(err, &unsent) || errors.As(err, &answered) && answered.HTTPStatusCode() >= 500 {
		return calls.Passing(redacted)
	}
	return redacted
}
