package simulator

import (
	"strings"
	"time"
)

// job is a cancellation that was begun. It is carried out before the next call is answered,
// so that the answer to the mutation never knows how it ends.
type job struct {
	id               int64
	order            *order
	reason, note     string
	restock, payBack bool
	status           string // STARTED, SUCCEEDED, FAILED
	failure          string
}

// runJobs carries out what was begun.
func (s *Simulator) runJobs(mail []*delivery) []*delivery {
	if s.faults.HoldJobs {
		return mail
	}
	for _, j := range s.jobs {
		mail = append(mail, s.run(j)...)
	}
	clear(s.jobs)
	s.jobs = s.jobs[:0]
	return mail
}

func (s *Simulator) run(j *job) []*delivery {
	o := j.order
	if len(o.fulfilments) > 0 {
		j.status, j.failure = "FAILED", "Cannot cancel an order with fulfillments."
		return nil
	}
	mail, err := s.cancel(o, j.reason, j.restock, j.payBack, time.Time{})
	if err != nil {
		j.status, j.failure = "FAILED", err.Error()
		return nil
	}
	j.status, o.staffNote = "SUCCEEDED", j.note
	s.stats.Cancellations++
	return s.postOrder(mail, o, "orders/updated")
}

// cancelOrder carries out orderCancel, which only begins.
func (x *exec) cancelOrder(f *field) {
	j, failures := x.beginCancel(f)
	x.payload("OrderCancelPayload", f, failures, func(f *field) bool {
		if f.name != "jobResult" {
			return false
		}
		if j == nil {
			x.null()
			return true
		}
		x.jobResult(j, f.under)
		return true
	})
}

func (x *exec) beginCancel(f *field) (*job, []failureOf) {
	s := x.s
	if failures := x.refuses(); failures != nil {
		return nil, failures
	}
	_, id := split(x.text(f, "orderId"))
	o := s.orders[id]
	switch {
	case o == nil:
		return nil, []failureOf{{"NOT_FOUND", "Order does not exist", []string{"orderId"}}}
	case o.cancelled != 0:
		return nil, []failureOf{{"INVALID", "Order has already been cancelled", []string{"orderId"}}}
	case len([]rune(x.text(f, "staffNote"))) > 255:
		return nil, []failureOf{{"INVALID", "Staff note is too long", []string{"staffNote"}}}
	}
	j := &job{id: s.partID(), order: o, reason: strings.ToLower(x.text(f, "reason")), note: x.text(f, "staffNote"), status: "STARTED"}
	j.restock, _ = x.arg(f, "restock").(bool)
	method, _ := x.arg(f, "refundMethod").(map[string]any)
	j.payBack, _ = method["originalPaymentMethodsRefund"].(bool)
	s.parts[j.id] = j
	s.jobs = append(s.jobs, j)
	return j, nil
}

func (x *exec) jobResult(j *job, fields []*field) {
	x.object("OrderCancelJobResult", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("OrderCancelJobResult", j.id)
		case "done":
			x.bool(j.status != "STARTED")
		case "status":
			x.quote(j.status)
		case "errors":
			n := 0
			if j.failure != "" {
				n = 1
			}
			x.list(n, func(int) {
				x.object("OrderCancelUserError", 0, f.under, func(f *field) bool {
					switch f.name {
					case "code":
						x.quote("INVALID")
					case "message":
						x.quote(j.failure)
					default:
						return false
					}
					return true
				})
			})
		default:
			return false
		}
		return true
	})
}
