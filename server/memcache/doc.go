// Package memcache is the memcache text protocol as a state machine: bytes in, calls of the
// queues, bytes out. It does no I/O of its own and knows no sockets.
//
// A transport owns a Session for each connection and drives it:
//
//	n, out = session.Process(in, out)      // consumes requests, appends answers
//	session.Sent(k)                        // the socket took k more bytes of the answers
//
// After each call it looks at State. A Ready session takes more input. A Waiting one wants Process
// to be called after the wake function was called, or the Deadline has passed. A Working one has a
// Job, which may wait for the disk. A Closing one wants the connection closed when its output is
// sent. An item fetched by a plain GET is gone only when Sent has covered its reply; Close puts
// back the open items, and those in answers that were not sent whole.
package memcache
