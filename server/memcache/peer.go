package memcache

// Peer is the other end of a session's connection, as far as its transport knows.
type Peer struct {
	Addr  string // as package net writes it, or unix:PROCESS#NUMBER; no other client has it
	Local bool   // on this machine: loopback or a Unix socket
}
