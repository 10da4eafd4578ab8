// Package fsck checks data directories offline, and mends what can be mended without losing a
// readable item. It judges segments, offset files and bodies with the code that the server reads
// and recovers them with.
package fsck

// Severity says how bad a finding is.
type Severity string

const (
	// A Note is what a kill or a power cut leaves. The server mends it, and nothing is lost.
	Note    Severity = "note"
	Damage  Severity = "damage"  // a file is not as it was written
	Trouble Severity = "trouble" // a read error or missing permissions prevented the examination
)

// Finding is one difference from a queue that was closed cleanly.
type Finding struct {
	Queue string `json:"queue,omitempty"`
	File  string `json:"file,omitempty"` // name in the queue's directory
	// From and To are a range of the file in bytes. Both are 0 if the finding is about all of it.
	From     int64    `json:"from"`
	To       int64    `json:"to"`
	Severity Severity `json:"severity"`
	Kind     Kind     `json:"kind"`
	What     string   `json:"what"`           // what is wrong, and what it costs
	Items    uint64   `json:"items_lost"`     // items that are wanted and cannot be read
	Left     bool     `json:"left,omitempty"` // the damage is still there after a repair
}

// Kind names what is wrong, for programs.
type Kind string

const (
	TornTail     Kind = "torn-tail"       // an interrupted append
	DamagedTail  Kind = "damaged-tail"    // bytes after the last record that may have been a record
	DamagedRange Kind = "damaged-records" // no valid record where one should be
	HeaderCopy   Kind = "header-copy"     // one copy, or both if the footer has a third
	Stray        Kind = "stray-bytes"     // where there should be zeros that nobody reads
	Index        Kind = "index"
	Footer       Kind = "footer"
	Unsealed     Kind = "unsealed"     // a segment that was about to be completed
	Missing      Kind = "missing"      // items that are in no segment
	NoSegment    Kind = "no-segment"   // a file under a segment's name that is not one
	HeaderLost   Kind = "header-lost"  // without it no record verifies
	Misnamed     Kind = "misnamed"     // a segment that begins with another item than its name says
	NoSuccessor  Kind = "no-successor" // a sealed segment that no other follows
	Overlap      Kind = "overlap"      // items that are also in another segment
	OtherFormat  Kind = "other-format" // written by a program with another format
	FlippedBit   Kind = "flipped-bit"  // the checksum tells which, so it costs nothing
	Spare        Kind = "spare"        // a segment prepared ahead
	Rebuilt      Kind = "rebuilt"      // damage in a cold segment that costs nothing
	Superseded   Kind = "superseded"   // a segment that a cold one replaces
	Unfinished   Kind = "unfinished"   // a cold segment that was being written
	OffsetSlot   Kind = "offset-slot"
	OffsetEntry  Kind = "offset-entry"
	OffsetsLost  Kind = "offsets-lost"
	OffsetsAhead Kind = "offsets-ahead" // ahead of the log
	Rewrite      Kind = "rewrite"       // an interrupted rewrite of an offset file
	Body         Kind = "body"          // a damaged body of a large item
	BodyMissing  Kind = "body-missing"
	BodyTaken    Kind = "body-taken"   // its item was taken
	BodyOrphan   Kind = "body-orphan"  // its item has no record
	BodyUnnamed  Kind = "body-unnamed" // it is still under its upload's name
	Upload       Kind = "upload"       // an interrupted upload
	Interrupted  Kind = "interrupted-repair"
	Foreign      Kind = "foreign"
	OtherLog     Kind = "other-log" // a file of another queue, or of an earlier one of this name
	Trash        Kind = "trash"
	Unreadable   Kind = "unreadable"
	NotLocked    Kind = "not-locked"
	InUse        Kind = "in-use"   // another program has the queue open
	NotDone      Kind = "not-done" // a failed step of a repair
)

// Action is a step of a repair: done or, in a dry run, planned.
type Action struct {
	Queue string `json:"queue"`
	File  string `json:"file,omitempty"`
	What  string `json:"what"`
}

// Row sums up a queue.
type Row struct {
	Queue    string `json:"queue"`
	Items    uint64 `json:"items"`      // readable, and wanted by some consumer
	Live     int64  `json:"live_bytes"` // bytes on the disk in those items
	Dead     int64  `json:"dead_bytes"` // bytes on the disk in items that were taken, and in damage
	Segments int    `json:"segments"`
	Disk     int64  `json:"disk_bytes"` // size of all files
	Oldest   int64  `json:"oldest_ms"`  // when items were set, in Unix ms; 0 without items
	Newest   int64  `json:"newest_ms"`
	Lost     uint64 `json:"items_lost"` // wanted items that cannot be read
	Gaps     int    `json:"gaps"`       // number of runs of lost items
}

// Result sums up a run.
type Result struct {
	Queues  int    `json:"queues"`
	Items   uint64 `json:"items"`
	Lost    uint64 `json:"items_lost"`
	Notes   int    `json:"notes"`
	Damage  int    `json:"damage"`
	Left    int    `json:"left"`    // findings of damage that are left at the end
	Trouble int    `json:"trouble"` // what could not be examined or done
	Actions int    `json:"actions"` // steps of repair, done or planned
	DryRun  bool   `json:"dry_run,omitempty"`

	asked    bool // a repair was asked for
	mendable int  // findings of damage in queues that can be repaired
}

// Exit codes, like those of fsck(8). Exit adds them up.
const (
	ExitClean    = 0
	ExitRepaired = 1 // something was changed
	ExitLeft     = 4 // damage is left
	ExitTrouble  = 8 // something could not be examined or done
	ExitUsage    = 16
)

// Exit returns the exit code for r.
func (r Result) Exit() (code int) {
	if r.Actions > 0 && !r.DryRun {
		code += ExitRepaired
	}
	if r.Left > 0 {
		code += ExitLeft
	}
	if r.Trouble > 0 {
		code += ExitTrouble
	}
	return code
}
