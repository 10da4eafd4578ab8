package metrics

// Refusal is why an item was not stored.
type Refusal uint8

// The reasons, each with the word that figures and log lines have for it.
const (
	TooLarge  Refusal = iota // over max-item-size
	QueueFull                // the queue is at its own bound
	DiskFull                 // the data directory is, or the disk
	Shortage                 // the system lacks memory or descriptors
	Failed                   // the queue failed, or cannot be loaded or created
	ReadOnly                 // the server takes no items: see package status
	Refusals                 // how many reasons there are
)

var refusalWords = [Refusals]string{
	"too_large", "queue_full", "disk_full", "shortage", "failed", "read_only",
}

func (r Refusal) String() string { return refusalWords[r] }
