package disktest

// Syncing all there is.

import "github.com/darner/darner/segment/disk"

// Whole is all of it, whichever file it is asked for.
func (f *FS) Whole(file string) (disk.Whole, error) {
	if err := f.ask(OpOpen, file); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.lookup(file); err != nil {
		return nil, wrap(OpOpen, file, err)
	}
	f.files++
	return whole{f, file}, nil
}

type whole struct {
	fs   *FS
	file string
}

func (w whole) Holds(name string) bool {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	_, err := w.fs.lookup(name)
	return err == nil
}

// Sync fails, if it is to, before anything reached the disk, and leaves it to the sync of each file to tell which it was.
func (w whole) Sync() error {
	if err := w.fs.ask(OpSyncAll, w.file); err != nil {
		return err
	}
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	for _, c := range w.fs.journal {
		c.apply(durable)
	}
	w.fs.journal = nil
	w.fs.syncAll(w.fs.root)
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

func (w whole) Close() error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	w.fs.files--
	return nil
}
