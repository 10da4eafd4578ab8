package memcache

import (
	"math"
	"testing"
	"time"

	"github.com/darner/darner/server/memcache/transcript"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/server/status"
)

// FuzzSession feeds two sessions arbitrary bytes in arbitrary pieces, and takes their output in
// arbitrary pieces. Whatever comes: no panic, nothing consumed that was not given, output within
// its bound, never stuck, and nothing reserved when both are gone.
func FuzzSession(f *testing.F) {
	cases, err := transcript.Load("../../testdata/protocol")
	if err != nil {
		f.Fatal(err)
	}
	for i, c := range cases {
		var sent []byte
		for _, s := range c.Step {
			if s.Do == transcript.Send && len(s.Text) < 20000 {
				if sent = append(sent, s.Text...); !s.Bare {
					sent = append(sent, "\r\n"...)
				}
			}
		}
		f.Add(sent, []byte{0xff, byte(i), 0x42, 0x03, 0xfe, 0x05, byte(7 * i), 0x80})
	}
	f.Add([]byte("set q 0 0 200000\r\n"), []byte{0, 2, 4})
	sv := newServer(f, inlineMax(1<<10), openReads(3), func(sv *testServer) {
		sv.env.MaxItemSize = 1 << 20
	})
	f.Fuzz(func(t *testing.T, sent, pieces []byte) {
		if _, err := sv.env.Status.Set(status.Up); err != nil {
			t.Fatal(err)
		}
		d := &sv.env.Dialect
		d.CloseAny, d.EchoAsked = len(pieces)%2 == 1, len(sent)%2 == 1
		var sides [2]*fuzzed
		for i := range sides {
			sides[i] = newFuzzed(t, sv)
		}
		for _, p := range pieces {
			side, size := sides[p&1], int(p>>3)*int(p>>3)+1
			switch p >> 1 & 3 {
			case 0, 1:
				n := min(size, len(sent))
				side.in, sent = append(side.in, sent[:n]...), sent[n:]
				side.process()
			case 2:
				side.take(size)
			case 3:
				side.onward()
			}
		}
		sides[0].in = append(sides[0].in, sent...)
		sides[0].finish()
		for _, side := range sides {
			side.s.Close()
		}
		if open := sv.openTransactions(); open != 0 {
			t.Errorf("got %d items open by nobody, want none", open)
		}
		sv.registry.Each(func(q *queue.Queue) bool {
			if err := q.Delete(); err != nil {
				t.Error(err)
			}
			return true
		})
	})
}

// fuzzed is a session whose output is taken piece by piece.
type fuzzed struct {
	t     *testing.T
	sv    *testServer
	s     *Session
	in    []byte
	out   []byte // not taken yet
	woken chan struct{}
}

func newFuzzed(t *testing.T, sv *testServer) *fuzzed {
	f := &fuzzed{t: t, sv: sv, woken: make(chan struct{}, 1)}
	f.s = NewSession(sv.env, Peer{Local: true}, func() {
		select {
		case f.woken <- struct{}{}:
		default:
		}
	})
	return f
}

// process returns whether anything came of it.
func (f *fuzzed) process() bool {
	before, state := len(f.out), f.s.State()
	n, out := f.s.Process(f.in, f.out)
	if n < 0 || n > len(f.in) || len(out) < before {
		f.t.Fatalf("got %d of %d consumed, output from %d to %d, want no more and no less",
			n, len(f.in), before, len(out))
	}
	if limit := OutputLimit + chunkSize + 2*LineMax; len(out) > max(limit, before) {
		f.t.Fatalf("got %d bytes of output, want %d at most", len(out), limit)
	}
	f.in, f.out = f.in[n:], out
	need := f.s.Need()
	if need > max(LineMax, wholeMax)+2 {
		f.t.Fatalf("got a need of %d bytes, want no more than a line or an inline item", need)
	}
	if f.s.State() == Ready && need <= len(f.in) && len(out) < OutputLimit && !f.s.pending.full() {
		f.t.Fatalf("got a stop before %.40q, want it consumed", f.in)
	}
	return n > 0 || len(out) > before || f.s.State() != state
}

func (f *fuzzed) take(n int) {
	total := 0
	for _, p := range f.s.Parts(f.out, make([]Part, 0, MaxParts)) {
		total += len(p.Bytes)
	}
	n = min(n, total)
	f.out = f.out[f.s.Took(n):]
	f.s.Sent(n)
}

// onward does what the session wants besides input; false when that is nothing.
func (f *fuzzed) onward() bool {
	switch f.s.State() {
	case Working:
		f.s.Job()()
	case Waiting:
		if at, ok := f.s.Deadline(); ok {
			f.sv.pass(at - f.sv.env.Steady())
			break
		}
		select {
		case <-f.woken:
		case <-time.After(hangs):
			f.t.Fatal("got no wake, want one")
		}
	case Ready:
		if f.s.Need() > len(f.in) {
			return false
		}
	case Closing:
		return false
	}
	f.process()
	return true
}

// finish takes all output and goes on to the end of the input.
func (f *fuzzed) finish() {
	f.process()
	for {
		f.take(math.MaxInt)
		ready := f.s.State() == Ready && f.s.Need() <= len(f.in)
		if ready && !f.process() {
			f.t.Fatalf("got stuck before %.40q, want it consumed", f.in)
		}
		if !ready && !f.onward() {
			return
		}
	}
}
