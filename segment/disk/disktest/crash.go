package disktest

// Images: what another process finds after this process, or the machine, has died.

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Clone returns what the death of the process leaves. That is everything, because the kernel has
// what was not synced; a power cut can still take that. The image has no handles, locks, maps or
// hook. Nobody may store into a map meanwhile, or the image is not that of one moment.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkAll()
	c := cloner{}
	image := &FS{root: c.clone(f.root), capacity: f.capacity}
	for _, ch := range f.journal {
		copied := slices.Clone(ch)
		for i, s := range copied {
			copied[i] = set{entry{c.clone(s.dir), s.name}, c.clone(s.node)}
		}
		image.journal = append(image.journal, copied)
	}
	image.countTree(image.root)
	return image
}

// cloner copies each node once: the two views of directories and the journal share nodes.
type cloner map[*node]*node

func (c cloner) clone(n *node) *node {
	if n == nil || c[n] != nil {
		return c[n]
	}
	copied := &node{
		size: n.size, buf: n.content(), blocks: slices.Clone(n.blocks),
		synced: slices.Clone(n.synced), syncedBlocks: slices.Clone(n.syncedBlocks),
		syncFailed: n.syncFailed,
	}
	c[n] = copied
	if n.dir() {
		copied.live, copied.durable = c.names(n.live), c.names(n.durable)
	}
	return copied
}

func (c cloner) names(m map[string]*node) map[string]*node {
	copied := make(map[string]*node, len(m))
	for name, n := range m {
		copied[name] = c.clone(n)
	}
	return copied
}

// countTree counts the names and blocks below a node of a new image.
func (f *FS) countTree(n *node) {
	f.used += n.allocated()
	for _, child := range n.live {
		child.links++
		f.countTree(child)
	}
}

// Crash returns what a power cut at this moment may leave. rng decides, each time independently,
// whether
//
//   - a change of a directory since its SyncDir got to the disk, though never without the earlier
//     changes of the same names;
//   - a file's size is the synced one or the last one;
//   - a sector written since the file's Sync has the synced content (zeros if there was none) or
//     the
//     last one.
//
// rng also decides how much of it got to the disk, from nothing to everything. The image is
// independent of f, which can still be used. It has no handles, locks, maps or hook, and all of it
// is durable. Others may store into maps meanwhile.
func (f *FS) Crash(rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkAll()
	names := f.survivingNames(coin(rng))
	c := crasher{names: names, kept: coin(rng)}
	image := &FS{root: c.crash(f.root), capacity: f.capacity}
	image.countTree(image.root)
	return image
}

// Writeback makes the kernel write some of what no Sync has asked for, chosen by rng as in Crash.
// Without it, a sector that was written twice never has the content in between after a crash.
func (f *FS) Writeback(rng *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkAll()
	f.writeback(f.root, coin(rng))
}

func (f *FS) writeback(n *node, kept func() bool) {
	for _, name := range slices.Sorted(maps.Keys(n.live)) {
		f.writeback(n.live[name], kept)
	}
	if !n.dir() && !n.syncFailed {
		n.synced, n.syncedBlocks = n.afterCrash(kept)
	}
}

// coin picks a probability and returns a coin that is true with it.
func coin(rng *rand.Rand) func() bool {
	quarters := rng.IntN(5)
	return func() bool { return rng.IntN(4) < quarters }
}

// survivingNames returns the durable names of every directory, together with the changes that are
// kept.
func (f *FS) survivingNames(kept func() bool) func(*node) map[string]*node {
	after := map[*node]map[string]*node{}
	names := func(n *node) map[string]*node {
		if after[n] == nil {
			after[n] = maps.Clone(n.durable)
		}
		return after[n]
	}
	lost := map[entry]bool{}
	for _, c := range f.journal {
		if kept() && !c.touchesAny(lost) {
			c.apply(names)
		} else {
			c.mark(lost)
		}
	}
	return names
}

// crasher copies the tree that a power cut leaves.
type crasher struct {
	names func(*node) map[string]*node
	kept  func() bool
}

func (c crasher) crash(n *node) *node {
	if !n.dir() {
		content, blocks := n.afterCrash(c.kept)
		return &node{
			size: int64(len(content)), buf: content, blocks: blocks,
			synced: slices.Clone(content), syncedBlocks: slices.Clone(blocks),
		}
	}
	dir := newDir()
	names := c.names(n)
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted, so that a seed repeats
		child := c.crash(names[name])
		dir.live[name], dir.durable[name] = child, child
	}
	return dir
}

// afterCrash mixes the content on the disk with what was written since. It returns the result and
// the blocks it has.
func (n *node) afterCrash(kept func() bool) ([]byte, []bool) {
	written := n.content()
	size := len(n.synced)
	if len(written) != size && kept() {
		size = len(written)
	}
	mixed := make([]byte, size)
	copy(mixed, n.synced)
	for off := 0; off < min(size, len(written)); off += sectorSize {
		var sector [sectorSize]byte // zeros after the end of what was written
		copy(sector[:], written[off:])
		old := mixed[off:min(off+sectorSize, size)]
		if now := sector[:len(old)]; !bytes.Equal(old, now) && kept() {
			copy(old, now)
		}
	}
	blocks := make([]bool, blocksFor(int64(size)))
	for i := range blocks {
		blocks[i] = i < len(n.blocks) && n.blocks[i] || i < len(n.syncedBlocks) && n.syncedBlocks[i]
	}
	return mixed, blocks
}
