package logs

// Who logs never waits for who reads the log.

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/darner/darner/wal/clock"
)

// Writer passes lines on by a goroutine of its own, so that Write never waits: for a slow disk, or
// for a reader that is stuck. Lines that come faster than they can be written are dropped; when
// that is over, a line says how many.
type Writer struct {
	to    io.Writer
	clock clock.Clock
	more  chan struct{} // receives when there is something to do
	ended chan struct{} // closed when all is written after Close

	mu      sync.Mutex // a leaf; guards what follows
	waiting []byte     // whole lines
	dropped int        // lines
	closed  bool
}

const (
	maxWaiting  = 256 << 10 // bytes
	keptWaiting = 16 << 10  // bytes of a buffer that is used again
	closeTime   = time.Second
)

// NewWriter returns a Writer in front of to. Call Close at the end.
func NewWriter(to io.Writer, c clock.Clock) *Writer {
	w := &Writer{to: to, clock: c, more: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line. It never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting)+len(line) > maxWaiting || w.dropped > 0 {
		w.dropped++ // once lines are missing all are, until that is said
	} else {
		w.waiting = append(w.waiting, line...)
	}
	w.wake()
	return len(line), nil
}

// Close writes what waits, for a second at most.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake()
	clock.Wait(w.clock, closeTime, w.ended)
}

func (w *Writer) wake() {
	select {
	case w.more <- struct{}{}:
	default: // it is awake
	}
}

// run writes until the Writer is closed. An error of the output is nobody's to hear: the log goes
// on when it is over.
func (w *Writer) run() {
	defer close(w.ended)
	var spare []byte
	for range w.more {
		for {
			w.mu.Lock()
			lines, dropped, closed := w.waiting, w.dropped, w.closed
			w.waiting, w.dropped = spare[:0], 0
			w.mu.Unlock()
			if dropped > 0 {
				lines = append(lines, droppedLine(dropped)...)
			}
			if len(lines) == 0 && closed {
				return
			}
			if len(lines) == 0 {
				spare = lines
				break
			}
			w.to.Write(lines)
			if spare = lines; cap(spare) > keptWaiting {
				spare = nil
			}
		}
	}
}

func droppedLine(lines int) []byte {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Warn(
		"whoever reads the log does not keep up; lines were dropped", "lines", lines)
	return b.Bytes()
}
