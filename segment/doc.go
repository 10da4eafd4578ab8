// Package segment reads and writes one file of a queue's log: a segment.
//
// A segment is a header, records one behind another, and, once it is sealed,
// a sparse index and a footer. It is mapped into memory once, at its full
// capacity. Every record carries a checksum that depends on the segment and
// on the record's place in it, so stale, misplaced or foreign bytes never
// verify, and a reader that meets damage can look for the next record that
// does: damage costs the records it touches and no other.
//
// # Life of a segment
//
// [Create] makes a blank file and gives it its first disk blocks, ahead of
// need. [Segment.Start] writes the header into the map: from now on the
// segment is active and takes records with [Segment.Append]. Appending does
// no I/O and never meets an unallocated block: [Segment.Extend] allocates
// ahead. [Segment.Seal] writes index and footer and trims the file; a sealed
// segment never changes again. [Open] opens a sealed segment from its footer
// alone, and any other by judging every byte of it.
//
// # Reading
//
// A record is known by its offset. [Segment.At] verifies it and tells where
// the next one starts. When it does not verify, [Segment.Resync] finds the
// next one that does. [Segment.Find] finds a record by its sequence number.
// All may run beside one goroutine that appends.
//
// Payloads alias the map: copy them before the segment is closed, under
// [Guard], because a page of a map may turn out unreadable at any access.
//
// # Cold form
//
// [WriteCold] writes what is still wanted of segments that are not read soon to a file
// that is compressed and has parity. [Open] opens it as a sealed segment: its records are the same, at
// the offsets they would have in an uncompressed segment. Damage within the parity is
// rebuilt when it is read; [Scrub] looks for it and mends it. [Segment.Prefetch] keeps decompression away from a
// reader that is in a hurry.
//
// # Examining
//
// [ReadHeader], [ReadFooter], [Scan] and [Judge] work on the bytes of a file
// and need no [Segment]: the same code judges a segment when it is opened and
// when it is checked offline.
package segment
