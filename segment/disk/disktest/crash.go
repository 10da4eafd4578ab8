package disktest

// Images: what another process finds after this one, or the whole machine,
// has died.

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Clone returns what the death of the process leaves: all of it, for the
// kernel has the rest, still in danger of a power cut. There are no handles,
// locks, maps or hook. It is a moment's image only if nobody stores into a map
// meanwhile.
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
	image.settle(image.root)
	return image
}

// cloner copies nodes, each once: the two views of directories and the journal
// share them.
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

// settle counts the names and blocks of a new image.
func (f *FS) settle(n *node) {
	f.used += n.allocated()
	for _, child := range n.live {
		child.links++
		f.settle(child)
	}
}

// Crash returns what a power cut at this moment may leave. rng decides, for each
// on its own, whether
//
//   - a change of a directory since its SyncDir got to the disk, though never
//     without the changes of the same names before it;
//   - a file's size is the synced one or the last one;
//   - a sector written since the file's Sync has the synced content (zeros
//     where there was none) or the last one.
//
// How much of it all got to the disk is up to rng as well, from nothing to
// everything. The image is independent of f, which goes on; it has no handles, locks,
// maps or hook, and all of it is durable. It may be taken while others store
// into maps.
func (f *FS) Crash(rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkAll()
	names := f.survivingNames(luck(rng))
	c := crasher{names: names, kept: luck(rng)}
	image := &FS{root: c.crash(f.root), capacity: f.capacity}
	image.settle(image.root)
	return image
}

// Writeback has the kernel write some of what no Sync has asked for, chosen by
// rng as in Crash. Without it a sector that was written twice is, after a
// crash, never what it was in between.
func (f *FS) Writeback(rng *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkAll()
	f.writeback(f.root, luck(rng))
}

func (f *FS) writeback(n *node, kept func() bool) {
	for _, name := range slices.Sorted(maps.Keys(n.live)) {
		f.writeback(n.live[name], kept)
	}
	if !n.dir() && !n.syncFailed {
		n.synced, n.syncedBlocks = n.afterCrash(kept)
	}
}

// luck decides how likely a thing is kept, and returns that coin.
func luck(rng *rand.Rand) func() bool {
	quarters := rng.IntN(5)
	return func() bool { return rng.IntN(4) < quarters }
}

// survivingNames returns the durable names of every directory, and on top the
// changes that had the luck to be kept.
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
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted: rng must decide the same twice
		child := c.crash(names[name])
		dir.live[name], dir.durable[name] = child, child
	}
	return dir
}

// afterCrash mixes the content on the disk with the content written since, and
// returns it with the blocks it has.
func (n *node) afterCrash(kept func() bool) ([]byte, []bool) {
	written := n.content()
	size := len(n.synced)
	if len(written) != size && kept() {
		size = len(written)
	}
	mixed := make([]byte, size)
	copy(mixed, n.synced)
	for off := 0; off < min(size, len(written)); off += sectorSize {
		var sector [sectorSize]byte // zeros behind the end of what was written
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
