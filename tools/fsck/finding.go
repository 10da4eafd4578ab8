// Package fsck checks data directories offline and mends what can be mended without losing a
// readable item. Segments, offset files and bodies are judged by the code that the server itself
// reads and recovers them with.
package fsck

// Severity says how bad a finding is.
type Severity string

const (
	Note    Severity = "note"    // as a kill or a power cut leaves it: the server deals with it, nothing is lost by it
	Damage  Severity = "damage"  // something is not as it was written
	Trouble Severity = "trouble" // the disk, or missing rights, kept it from being examined
)

// Finding is one thing that is not as in a queue that was closed cleanly.
type Finding struct {
	Queue    string   `json:"queue,omitempty"`
	File     string   `json:"file,omitempty"` // name in the queue's directory
	From     int64    `json:"from"`           // bytes of the file; From and To are 0 when it is about all of it
	To       int64    `json:"to"`
	Severity Severity `json:"severity"`
	Kind     Kind     `json:"kind"`
	What     string   `json:"what"`           // and what it costs
	Items    uint64   `json:"items_lost"`     // items that were not taken and cannot be read
	Left     bool     `json:"left,omitempty"` // it is still so after a repair
}

// Kind names what is wrong, for programs.
type Kind string

const (
	TornTail     Kind = "torn-tail"       // an append that was interrupted
	DamagedTail  Kind = "damaged-tail"    // bytes behind the last record that may have been one
	DamagedRange Kind = "damaged-records" // no valid record where one should be
	HeaderCopy   Kind = "header-copy"     // one copy, or both where the footer has it once more
	Stray        Kind = "stray-bytes"     // where there should be zeros, and nobody reads
	Index        Kind = "index"
	Footer       Kind = "footer"
	Unsealed     Kind = "unsealed"     // a segment that was about to be completed
	Missing      Kind = "missing"      // items that are in no segment
	NoSegment    Kind = "no-segment"   // something else under a segment's name
	HeaderLost   Kind = "header-lost"  // without it no record verifies
	Misnamed     Kind = "misnamed"     // a segment that begins with another item than its name says
	NoSuccessor  Kind = "no-successor" // a completed segment that none follows
	Overlap      Kind = "overlap"      // items that another segment has too
	NewerFormat  Kind = "newer-format" // written by a newer server
	Spare        Kind = "spare"        // a segment prepared ahead
	Rebuilt      Kind = "rebuilt"      // of a cold segment: damage that costs nothing
	Superseded   Kind = "superseded"   // a segment that a cold one stands for
	Unfinished   Kind = "unfinished"   // a cold segment that was being written
	OffsetSlot   Kind = "offset-slot"
	OffsetEntry  Kind = "offset-entry"
	OffsetsLost  Kind = "offsets-lost"
	OffsetsAhead Kind = "offsets-ahead" // of the log
	Rewrite      Kind = "rewrite"       // of an offset file, interrupted
	Body         Kind = "body"          // of a large item: damaged
	BodyMissing  Kind = "body-missing"
	BodyTaken    Kind = "body-taken"   // its item was taken
	BodyOrphan   Kind = "body-orphan"  // there is no record of its item
	BodyUnnamed  Kind = "body-unnamed" // it still has its upload's name
	Upload       Kind = "upload"       // broke off
	Interrupted  Kind = "interrupted-repair"
	Foreign      Kind = "foreign"
	OtherLog     Kind = "other-log" // a file of another queue, or of one that was here before
	Trash        Kind = "trash"
	Unreadable   Kind = "unreadable"
	NotLocked    Kind = "not-locked"
	NotDone      Kind = "not-done" // a step of a repair that failed
)

// Action is a step of a repair, done or, in a dry run, planned.
type Action struct {
	Queue string `json:"queue"`
	File  string `json:"file,omitempty"`
	What  string `json:"what"`
}

// Row sums up a queue.
type Row struct {
	Queue    string `json:"queue"`
	Items    uint64 `json:"items"`      // readable, and wanted by some consumer
	Live     int64  `json:"live_bytes"` // of the disk, in those
	Dead     int64  `json:"dead_bytes"` // of the disk, in items that were taken and in damage
	Segments int    `json:"segments"`
	Disk     int64  `json:"disk_bytes"` // of all files
	Oldest   int64  `json:"oldest_ms"`  // when the items were set, Unix ms; 0 without items
	Newest   int64  `json:"newest_ms"`
	Lost     uint64 `json:"items_lost"` // wanted, and not readable
	Gaps     int    `json:"gaps"`       // runs of those
}

// Result sums up a run.
type Result struct {
	Queues  int    `json:"queues"`
	Items   uint64 `json:"items"`
	Lost    uint64 `json:"items_lost"`
	Notes   int    `json:"notes"`
	Damage  int    `json:"damage"`
	Left    int    `json:"left"`    // findings of damage that still hold at the end
	Trouble int    `json:"trouble"` // what could not be examined or done
	Actions int    `json:"actions"` // steps of repair, done or planned
	DryRun  bool   `json:"dry_run,omitempty"`

	asked    bool // for a repair
	mendable int  // findings of damage in queues that a repair touches
	newer    bool // some queue is of a newer format
}

// Exit codes, as of fsck(8). They are added up.
const (
	ExitClean    = 0
	ExitRepaired = 1 // something was changed
	ExitLeft     = 4 // damage is left
	ExitTrouble  = 8 // something could not be examined or done
	ExitUsage    = 16
)

// Exit is the exit code that tells of r.
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
