package exchange

import (
	"errors"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/kestrel"
)

// FromKestrel appends what one queue of a Kestrel's directory holds. What its journal does not tell
// of an item, when it was set and its flags, is the time of the import and 0.
func (im *Importer) FromKestrel(fsys disk.FS, dir string, q kestrel.Queue) (held *kestrel.Contents, err error) {
	held, err = kestrel.Replay(fsys, dir, q)
	if err != nil {
		return nil, err
	}
	err = held.Each(func(it kestrel.Item) error {
		return im.Add(Item{Enqueued: it.Added, Expires: it.Expires, Size: it.Size, Body: it.Body})
	})
	return held, errors.Join(err, held.Close())
}
