// Package wal keeps one queue's log: an append-only directory of checksummed, memory-mapped
// segment files, and for each consumer an offset file that remembers what it has taken.
//
// A Log can be used without the server. Append gives an item its place in the order. A
// Consumer moves over the log with Next and says with Take, in any order, which items are gone
// for good. What every consumer has taken is deleted in the background. RemoveConsumer ends one.
//
//	log, err := wal.Open("orders", wal.Options{})
//	pos, err := log.Append([]byte("hello"), wal.Meta{})
//	all, err := log.Consumer("", wal.Oldest)
//	pos, meta, ok, err := all.Next()
//	payload, _, err := log.Read(pos, nil)
//	err = all.Take(pos)
//
// # What is promised
//
// When Append returns, the item survives the death of the process. When Sync returns, all that
// was appended and taken before survives a power cut; without it at most the last
// Options.SyncEvery is lost. Damage in a file costs the records it touches and no others, and a
// wrong byte is never returned. A sync that failed is final: see ErrFailed.
//
// # What is not
//
// One process at a time has a log open, once: Open locks its directory, and fails with ErrInUse. A
// program with very many logs may lock one file for all of them (see disk.FS.Lock) and say so with
// Options.Guarded, which saves a descriptor for each. The lock keeps nobody from changing the files
// by other means. Taken items may come again after a power cut. After another restart only those
// may that were taken out of order while a full disk had no space to note it.
//
// Package inspect examines, rewinds and mends a log that nobody has open.
package wal
