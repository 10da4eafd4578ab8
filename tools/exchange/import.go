package exchange

import (
	"errors"
	"fmt"
	"io"

	"github.com/darner/darner/wal"
)

// Importer appends items to one queue's log. The first item creates the log if necessary.
type Importer struct {
	Items, Bytes int64 // appended

	dir string
	o   wal.Options
	l   *wal.Log // nil before the first item
	buf []byte
}

// inlineMax is the size of the largest item that is imported whole. A longer one passes in pieces.
const inlineMax = 64 << 10

// NewImporter returns an Importer for a queue's directory. The caller must hold the data
// directory's lock, and must close the Importer: until then, items may not be on stable storage.
func NewImporter(dir string, o wal.Options) *Importer {
	o.InlineMax = inlineMax
	return &Importer{dir: dir, o: o}
}

func (im *Importer) open() error {
	l, err := wal.Open(im.dir, im.o)
	if err != nil {
		return err
	}
	if _, err := l.Consumer("", wal.Oldest); err != nil {
		return errors.Join(err, l.Close())
	}
	im.l, im.buf = l, make([]byte, inlineMax)
	return nil
}

// Add appends an item with a new sequence number. Without a time, it gets the time of the import.
// After an error the queue holds nothing of the item.
func (im *Importer) Add(it Item) error {
	if im.l == nil {
		if err := im.open(); err != nil {
			return err
		}
	}
	m := wal.Meta{
		Flags: it.Flags, Enqueued: it.Enqueued, Expires: it.Expires,
		More: &wal.More{Due: it.Due, Origin: it.Origin},
	}
	add := im.addInline
	if it.Size > inlineMax {
		add = im.addLarge
	}
	if err := add(it, m); err != nil {
		return err
	}
	im.Items++
	im.Bytes += it.Size
	return nil
}

func (im *Importer) addInline(it Item, m wal.Meta) error {
	payload := im.buf[:it.Size]
	if _, err := io.ReadFull(it.Body, payload); err != nil {
		return err
	}
	_, err := im.l.Append(payload, m)
	return err
}

func (im *Importer) addLarge(it Item, m wal.Meta) error {
	w, err := im.l.BeginLarge(it.Size, m)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, it.Body); err != nil {
		return errors.Join(err, w.Abort())
	}
	_, err = w.Commit()
	return err
}

// AddAll appends all items of a decoder, up to the end or the first error, which says where it
// occurred.
func (im *Importer) AddAll(from Decoder) error {
	for {
		it, err := from.Decode()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := im.Add(it); err != nil {
			return fmt.Errorf("item %d was not imported: %w", im.Items+1, err)
		}
	}
}

// Close syncs and closes the log. When it returns nil, all items are on stable storage.
func (im *Importer) Close() error {
	if im.l == nil {
		return nil
	}
	return errors.Join(im.l.Sync(), im.l.Close())
}
