package fsck_test

// The fixtures: queues with one kind of damage each. They are stored in testdata, so that the tests
// examine what a release wrote, and not what the code under test would write.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

const (
	// orders has the items 1 to 28 in three segments. The last one is not sealed. Items 1 to 3, 6
	// and 7 are taken.
	orders  = data + "/orders"
	blobs   = data + "/blobs" // items 1 to 4, of which 2 and 4 are large
	first   = orders + "/00000000000000000001.seg"
	second  = orders + "/00000000000000000011.seg"
	last    = orders + "/00000000000000000021.seg"
	offsets = orders + "/consumer.off"
	body    = blobs + "/00000000000000000002.item"
)

// fixtures says how to make each fixture from an undamaged queue.
var fixtures = map[string]func(b *builder){
	"clean": func(b *builder) { b.orders() },

	// As a kill leaves it.
	"killed": func(b *builder) {
		b.orders()
		b.write(last, b.tail(last)+4, "\x10\x00\x00\x00\x1d") // a checksum of zero: not stored
		b.put(orders+"/00000000000000000007.spare", make([]byte, 4096))
		b.put(orders+"/00000000000000000077.part", make([]byte, 100))
	},
	"killed-before-sealing": func(b *builder) {
		b.segment(first, 1, 10, true)
		b.segment(second, 11, 20, false)
		b.segment(last, 21, 28, false)
		b.taken(4)
	},
	"killed-while-sealing": func(b *builder) {
		b.orders()
		b.cut(second, 128)
		b.put(second, append(b.get(second), make([]byte, 128)...))
	},
	"killed-before-naming": func(b *builder) {
		b.orders()
		b.move(last, orders+"/00000000000000000009.spare")
	},
	"killed-while-rewriting-offsets": func(b *builder) {
		b.orders()
		newer := b.get(offsets)
		b.taken(3)
		b.put(offsets+".new", newer)
	},
	"killed-before-rewriting-offsets": func(b *builder) {
		b.orders()
		b.put(offsets+".new", append(make([]byte, 1024), "\x01\x02\x03\x04\x02"...))
	},
	"killed-while-repairing": func(b *builder) {
		b.orders()
		b.put(first+".mend", make([]byte, 4096))
	},
	"power-cut-after-taking": func(b *builder) {
		b.orders()
		b.taken(35)
	},
	"power-cut-before-offsets": func(b *builder) {
		b.orders()
		b.put(offsets, make([]byte, 4096))
	},
	"power-cut-after-all-was-taken": func(b *builder) { // so none of them was synced any more
		b.segment(first, 1, 10, false)
		b.segment(second, 11, 20, false)
		b.write(second, 0, string(make([]byte, segment.HeaderSize)))
		b.write(second, segment.HeaderSize, strings.Repeat("?", 1000))
		b.segment(last, 21, 28, true)
		b.taken(28)
	},

	// Records.
	"lost-record": func(b *builder) {
		b.orders()
		b.spoil(second, b.record(second, 15)+45)
	},
	"lost-record-in-taken": func(b *builder) { b.orders(); b.spoil(first, b.record(first, 6)+45) },
	"lost-record-last": func(b *builder) {
		b.orders()
		b.spoil(second, b.record(second, 20)+45)
	},
	"segment-flipped-bits": func(b *builder) {
		b.orders()
		b.flip(first, 16)                      // a header
		b.flip(second, b.record(second, 15)+8) // a length
		b.flip(second, b.record(second, 17)+45)
		b.flip(second, b.size(second)-160+40) // a footer
		b.flip(last, b.record(last, 23)+3)    // a checksum
	},
	"lost-record-active": func(b *builder) { b.orders(); b.spoil(last, b.record(last, 23)+45) },
	"lost-record-newest": func(b *builder) { b.orders(); b.spoil(last, b.record(last, 28)+45) },
	"lost-records": func(b *builder) {
		b.orders()
		b.spoil(first, 1080)
		b.spoil(second, 1400)
		b.spoil(last, 1200)
	},
	"lost-sector": func(b *builder) {
		b.orders()
		b.write(second, 1024+512, string(make([]byte, 512)))
	},
	"all-records-lost": func(b *builder) {
		b.orders()
		b.write(second, 1024, string(make([]byte, 1020)))
	},
	"all-newest-lost": func(b *builder) {
		b.orders()
		b.write(last, 1024, strings.Repeat("?", b.tail(last)-1024))
	},
	"stray-bytes": func(b *builder) {
		b.orders()
		b.spoil(second, 300)
		b.spoil(first, b.record(first, 9)-1)
		b.spoil(offsets, 600)
	},
	"missing-segment":        func(b *builder) { b.orders(); b.remove(second) },
	"missing-first-segment":  func(b *builder) { b.orders(); b.remove(first) },
	"missing-without-offset": func(b *builder) { b.orders(); b.remove(second); b.remove(offsets) },
	"older-copy": func(b *builder) {
		b.orders()
		b.remove(first)
		b.segment(first, 1, 8, true)
	},

	// Damage around the records.
	"header-copy":        func(b *builder) { b.orders(); b.spoil(second, 20) },
	"header-copy-active": func(b *builder) { b.orders(); b.spoil(last, 512+20) },
	"header-sealed": func(b *builder) {
		b.orders()
		b.spoil(second, 20)
		b.spoil(second, 512+20)
	},
	"header-lost": func(b *builder) { b.orders(); b.spoil(last, 20); b.spoil(last, 512+20) },
	"header-lost-trimmed": func(b *builder) {
		b.orders()
		b.cutTo(last, b.tail(last))
		b.spoil(last, 20)
		b.spoil(last, 512+20)
	},
	"first-page-lost": func(b *builder) {
		b.orders()
		b.write(last, 0, string(make([]byte, 1024+100)))
	},
	"index":      func(b *builder) { b.orders(); b.spoil(second, b.size(second)-128-10) },
	"footer":     func(b *builder) { b.orders(); b.spoil(second, b.size(second)-60) },
	"footer-cut": func(b *builder) { b.orders(); b.cut(first, 152) },
	"cut-short":  func(b *builder) { b.orders(); b.cut(second, 300) },
	"no-segment": func(b *builder) {
		b.orders()
		b.put(second, []byte(strings.Repeat("no segment ", 100)))
	},
	"no-segment-newest": func(b *builder) {
		b.orders()
		b.write(last, 0, strings.Repeat("?", b.size(last)))
	},
	"newer-format": func(b *builder) { b.orders(); b.newer(second) },
	"misnamed": func(b *builder) {
		b.orders()
		b.move(second, orders+"/00000000000000000012.seg")
	},
	"swapped-names": func(b *builder) {
		b.orders()
		b.move(second, orders+"/x")
		b.move(last, second)
		b.move(orders+"/x", last)
	},
	"turned-names": func(b *builder) {
		b.orders()
		b.move(first, orders+"/x")
		b.move(second, first)
		b.move(last, second)
		b.move(orders+"/x", last)
	},
	"copy-in-its-place": func(b *builder) {
		b.orders()
		b.move(second, last+".x")
		b.put(second, b.get(first))
		b.remove(last)
		b.move(last+".x", last)
	},
	"killed-while-renaming": func(b *builder) { b.orders(); b.move(second, second+".mend-rename") },
	"last-segment-lost":     func(b *builder) { b.orders(); b.remove(last) },
	"offsets-missing":       func(b *builder) { b.orders(); b.remove(offsets) },
	"body-alone": func(b *builder) {
		b.blobs()
		b.remove(blobs + "/00000000000000000001.seg")
	},
	"body-far-ahead": func(b *builder) {
		b.blobs()
		b.move(body, blobs+"/00000000009999999999.item")
	},
	"last-segment-emptied": func(b *builder) { b.orders(); b.cutTo(last, 0) },
	"last-segment-older": func(b *builder) {
		b.orders()
		b.remove(last)
		b.segment(last, 21, 24, false)
	},
	"last-segment-older-and-taken": func(b *builder) {
		b.orders()
		b.remove(last)
		b.segment(last, 21, 24, false)
		b.taken(29)
	},
	"power-cut-before-sync": func(b *builder) {
		b.orders()
		b.durable = 21
		b.taken(4)
		b.spoil(last, b.record(last, 23)+45)
		b.spoil(last, b.record(last, 28)+45)
		b.write(last, 0, string(make([]byte, 512)))
	},

	// Files of another log.
	"other-offsets": func(b *builder) {
		b.orders()
		b.log++
		b.taken(25)
	},
	"other-segment": func(b *builder) {
		b.orders()
		b.log++
		b.segment(orders+"/00000000000000000015.seg", 15, 19, true)
	},
	"other-segment-in-its-place": func(b *builder) {
		b.orders()
		b.remove(second)
		b.log++
		b.segment(second, 11, 20, true)
	},
	"other-body": func(b *builder) {
		b.blobs()
		c := b.get(body)
		b.write(body, 40, "another!")
		b.reseal(body)
		b.move(body, blobs+"/00000000000000000009.item")
		b.put(body, c)
	},
	"copy": func(b *builder) {
		b.orders()
		b.put(orders+"/00000000000000000012.seg", b.get(second))
	},
	"foreign": func(b *builder) {
		b.orders()
		b.put(orders+"/core", []byte("dumped"))
		b.put(orders+"/00000000000000000011.seg.bak", []byte("?"))
		b.put(data+"/lost+found/x", []byte("?"))
	},

	// Offset files.
	"offset-slot":  func(b *builder) { b.orders(); b.spoil(offsets, 50); b.cutTo(offsets, 4096) },
	"offset-entry": func(b *builder) { b.orders(); b.spoil(offsets, 1056+10) },
	"offset-cut": func(b *builder) {
		b.orders()
		b.taken(4, 9, 12, 13)
		b.cutTo(offsets, 1024+64)
	},
	"offset-short": func(b *builder) { b.orders(); b.cutTo(offsets, 700) },
	"offsets-lost": func(b *builder) {
		b.orders()
		b.spoil(offsets, 24)
		b.spoil(offsets, 512+24)
		b.spoil(offsets, 1024+31)
	},
	"offset-slots": func(b *builder) {
		b.orders()
		b.taken(4, 9, 12, 13)
		b.spoil(offsets, 24)
		b.spoil(offsets, 512+24)
	},
	"offset-newer": func(b *builder) { b.orders(); b.newerOffsets(offsets) },
	"version-1":    func(b *builder) { b.orders(); b.version1(last); b.write(last, 512+8, "\x01") },
	"cold-version-1": func(b *builder) {
		b.coldOrders()
		b.version1(cold)
		b.write(cold, 512+8, "\x01")
		b.write(cold, b.size(cold)-192+8, "\x01")
	},
	"offset-version-1": func(b *builder) {
		b.orders()
		b.version1(offsets)
		b.write(offsets, 512+8, "\x01")
	},
	"offset-flipped-bits": func(b *builder) {
		b.orders()
		b.flip(offsets, 8)       // a slot
		b.flip(offsets, 512+66)  // the checksum of the other
		b.flip(offsets, 300)     // what nobody reads
		b.flip(offsets, 1024+10) // an entry
		b.flip(offsets, 1056+31) // another one's kind
		b.flip(offsets, 2048)    // where no entry is yet
	},
	"offset-deliveries": func(b *builder) {
		b.orders()
		b.notes()
	},

	// Large items.
	"body":        func(b *builder) { b.blobs(); b.spoil(body, 70000) },
	"body-header": func(b *builder) { b.blobs(); b.spoil(body, 20) },
	"body-flipped-bits": func(b *builder) {
		b.blobs()
		b.flip(body, 20)             // the header
		b.flip(body, 1000)           // the first chunk
		b.flip(body, b.size(body)-3) // the checksum of the last one
	},
	"body-version-1": func(b *builder) { b.blobs(); b.version1(blobs + "/00000000000000000004.item") },
	"body-cut":       func(b *builder) { b.blobs(); b.cutTo(body, 65000) },
	"body-missing":   func(b *builder) { b.blobs(); b.remove(body) },
	"body-other": func(b *builder) {
		b.blobs()
		b.put(body, b.get(blobs+"/00000000000000000004.item"))
	},
	"body-of-lost-record": func(b *builder) {
		b.blobs()
		b.spoil(blobs+"/00000000000000000001.seg", b.record(blobs+"/00000000000000000001.seg", 2)+45)
	},
	"body-without-record": func(b *builder) {
		b.blobs()
		b.move(body, blobs+"/00000000000000000009.item")
	},
	"body-taken": func(b *builder) {
		b.blobs()
		b.write(blobs+"/consumer.off", 0, "")
		must(b.t, inspect.WriteOffsets(b.fs, blobs, inspect.NewOffsets("", 3, 0, 0)))
	},
	// Items that are due later or were moved here, in two segments and a cold one.
	"moved": func(b *builder) { b.moved() },
	"moved-damaged": func(b *builder) {
		b.moved()
		b.flip(second, b.record(second, 13)+60) // a note
		b.spoil(second, b.record(second, 15)+45)
		b.flip(coldFirst, int(binary.LittleEndian.Uint32(b.get(coldFirst)[b.entry(0)+20:]))+20)
	},
	// Cold segments: see cold_fixtures_test.go.
	"cold":             func(b *builder) { b.coldOrders() },
	"cold-flipped-bit": func(b *builder) { b.coldOrders(); b.flip(cold, b.block(11)+100) },
	"cold-flipped-bits": func(b *builder) {
		b.coldOrders()
		b.flip(cold, 20)
		b.flip(cold, b.block(4)+9)
		b.flip(cold, b.size(cold)-60)
	},
	"cold-flipped-bit-without-parity": func(b *builder) {
		b.coldWith(0)
		b.flip(cold, b.block(11)+100)
	},
	"cold-parity":      func(b *builder) { b.coldOrders(); b.flip(cold, b.parity()+100) },
	"cold-header-copy": func(b *builder) { b.coldOrders(); b.flip(cold, 512+20) },
	"cold-directory":   func(b *builder) { b.coldOrders(); b.flip(cold, b.entry(1)+10) },
	"cold-stray":       func(b *builder) { b.coldOrders(); b.flip(cold, 700) },
	"cold-lost-page": func(b *builder) {
		b.coldOrders()
		b.lose(cold, b.block(11)&^4095, 4096)
	},
	"cold-first-page": func(b *builder) { b.coldOrders(); b.lose(cold, 0, 512) },
	"cold-cut-short":  func(b *builder) { b.coldOrders(); b.cut(cold, 300) },
	"cold-longer": func(b *builder) {
		b.coldOrders()
		b.put(cold, append(b.get(cold), "more"...))
	},
	"cold-without-parity": func(b *builder) { b.coldWith(0); b.spoil(cold, b.block(11)+100) },
	"cold-beyond-parity":  func(b *builder) { b.coldOrders(); b.beyondParity() },
	"cold-beyond-and-more": func(b *builder) {
		b.coldOrders()
		b.beyondParity()
		b.flip(cold, 20)
		b.flip(last, b.record(last, 23)+45)
	},
	"cold-all-lost": func(b *builder) { b.coldOrders(); b.lose(cold, 4096, b.parity()) },
	"cold-half":     func(b *builder) { b.coldOrders(); b.cutTo(cold, b.block(11)+100) },
	"cold-directory-lost": func(b *builder) {
		b.coldOrders()
		b.spoil(cold, b.entry(1)+10)
		b.spoil(cold, b.entry2(1)+10)
	},
	"cold-header-lost": func(b *builder) { b.coldOrders(); b.beheaded() },
	"cold-no-segment": func(b *builder) {
		b.coldOrders()
		b.put(cold, []byte("something else"))
	},
	"cold-newer-format": func(b *builder) { b.coldOrders(); b.newerCold() },
	"cold-missing":      func(b *builder) { b.coldOrders(); b.remove(cold) },
	"cold-offsets-lost": func(b *builder) { b.coldOrders(); b.remove(offsets) },
	"cold-misnamed": func(b *builder) {
		b.coldOrders()
		b.move(cold, orders+"/00000000000000000012.cold")
	},
	"cold-named-too-far": func(b *builder) {
		b.coldOrders()
		b.move(cold, orders+"/00000000000000000001-00000000000000000021.cold")
	},
	"cold-as-segment": func(b *builder) { b.coldOrders(); b.move(cold, first) },
	"cold-copy": func(b *builder) {
		b.coldOrders()
		b.put(orders+"/00000000000000000021.cold", b.get(cold))
	},
	"cold-moving": func(b *builder) { b.coldOrders(); b.move(cold, cold+".mend-rename") },
	"cold-mending": func(b *builder) {
		b.coldOrders()
		b.put(cold+".mend", make([]byte, 100))
	},
	"cold-unfinished": func(b *builder) { b.orders(); b.put(cold+".new", make([]byte, 5000)) },
	"cold-superseded": func(b *builder) { b.coldOrders(); b.sources(1, 11) },
	"cold-superseded-2": func(b *builder) {
		b.coldOrders()
		b.put(coldFirst, b.get(cold))
		b.sources(11)
	},
	"cold-superseded-and-lost": func(b *builder) {
		b.coldOrders()
		b.beyondParity()
		b.sources(11)
	},
	"cold-superseded-and-unreadable": func(b *builder) {
		b.coldOrders()
		b.beheaded()
		b.sources(1, 11)
	},
	"cold-superseded-has-more": func(b *builder) { b.coldOrders(); b.wideSource() },
	"cold-named-far-too-far": func(b *builder) {
		b.coldOrders()
		b.move(cold, orders+"/00000000000000000001-00000000000000000099.cold")
	},

	"body-unnamed": func(b *builder) { b.blobs(); b.unname() },
	"body-unnamed-sealed": func(b *builder) {
		b.blobs()
		b.unname()
		b.seal(blobs + "/00000000000000000001.seg")
	},
}

