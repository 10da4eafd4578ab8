package disktest

// Syncing the whole file system.

import "github.com/darner/darner/segment/disk"

// Volume returns all of the file system, for any of its files.
func (f *FS) Volume(file string) (disk.Volume, error) {
	if err := f.ask(OpOpen, file); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.lookup(file); err != nil {
		return nil, wrap(OpOpen, file, err)
	}
	f.files++
	return volume{f, file}, nil
}

type volume struct {
	fs   *FS
	file string
}

func (v volume) Holds(name string) bool {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	_, err := v.fs.lookup(name)
	return err == nil
}

// Sync fails, if it does, before anything got to the disk. The sync of each file then reports which
// of them failed.
func (v volume) Sync() error {
	if err := v.fs.ask(OpSyncAll, v.file); err != nil {
		return err
	}
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	for _, c := range v.fs.journal {
		c.apply(durable)
	}
	v.fs.journal = nil
	v.fs.syncAll(v.fs.root)
	return nil
}

func (f *FS) syncAll(n *node) {
	for name, sub := range n.live {
		if sub.dir() {
			f.syncAll(sub)
			continue
		}
		f.check(name, sub)
		sub.sync()
	}
}

func (v volume) Close() error {
	v.fs.mu.Lock()
	defer v.fs.mu.Unlock()
	v.fs.files--
	return nil
}
