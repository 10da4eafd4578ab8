// Package segment reads and writes one file of a queue's log: a segment.
//
// A segment is a header, records one after another and, once it is sealed, a sparse index and a
// footer. While it takes records it is mapped into memory at its full capacity. Every record
// carries a checksum that depends on the segment and on the record's offset in it, so stale,
// misplaced or foreign bytes never verify. A reader that meets damage can look for the next record
// that does verify: damage costs the records it touches and no others.
//
// # Life of a segment
//
// [Create] makes a blank file and gives it its first disk blocks ahead of need. [Segment.Start]
// writes the header into the map; from then on the segment is active and takes records with
// [Segment.Append]. Append never waits for the disk and never meets an unallocated block, because
// [Segment.Extend] allocates ahead. [Segment.Seal] writes index and footer and trims the file. A
// sealed segment never changes again. [Open] opens a sealed segment from its footer alone, and any
// other by checking every byte of it.
//
// # Reading
//
// A record is known by its offset. [Segment.At] verifies it and returns where the next one starts.
// If it does not verify, [Segment.Resync] finds the next one that does. [Segment.Find] finds a
// record by its sequence number. All of these may run while one goroutine appends.
//
// Payloads alias the map. Copy them before the segment is closed, and under [Guard], because any
// access to a mapped page may find it unreadable.
//
// # Cold form
//
// [WriteCold] writes the records that are still wanted of segments that will not be read soon to a
// file that is compressed and has parity. [Open] opens it as a sealed segment with the same
// records, at the offsets they would have in an uncompressed segment. Reading mends a flipped bit,
// and rebuilds damage that the parity covers; [Scrub] looks for such damage and mends it in the
// file. [Segment.Prefetch] decompresses ahead of a reader that is in a hurry.
//
// # Examining
//
// [Open] without Write changes nothing, and reads even a segment that lost all copies of its
// header. [Segment.Judge] tells which of its bytes are records and which are not. The same code
// judges a segment when it is opened after a crash and when it is sealed.
package segment
