package wal_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/darner/darner/wal"
)

// A log is opened, appended to, and read by its own consumer, which says what it has taken.
func Example() {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	orders, err := wal.Open(filepath.Join(dir, "orders"), wal.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer orders.Close()

	for _, s := range []string{"first", "second"} {
		if _, err := orders.Append([]byte(s), wal.Meta{}); err != nil {
			log.Fatal(err)
		}
	}
	if err := orders.Sync(); err != nil { // from here on it survives a power cut
		log.Fatal(err)
	}

	all, err := orders.Consumer("", wal.Oldest)
	if err != nil {
		log.Fatal(err)
	}
	for {
		pos, _, ok, err := all.Next()
		if err != nil {
			log.Fatal(err)
		}
		if !ok {
			break
		}
		payload, _, err := orders.Read(pos, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(pos.Seq, string(payload))
		if err := all.Take(pos); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1 first
	// 2 second
}

// An item of any size is streamed in and out, 64 KiB at a time.
func ExampleLog_BeginLarge() {
	dir, err := os.MkdirTemp("", "images")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	images, err := wal.Open(dir, wal.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer images.Close()

	const size = 1 << 20
	w, err := images.BeginLarge(size, wal.Meta{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, strings.NewReader(strings.Repeat("x", size))); err != nil {
		w.Abort() // leaves nothing
		log.Fatal(err)
	}
	pos, err := w.Commit()
	if err != nil {
		log.Fatal(err)
	}

	r, err := images.Open(pos)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	fmt.Println(n, err)
	// Output: 1048576 <nil>
}
