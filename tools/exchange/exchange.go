// Package exchange moves items between queues and files. It exports a queue's directory and imports
// into one, offline, as JSON Lines or as bare payloads. It also imports from a Kestrel's directory.
// Items are streamed, so that memory does not depend on their size.
package exchange

import (
	"io"

	"github.com/darner/darner/wal"
)

// Item is an item that is moved.
type Item struct {
	Seq      uint64 // sequence number in the queue it comes from; 0: not known
	Enqueued int64  // Unix ms; 0: not known
	Expires  int64  // Unix ms; 0: never
	Due      int64  // Unix ms; 0: at once
	Flags    uint32 // the client's flags
	Size     int64  // bytes
	Text     bool   // the payload is valid UTF-8; only encoders use it
	Body     io.Reader

	Origin *wal.Origin // where it was moved from before; nil: it was not
}

// Encoder writes items in some format.
type Encoder interface {
	// Encode writes one item. Its body must have Size bytes.
	Encode(Item) error

	// Flush writes what is still in a buffer.
	Flush() error
}

// Decoder reads items in some format.
type Decoder interface {
	// Decode returns the next item, or io.EOF if there is none. Its Body is valid until the next
	// call. Any other error says where in the input it occurred, and is final.
	Decode() (Item, error)
}
