package memcache

// Peer is whom a session speaks with, as far as its transport knows.
type Peer struct {
	Addr  string // as package net writes it
	Local bool   // it is on this machine: loopback or a Unix socket
}
