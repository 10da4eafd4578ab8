package segment_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

func Example() {
	dir, err := os.MkdirTemp("", "segment")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	s, err := segment.Create(disk.OS{}, filepath.Join(dir, "1.seg"), 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(segment.Header{First: 1}); err != nil {
		log.Fatal(err)
	}
	for i, word := range []string{"first", "second", "third"} {
		r := segment.Record{Seq: uint64(i + 1), Kind: segment.KindItem, Payload: []byte(word)}
		// Extend does nothing while there is room.
		if err := s.Extend(segment.RecordSize(len(word))); err != nil {
			log.Fatal(err)
		}
		if _, err := s.Append(&r); err != nil {
			log.Fatal(err)
		}
	}
	if err := s.Seal(); err != nil {
		log.Fatal(err)
	}

	off, err := s.Find(2)
	for err == nil {
		var r segment.Record
		if r, off, err = s.At(off); err == nil {
			fmt.Println(r.Seq, string(r.Payload))
		}
	}
	if err != io.EOF {
		log.Fatal(err)
	}
	// Output:
	// 2 second
	// 3 third
}
