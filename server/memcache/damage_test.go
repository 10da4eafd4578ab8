package memcache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damage damages the byte at the start of where text is on the disk.
func (sv *testServer) damage(text string) { sv.flip(text, 3) }

// flip flips bits of that byte.
func (sv *testServer) flip(text string, bits byte) {
	sv.t.Helper()
	found := 0
	err := filepath.WalkDir(sv.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(content, []byte(text))
		if at < 0 {
			return nil
		}
		found++
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteAt([]byte{content[at] ^ bits}, int64(at))
		return err
	})
	if err != nil || found != 1 {
		sv.t.Fatalf("got %q in %d files, %v, want it in one", text, found, err)
	}
}

func TestDamagedItemIsPassedOver(t *testing.T) {
	for _, request := range []string{"get q", "get q/open", "get q/peek", "get q/t=60000", "gets r q"} {
		t.Run(request, func(t *testing.T) {
			sv := newServer(t)
			c := sv.dial()
			c.set("q", "first item", "second item")
			sv.damage("first item")
			want := value("q", "second item")
			if strings.HasPrefix(request, "gets") {
				want = strings.Replace(want, " 11\r\n", " 11 2\r\n", 1)
			}
			c.expect(request+"\r\n", want)
			if stats := c.ask("stats queue q\r\n"); !strings.Contains(stats, "queue_q_damaged_records 1\r\n") {
				t.Errorf("got %s, want 1 damaged record", stats)
			}
		})
	}
}

func TestDamagedItemIsAllThereWas(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("q", "first item")
	sv.damage("first item")
	c.expect("get q\r\n", "END\r\n")
}

func TestWaitGoesOnAfterADamagedItem(t *testing.T) {
	sv := newServer(t)
	a, b := sv.dial(), sv.dial()
	b.set("q", "first")
	b.expect("get q\r\n", value("q", "first"))
	a.expect("get q/t=60000\r\n", "")
	b.set("q", "damaged item") // claimed for the waiter, which comes to read it when it is damaged
	sv.damage("damaged item")
	a.run()
	b.set("q", "sound item")
	a.run()
	a.expect("", value("q", "sound item"))
}

// large is a body of which each 16 bytes are found once.
func large(chunks int) string {
	var b strings.Builder
	for i := range chunks * chunkSize / 16 {
		b.WriteString(strings.Repeat("x", 8))
		for shift := 28; shift >= 0; shift -= 4 {
			b.WriteByte("0123456789abcdef"[i>>shift&15])
		}
	}
	return b.String()
}

func TestLargeItemDamagedAtItsStartIsPassedOver(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	c := sv.dial()
	body := large(3)
	c.set("q", body, "second item")
	sv.damage(body[:16])
	c.expect("get q\r\n", value("q", "second item"))
}

func TestAFlippedBitInALargeItemCostsNothing(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	c := sv.dial()
	body := large(4)
	c.set("q", body)
	sv.flip(body[:16], 1)
	sv.flip(body[2*chunkSize+160:][:16], 1)
	c.expect("get q\r\n", value("q", body))
	stats := c.ask("stats queue q\r\n")
	for _, want := range []string{"damaged_records 0\r\n", "mended_records 2\r\n"} {
		if !strings.Contains(stats, "queue_q_"+want) {
			t.Errorf("got %s, want %s", stats, want)
		}
	}
}

func TestLargeItemDamagedMidwayClosesAndIsGivenUp(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	c := sv.dial()
	body := large(20)
	c.set("q", body, "second item")
	sv.damage(body[18*chunkSize+160:][:16])
	got := c.ask("get q\r\n")
	if !c.closed || !strings.HasPrefix(value("q", body), got) || len(got) > 19*chunkSize {
		t.Errorf("got %d bytes, closed %v, want the start of the item, then the end", len(got), c.closed)
	}
	sv.dial().expect("get q\r\n", value("q", "second item"))
	if open := sv.openTransactions(); open != 0 {
		t.Errorf("got %d items open, want none", open)
	}
}

func TestAGetThatFailsPutsBackWhatItFoundBefore(t *testing.T) {
	for _, request := range []string{"get a b", "get a/open b"} {
		sv := newServer(t, inlineMax(1<<10))
		c := sv.dial()
		c.set("a", "x")
		c.set("b", large(2))
		bodies, err := filepath.Glob(filepath.Join(sv.dir, "b", "*.item"))
		if err != nil || len(bodies) != 1 {
			t.Fatalf("got bodies %v, %v, want one", bodies, err)
		}
		// Opening it fails.
		if err := errors.Join(os.Remove(bodies[0]), os.Symlink(bodies[0], bodies[0])); err != nil {
			t.Fatal(err)
		}
		if got := c.ask("%s\r\n", request); !strings.HasPrefix(got, "VALUE a 0 1\r\nx\r\nSERVER_ERROR ") {
			t.Fatalf("%s: got %q, want the item of a and an error", request, got)
		}
		if open := sv.openTransactions(); open != 0 || sv.items("a") != 1 || sv.items("b") != 1 {
			t.Errorf("%s: got %d open, %d items in a, %d in b, want 0, 1, 1",
				request, open, sv.items("a"), sv.items("b"))
		}
		sv.dial().expect("get a\r\n", value("a", "x"))
	}
}
