package torture

// Items that are to move to another queue, on a disk that is full: they stay, the server says so,
// and they move when there is room.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const movingQueues = `
[queue.work]
expire-to = "old"

[queue.jobs]
max-deliveries = 1
dead-letter = "dead"
`

func TestItemsThatMoveWaitForRoomOnAFullDisk(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) *mounted{
		"tmpfs": func(t *testing.T) *mounted { needsRoot(t); return tmpfs(t, 16<<20) },
		"ext4":  func(t *testing.T) *mounted { return fresh(t, "ext4", 16<<20) },
	} {
		t.Run(name, func(t *testing.T) { moveOnAFullDisk(t, prepare(t)) })
	}
}

func moveOnAFullDisk(t *testing.T, m *mounted) {
	const moving, live = 500, 100
	config := filepath.Join(t.TempDir(), "darner.toml")
	if err := os.WriteFile(config, []byte(movingQueues), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := append([]string{"--config", config, "--min-free", "0"}, small...)
	d := launch(t, m.dir+"/data", flags...)
	c := d.dial()
	for i := range moving {
		setFor(t, c, "work", i, 4)
		setFor(t, c, "jobs", i, 0)
	}
	setFor(t, c, "work", moving, 0) // which lives
	for i := range live {
		setFor(t, c, "q", i, 0)
	}
	ballast := m.dir + "/ballast"
	fillUp(t, ballast)
	comesBack(t, c, "jobs", moving)
	until(t, "word of items that stay", func() bool {
		log := d.Log.String()
		return strings.Contains(log, "queue old ") && strings.Contains(log, "queue dead ")
	})
	until(t, "the item that lives", func() bool {
		b, err := c.get("work/peek")
		return err == nil && strings.HasPrefix(string(b), fmt.Sprint(moving, " "))
	})
	comesInOrder(t, c, "work", moving, moving+1)
	comesInOrder(t, c, "q", 0, live/2)
	d.Kill()
	d = launch(t, m.dir+"/data", flags...)
	c = d.dial()
	comesBack(t, c, "jobs", moving) // there may have been no room to note that it was delivered
	comesInOrder(t, c, "q", live/2, live)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	comesInOrder(t, c, "old", 0, moving)
	comesWhole(t, c, "dead", moving)
	for _, queue := range []string{"work", "jobs", "old", "dead", "q"} {
		if b, err := c.get(queue); b != nil || err != nil {
			t.Errorf("queue %s: got %.40q, %v; want nothing more", queue, b, err)
		}
	}
	d.stop()
}

// setFor stores a numbered item of 1 KiB that lives for some seconds; 0: for ever.
func setFor(t *testing.T, c *client, queue string, n, seconds int) {
	t.Helper()
	b := fmt.Sprintf("%d %s", n, strings.Repeat("x", 1<<10))
	answer, err := c.ask(fmt.Sprintf("set %s 0 %d %d\r\n%s", queue, seconds, len(b), b))
	if answer != "STORED" || err != nil {
		t.Fatalf("got %q, %v; want STORED", answer, err)
	}
}

// comesBack has all that waits in a queue come back once, up to a number of items.
func comesBack(t *testing.T, c *client, queue string, most int) {
	t.Helper()
	for range most {
		if b, err := c.get(queue + "/open"); b == nil || err != nil {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if _, err := c.get(queue + "/abort"); err != nil {
			t.Fatal(err)
		}
	}
}

// comesWhole wants n items to come to a queue, in any order. Each may come twice, after a kill.
func comesWhole(t *testing.T, c *client, queue string, n int) {
	t.Helper()
	times := map[string]int{}
	for len(times) < n {
		c.SetDeadline(time.Now().Add(limit))
		b, err := c.get(queue + "/t=30000")
		if err != nil || b == nil {
			t.Fatalf("queue %s: got %v after %d items, want %d", queue, err, len(times), n)
		}
		number, _, _ := strings.Cut(string(b), " ")
		if times[number]++; times[number] > 2 {
			t.Fatalf("queue %s: item %s came %d times, want 2 at most", queue, number, times[number])
		}
	}
}

// fillUp fills a file system with a file.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	f.Close()
}

// comesInOrder wants the items from one number to another to come to a queue, each once, as time
// goes by.
func comesInOrder(t *testing.T, c *client, queue string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		c.SetDeadline(time.Now().Add(limit))
		b, err := c.get(queue + "/t=30000")
		if err != nil || !strings.HasPrefix(string(b), fmt.Sprint(i, " ")) {
			t.Fatalf("queue %s: got %.40q, %v; want item %d", queue, b, err, i)
		}
	}
}