// fixture makes a fixture if it is not stored yet, with -update.
func fixture(t *testing.T, name string) {
	if _, err := os.Stat(filepath.Join(testdata, name)); err == nil {
		return
	}
	if !*update {
		t.Fatalf("there is no fixture %s: run with -update", name)
	}
	b := &builder{t: t, fs: disktest.New(), log: identity, durable: 29}
	fixtures[name](b)
	save(t, b.fs, name)
}

// builder makes queues and damages them.
type builder struct {
	t       *testing.T
	fs      *disktest.FS
	log     uint64 // identity of the log
	durable uint64 // the first number not synced, according to offset files
	keeps   bool   // records have due times and notes
}

const (
	epoch    = 1700000000000 // when the first item was set
	identity = 0x0dde55      // of the log
)

func (b *builder) orders() {
	b.segment(first, 1, 10, true)
	b.segment(second, 11, 20, true)
	b.segment(last, 21, 28, false)
	b.taken(4)
}

func (b *builder) segment(path string, from, to uint64, seal bool) {
	s, err := segment.Create(b.fs, path, 8<<10)
	if err != nil {
		must(b.t, b.fs.Mkdir(filepath.Dir(path)))
		s, err = segment.Create(b.fs, path, 8<<10)
	}
	must(b.t, err)
	must(b.t, s.Start(segment.Header{Salt: from * 1000003, First: from, Created: epoch,
		ItemsBefore: from - 1, BytesBefore: 60 * (from - 1), Log: b.log}))
	for seq := from; seq <= to; seq++ {
		payload := fmt.Appendf(nil, "order %d: %s", seq, strings.Repeat("a thing, ", 6))
		r := segment.Record{Seq: seq, Kind: segment.KindItem,
			ClientFlags: uint32(seq), Enqueued: epoch + int64(seq)*1000, Payload: payload}
		if b.keeps {
			r.Due = int64(seq%2) * (r.Enqueued + 60_000)
			r.Note = bytes.Repeat([]byte{byte(seq)}, int(seq%3*20))
		}
		_, err := s.Append(&r)
		must(b.t, err)
	}
	if seal {
		must(b.t, s.Seal())
	}
	must(b.t, s.Close())
}

