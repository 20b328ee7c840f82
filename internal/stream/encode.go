package stream

import (
	"fmt"
	"runtime"
)

// EncodeAtEnd encodes m into the end of room and returns how many bytes it takes; false when
// there is too little room for it. The generated code fills memory from its end: whoever has
// enough of it need not ask for the size first, which costs as much as encoding does.
func EncodeAtEnd(m Message, room []byte) (n int, fits bool, err error) {
	defer func() {
		// What does not fit is an index out of range in the generated code. A mistake in the message
		// itself is found again by who then asks for its size.
		if r := recover(); r != nil {
			if _, ok := r.(runtime.Error); !ok {
				panic(r)
			}
			n, fits, err = 0, false, nil
		}
	}()
	n, err = m.MarshalToSizedBufferVTStrict(room)
	if err != nil {
		return 0, false, fmt.Errorf("encoding a %T: %w", m, err)
	}
	return n, true, nil
}

// encodeRoom is how much room a message is offered: nearly all are smaller.
const encodeRoom = 16 << 10

// encode writes head and a message behind it.
func (a *arena) encode(head []byte, m Message) (all, message []byte, err error) {
	if a != nil {
		room := a.bytes.rest(encodeRoom, &byteChunks)
		n, fits, err := EncodeAtEnd(m, room[len(head):])
		if err != nil {
			return nil, nil, err
		}
		if fits {
			from := len(room) - n - len(head)
			copy(room[from:], head)
			a.bytes.chunk = room[:from]
			return room[from:len(room):len(room)], room[from+len(head) : len(room) : len(room)], nil
		}
	}
	size := m.SizeVT()
	all = a.take(len(head) + size)
	copy(all, head)
	if _, err := m.MarshalToSizedBufferVTStrict(all[len(head):]); err != nil {
		return nil, nil, fmt.Errorf("encoding a %T: %w", m, err)
	}
	return all, all[len(head):], nil
}
