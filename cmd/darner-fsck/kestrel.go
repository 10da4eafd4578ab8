package main

// The import of a Kestrel. It may be killed and started again: a queue is made aside, under a
// hidden name, and gets its own when all of it is on stable storage. So what is there is whole, and
// is not imported twice.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/tools/kestrel"
	"github.com/darner/darner/wal/datadir"
)

// asideName is the name in the data directory of a queue that is being made.
const asideName = ".kestrel-import"

// move is an import of all queues of a Kestrel's directory.
type move struct {
	from   string
	to     *datadir.Dir
	append bool // to queues that exist
	status exit
}

// target is a queue that can be imported.
type target struct {
	from   kestrel.Queue
	to     datadir.Queue
	exists bool
}

func importKestrel(c *cli.Context) error {
	if c.NArg() != 2 {
		return wrongUse(c)
	}
	m := move{from: c.Args().Get(1), append: c.Bool("append")}
	queues, foreign, err := kestrel.Queues(files, m.from)
	if err != nil {
		return err
	}
	for _, f := range foreign {
		fmt.Fprintf(os.Stderr, "darner-fsck: %s is not a journal and is left out\n",
			filepath.Join(m.from, f))
	}
	if len(queues) == 0 {
		return fmt.Errorf("%s holds no journals of a Kestrel", m.from)
	}
	d, lock, err := makeData(c.Args().Get(0))
	if err != nil {
		return err
	}
	defer lock.Close()
	m.to = d
	if err := os.RemoveAll(m.aside()); err != nil { // of an import that was killed
		return err
	}
	for _, t := range m.check(queues) {
		if err := m.queue(t); err != nil {
			m.refuse(t.from.Name, err)
		}
	}
	if m.status != 0 {
		return m.status
	}
	return nil
}

func (m *move) aside() string { return filepath.Join(m.to.Path, asideName) }

// refuse reports a queue that is not imported. The import goes on with the others.
func (m *move) refuse(queue string, err error) {
	fmt.Fprintf(os.Stderr, "darner-fsck: queue %s: %v\n", queue, err)
	m.status |= fsck.ExitTrouble
}

// check reads all queues and their journals before anything is written.
func (m *move) check(queues []kestrel.Queue) (targets []target) {
	for _, q := range queues {
		t, err := m.target(q)
		if err != nil {
			m.refuse(q.Name, err)
			continue
		}
		targets = append(targets, t)
	}
	return targets
}

func (m *move) target(q kestrel.Queue) (t target, err error) {
	t.from = q
	if t.to, err = m.to.New(q.Name); err != nil {
		return t, err
	}
	entries, err := files.ReadDir(t.to.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	t.exists = len(entries) > 0
	if t.exists && !m.append {
		return t, fmt.Errorf("not imported, because %s exists, from an earlier import or a server "+
			"(--append adds to it)", t.to.Path)
	}
	held, err := kestrel.Replay(files, m.from, q)
	if err != nil {
		return t, err
	}
	return t, held.Close()
}

// queue imports one queue.
func (m *move) queue(t target) error {
	path := m.aside()
	if t.exists {
		path = t.to.Path
	}
	im := importer(m.to, path)
	held, err := im.FromKestrel(files, m.from, t.from)
	err = errors.Join(err, im.Close())
	if !t.exists {
		if err == nil && im.Items > 0 {
			err = m.place(t.to.Path)
		}
		if err != nil {
			err = fmt.Errorf("nothing of it was imported: %w", err)
			return errors.Join(err, os.RemoveAll(path))
		}
	}
	open := ""
	if held != nil && held.Open > 0 {
		open = fmt.Sprintf(", open: %d of them", held.Open)
	}
	fmt.Printf("%s: %s, %s of payload%s\n",
		t.from.Name, count(im.Items, "item"), count(im.Bytes, "byte"), open)
	if held != nil {
		m.report(held.Findings)
	}
	return err
}

// place gives the queue that was made its name.
func (m *move) place(path string) error {
	if err := files.SyncDir(m.aside()); err != nil {
		return err
	}
	if err := files.Rename(m.aside(), path); err != nil {
		return err
	}
	return files.SyncDir(m.to.Path)
}

func (m *move) report(findings []kestrel.Finding) {
	for _, f := range findings {
		fmt.Fprintln(os.Stderr, "darner-fsck:", f)
		if !f.Torn {
			m.status |= fsck.ExitLeft
		}
	}
}