// moved makes the queue of orders with due times and notes, its first segment in the cold form.
func (b *builder) moved() {
	b.keeps = true
	b.orders()
	s, _, err := segment.Open(b.fs, first, segment.OpenOptions{})
	must(b.t, err)
	all := func(*segment.Record) bool { return true }
	must(b.t, segment.WriteCold(b.fs, coldFirst, []*segment.Segment{s}, segment.DefaultCold(), all,
		nil))
	must(b.t, s.Close())
	b.remove(first)
}

// taken makes the offset file. Items 6, 7 and more are taken out of order.
func (b *builder) taken(head uint64, more ...uint64) {
	o := inspect.NewOffsets("", head, 60*(head-1), epoch)
	o.Log = b.log
	o.Durable = b.durable
	o.Take(6, 7, 120)
	for _, seq := range more {
		o.Take(seq, seq, 60)
	}
	must(b.t, inspect.WriteOffsets(b.fs, orders, o))
}

func (b *builder) blobs() {
	l, err := wal.Open(blobs, wal.Options{FS: b.fs, SegmentSize: wal.MinSegmentSize,
		Logger: slog.New(slog.DiscardHandler)})
	must(b.t, err)
	_, err = l.Consumer("", wal.Oldest)
	must(b.t, err)
	for i, size := range []int{10, 70000, 10, 100} {
		m := wal.Meta{Flags: uint32(i), Enqueued: epoch + int64(i)*1000}
		payload := []byte(strings.Repeat(fmt.Sprintf("blob %d ", i+1), size/7+1)[:size])
		if i%2 == 0 {
			_, err := l.Append(payload, m)
			must(b.t, err)
			continue
		}
		w, err := l.BeginLarge(int64(size), m)
		must(b.t, err)
		_, err = w.Write(payload)
		must(b.t, err)
		_, err = w.Commit()
		must(b.t, err)
	}
	must(b.t, l.Close())
}

