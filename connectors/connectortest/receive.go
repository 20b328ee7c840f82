package connectortest

import (
	"bytes"
	"context"
	"errors"
	"reflect"

	"github.com/helloword/crossdock/connectors"
)

// accepted checks a genuine delivery: taken, unaltered, named, and the same again.
func accepted(r reporter, s Suite, d Delivery) []connectors.Raw {
	r.Helper()
	if s.Connector.Receive == nil {
		r.Errorf("there is a delivery and the connector cannot receive")
		return nil
	}
	call := copyOf(&d.Delivery)
	raws, err := s.Connector.Receive.Receive(context.Background(), call)
	if err != nil {
		r.Errorf("a genuine delivery was refused: %v", err)
		return nil
	}
	if !bytes.Equal(call.Body, d.Delivery.Body) || !reflect.DeepEqual(call.Header, d.Delivery.Header) {
		r.Errorf("the delivery was altered by receiving it")
	}
	if (len(raws) == 0) != d.Silent {
		r.Errorf("%d records came of it", len(raws))
	}
	for _, raw := range raws {
		if !bytes.Equal(raw.Body, d.Delivery.Body) {
			r.Errorf("the record's body is not the delivery's, byte for byte")
		}
		if raw.Object == "" || raw.Format == "" || raw.Subject == "" {
			r.Errorf("subject %q, object %q, format %q: none may be empty", raw.Subject, raw.Object, raw.Format)
		}
	}
	again, err := s.Connector.Receive.Receive(context.Background(), copyOf(&d.Delivery))
	if err != nil || !reflect.DeepEqual(again, raws) {
		r.Errorf("the same delivery gave something else the second time: %v", err)
	}
	return raws
}

// refused checks that nothing but the genuine delivery is taken.
func refused(r reporter, s Suite, d Delivery) {
	r.Helper()
	if s.Connector.Receive == nil {
		return
	}
	wrong := 0
	try := func(what string, at int, call *connectors.Delivery) {
		r.Helper()
		raws, err := s.Connector.Receive.Receive(context.Background(), call)
		if (!errors.Is(err, connectors.ErrUnauthentic) || len(raws) > 0) && wrong < 5 {
			wrong++
			r.Errorf("%s, byte %d: got %d records and %v, want ErrUnauthentic", what, at, len(raws), err)
		}
	}
	for _, at := range sample(len(d.Delivery.Body), 2000) {
		// One bit of each byte is flipped, another one from byte to byte; of small bodies all.
		for bit := range 8 {
			if len(d.Delivery.Body) > 400 && bit != at%8 {
				continue
			}
			call := copyOf(&d.Delivery)
			call.Body[at] ^= 1 << bit
			try("flipped a bit of the body", at, call)
		}
	}
	for _, cut := range sample(len(d.Delivery.Body), 200) {
		call := copyOf(&d.Delivery)
		call.Body = call.Body[:cut]
		try("cut the body", cut, call)
	}
	call := copyOf(&d.Delivery)
	call.Body = append(call.Body, ' ')
	try("lengthened the body", len(d.Delivery.Body), call)
	for _, name := range s.Signatures {
		value := d.Delivery.Header.Get(name)
		if value == "" {
			r.Errorf("the delivery has no header %s", name)
			continue
		}
		for at := range len(value) {
			for bit := range 8 {
				call := copyOf(&d.Delivery)
				b := []byte(value)
				b[at] ^= 1 << bit
				call.Header.Set(name, string(b))
				try("flipped a bit of "+name, at, call)
			}
			call := copyOf(&d.Delivery)
			call.Header.Set(name, value[:at])
			try("cut "+name, at, call)
		}
		call := copyOf(&d.Delivery)
		call.Header.Del(name)
		try("left out "+name, 0, call)
	}
}

func copyOf(d *connectors.Delivery) *connectors.Delivery {
	c := *d
	c.Body = bytes.Clone(d.Body)
	c.Header = d.Header.Clone()
	return &c
}

// sample is at most about n positions below length: all when there are few, else the
// beginning, the end, and evenly between.
func sample(length, n int) []int {
	var at []int
	step := 1
	if length > n {
		step = length/n + 1
	}
	for i := 0; i < length; i++ {
		if i < 64 || i >= length-64 || i%step == 0 {
			at = append(at, i)
		}
	}
	return at
}
