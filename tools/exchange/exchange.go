// Package exchange moves items between queues and files: out of a queue's directory and into one,
// offline, as JSON Lines or as bare payloads, and out of a Kestrel's directory. Items are streamed:
// memory does not depend on their size.
package exchange

import "io"

// Item is one item on its way.
type Item struct {
	Seq      uint64 // in the queue it comes from; 0 not known
	Enqueued int64  // Unix ms; 0 not known
	Expires  int64  // Unix ms; 0 never
	Flags    uint32 // the client's
	Size     int64  // bytes
	Text     bool   // the payload is valid UTF-8; looked at by encoders only
	Body     io.Reader
}

// Encoder writes items in some format.
type Encoder interface {
	// Encode writes one item, whose body must have the size it says.
	Encode(Item) error

	// Flush writes what is buffered.
	Flush() error
}

// Decoder reads items in some format.
type Decoder interface {
	// Decode returns the next item, whose Body is valid until the next call; io.EOF when there is
	// none. After any other error, which says where in the input it was, nothing more comes.
	Decode() (Item, error)
}
