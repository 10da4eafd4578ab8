package exchange

import (
	"errors"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/kestrel"
)

// FromKestrel appends the items of one queue in a Kestrel's directory. The journal holds no flags,
// so they are 0. Where it does not hold the time of an item, this is the time of the import.
func (im *Importer) FromKestrel(fsys disk.FS, dir string,
	q kestrel.Queue) (held *kestrel.Contents, err error) {
	held, err = kestrel.Replay(fsys, dir, q)
	if err != nil {
		return nil, err
	}
	err = held.Each(func(it kestrel.Item) error {
		return im.Add(Item{Enqueued: it.Added, Expires: it.Expires, Size: it.Size, Body: it.Body})
	})
	return held, errors.Join(err, held.Close())
}