// unname renames a body to its upload's name.
func (b *builder) unname() {
	upload := binary.LittleEndian.Uint64(b.get(body)[32:])
	b.move(body, fmt.Sprintf("%s/%020d.part", blobs, upload))
}

func (b *builder) seal(path string) {
	s, _, err := segment.Open(b.fs, path, segment.OpenOptions{Write: true})
	must(b.t, err)
	must(b.t, s.Seal())
	must(b.t, s.Close())
}

// reseal updates the checksum in a body's header.
func (b *builder) reseal(path string) {
	c := b.get(path)
	binary.LittleEndian.PutUint64(c[56:], checksum.Of(c[:56]))
	b.put(path, c)
}

func (b *builder) get(path string) []byte {
	c, err := b.fs.ReadFile(path)
	must(b.t, err)
	return c
}

func (b *builder) put(path string, c []byte) { must(b.t, b.fs.WriteFile(path, c)) }
func (b *builder) remove(path string)        { must(b.t, b.fs.Remove(path)) }
func (b *builder) move(from, to string)      { must(b.t, b.fs.Rename(from, to)) }
func (b *builder) size(path string) int      { return len(b.get(path)) }
func (b *builder) flip(path string, at int)  { must(b.t, b.fs.Corrupt(path, int64(at), 4)) }
func (b *builder) spoil(path string, at int) { must(b.t, b.fs.Corrupt(path, int64(at), 0x5a)) }
func (b *builder) cut(path string, n int)    { b.put(path, b.get(path)[:b.size(path)-n]) }
func (b *builder) cutTo(path string, n int)  { b.put(path, b.get(path)[:n]) }

