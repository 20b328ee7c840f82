package simulator

import "fmt"

// shopID is the shop's number, which only the requests about people's data tell.
const shopID = 954889

// firstDataRequest is the number of the first request for a buyer's data; the next follow.
const firstDataRequest = 9999

// Privacy sends a request about people's data: customers/data_request, customers/redact or
// shop/redact. They go to whoever subscribed by Subscribe, as it is done in an app's settings;
// by the API nobody can.
func (s *Simulator) Privacy(topic string, c *Customer, orders ...int64) error {
	ids := []byte{'['}
	for i, id := range orders {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = fmt.Appendf(ids, "%d", id)
	}
	ids = append(ids, ']')
	person := func() []byte {
		w := &w{s: s}
		w.open('{')
		w.num("id", c.ID)
		w.text("email", c.Email)
		w.text("phone", c.Phone)
		w.close('}')
		return w.b
	}
	head := fmt.Sprintf(`{"shop_id":%d,"shop_domain":"%s"`, shopID, s.cfg.Shop)
	var body []byte
	switch topic {
	case "customers/data_request":
		s.mu.Lock()
		number := firstDataRequest + s.dataRequests
		s.dataRequests++
		s.mu.Unlock()
		body = fmt.Appendf(nil, `%s,"orders_requested":%s,"customer":%s,"data_request":{"id":%d}}`, head, ids, person(), number)
	case "customers/redact":
		body = fmt.Appendf(nil, `%s,"customer":%s,"orders_to_redact":%s}`, head, person(), ids)
	case "shop/redact":
		body = append([]byte(head), '}')
	default:
		return fmt.Errorf("%q is no request about people's data", topic)
	}
	s.mu.Lock()
	mail := s.post(nil, topic, func() []byte { return body })
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}
