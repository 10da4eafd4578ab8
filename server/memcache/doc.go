// Package memcache is the memcache text protocol as a state machine: bytes in, calls of the
// queues, bytes out. It does no I/O of its own and knows no sockets.
//
// A transport owns a Session for each connection and drives it:
//
//	n, out = session.Process(in, out)      // consumes requests, appends answers
//	session.Sent(k)                        // k bytes of the answers left the process
//
// and between the two looks at State: Ready takes more input, Waiting wants Process to be called
// after the wake function was or Deadline has passed, Working has a Job that may wait for the disk,
// Closing wants the connection closed when its output is out. An item fetched by a plain GET is
// only gone when Sent has covered its reply; Close puts everything else back.
package memcache