func (b *builder) write(path string, at int, s string) {
	c := b.get(path)
	copy(c[at:], s)
	b.put(path, c)
}

// record returns the offset of an item's record.
func (b *builder) record(path string, seq uint64) (at int) {
	b.steps(path, func(s *inspect.Step) {
		if s.Record.Seq == seq {
			at = int(s.From)
		}
	})
	return at
}

// tail returns the offset after the last record.
func (b *builder) tail(path string) (at int) {
	b.steps(path, func(s *inspect.Step) { at = int(s.To) })
	return at
}

func (b *builder) steps(path string, fn func(*inspect.Step)) {
	in, err := inspect.Open(b.fs, filepath.Dir(path))
	must(b.t, err)
	v, err := in.OpenSegment(inspect.FileInfo{Name: filepath.Base(path)})
	must(b.t, err)
	defer v.Close()
	for s := range v.Steps() {
		fn(s)
	}
}

// newer makes a segment one of a later format.
func (b *builder) newer(path string) {
	c := b.get(path)
	for _, at := range []int{0, 512} {
		h := c[at : at+128]
		h[8]++
		binary.LittleEndian.PutUint64(h[120:], checksum.Of(h[:120]))
	}
	b.put(path, c)
}

// newerOffsets makes an offset file one of a later format.
func (b *builder) newerOffsets(path string) {
	c := b.get(path)
	for _, at := range []int{0, 512} {
		slot := c[at : at+72]
		slot[8]++
		binary.LittleEndian.PutUint64(slot[64:], checksum.Of(slot[:64]))
	}
	b.put(path, c)
}

// version1 makes a file look like one of the first format version.
func (b *builder) version1(path string) { b.write(path, 8, "\x01") }

// notes notes how often some items were delivered, one of them behind the end of the log.
func (b *builder) notes() {
	in, err := inspect.Open(b.fs, orders)
	must(b.t, err)
	o, err := in.Taken("")
	must(b.t, err)
	for seq, n := range map[uint64]uint32{4: 3, 12: 1, 31: 2} {
		o.Deliver(seq, n)
	}
	must(b.t, inspect.WriteOffsets(b.fs, orders, o))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
