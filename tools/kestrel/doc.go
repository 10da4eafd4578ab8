// Package kestrel reads the journals of a Kestrel queue server, so that it can be retired: which
// items each of its queues holds, in order.
//
// A journal is a sequence of operations that, replayed on an empty queue, give its state. Items
// are found where they stand in the files and read only when asked for: memory depends on how many
// were open or had come back to the head, not on how many there are. Nothing is ever written.
package kestrel
