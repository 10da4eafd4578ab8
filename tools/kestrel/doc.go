// Package kestrel reads the journals of a Kestrel queue server, so that it can be replaced: it
// finds which items each queue holds, in order.
//
// A journal is a sequence of operations. Replayed on an empty queue, they give the queue's state.
// Payloads stay in the files until they are asked for, so memory depends only on the number of
// items that were open or were returned to the head. The package never writes.
package kestrel
