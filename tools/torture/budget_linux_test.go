package torture

// Limits on disk space, with the real server on real file systems: what is refused, that everything
// else goes on, and that the figures equal those of du, even after kill -9.

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// onFileSystems runs a test on several file systems, more of them in the long form.
func onFileSystems(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { test(t, t.TempDir()) })
	t.Run("tmpfs", func(t *testing.T) { needsRoot(t); test(t, tmpfs(t, 64<<20).dir) })
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if testing.Short() || *long == 1 && k.name != "ext4" {
				t.Skip("in the long form")
			}
			test(t, fresh(t, k.name, 0).dir)
		})
	}
}

// wantDu checks that the server's figures equal those of du once the server is quiet.
func wantDu(t *testing.T, d *daemon, c *client, data string) {
	t.Helper()
	du := func(dir string) string {
		// du complains when files are removed meanwhile.
		out, _ := exec.Command("du", "-s", "--block-size=1", dir).Output()
		size, _, _ := strings.Cut(string(out), "\t")
		return size
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		got, want := c.figures(t, "")["disk_bytes"], du(data)
		if size := c.figures(t, "q")["logsize"]; got == want && size != "" {
			got, want = size, du(data+"/q")
		}
		if got == want {
			return
		}
		if time.Now().After(end) {
			out, _ := exec.Command("du", "-a", "--block-size=1", data).Output()
			t.Fatalf("got %s from the server, want %s from du\n%s\n%s", got, want, out, d.Log)
		}
	}
}

func used(t *testing.T, c *client, name, queue string) int {
	t.Helper()
	n, err := strconv.Atoi(c.figures(t, queue)[name])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAtTheLimitAllButSetsGoesOnAndTheFiguresAreThoseOfDu(t *testing.T) {
	for _, bound := range []struct {
		flag, answer, figure, queue string
		size                        int
	}{
		{"--queue-max-disk", "NOT_STORED", "logsize", "q", 4 << 20},
		{"--max-disk", "SERVER_ERROR no space left: the data directory", "disk_bytes", "", 8 << 20},
	} {
		t.Run(bound.flag[2:], func(t *testing.T) {
			onFileSystems(t, func(t *testing.T, dir string) {
				data := dir + "/data"
				flags := append([]string{bound.flag, fmt.Sprint(bound.size)}, small...)
				d := launch(t, data, flags...)
				c := d.dial()
				var stored []number
				for round := range 3 {
					answer := fill(t, c, &stored, round)
					if !strings.HasPrefix(answer, bound.answer) {
						t.Fatalf("a set at the limit: got %q, want %q", answer, bound.answer)
					}
					// Offset files may grow beyond the limit, and xfs allocates ahead for bodies.
					if n := used(t, c, bound.figure, bound.queue); n > bound.size+256<<10 ||
						n < bound.size/2 {
						t.Fatalf("got %d bytes in use, want about %d", n, bound.size)
					}
					wantDu(t, d, c, data)
					d.Kill()
					d = launch(t, data, flags...)
					c = d.dial()
					wantDu(t, d, c, data)
					takeFrom(t, c, &stored, len(stored)/2, false)
					until(t, "a set to be stored", func() bool {
						i := number{round, 1_000_000}
						answer, err := c.set("q", body("q", i))
						if err != nil {
							t.Fatal(err)
						}
						if answer == "STORED" {
							stored = append(stored, i)
						}
						return answer == "STORED"
					})
				}
				takeFrom(t, c, &stored, len(stored), false)
				wantDu(t, d, c, data)
				if answer, err := c.ask("delete q"); answer != "DELETED" || err != nil {
					t.Fatalf("got %q, %v; want DELETED", answer, err)
				}
				wantDu(t, d, c, data)
				d.stop()
				if log := d.Log.String(); strings.Contains(log, "panic") ||
					strings.Contains(log, "level=ERROR") {
					t.Errorf("got errors in the log, want none:\n%s", log)
				}
			})
		})
	}
}

func TestTheOldestItemsMakeRoomForTheNewest(t *testing.T) {
	onFileSystems(t, func(t *testing.T, dir string) {
		data := dir + "/data"
		const limit = 4 << 20
		flags := append([]string{"--queue-max-disk", fmt.Sprint(limit), "--when-full",
			"discard-oldest"}, small...)
		d := launch(t, data, flags...)
		c := d.dial()
		n := 0
		for round := range 3 {
			for end := n + 4*limit/3000; n < end; n++ {
				if answer, err := c.set("q", body("q", number{0, n})); answer != "STORED" {
					t.Fatalf("item %d: got %q, %v; want STORED", n, answer, err)
				}
			}
			if bytes := used(t, c, "logsize", "q"); bytes > limit+256<<10 {
				t.Fatalf("got %d bytes in use, want at most about %d", bytes, limit)
			}
			wantDu(t, d, c, data)
			if lost := used(t, c, "discarded_full", "q"); lost == 0 && round == 0 {
				t.Fatal("got no items counted as discarded, want some")
			}
			d.Kill()
			d = launch(t, data, flags...)
			c = d.dial()
			wantDu(t, d, c, data)
		}
		left := used(t, c, "items", "q")
		if left*3000 < limit/4 {
			t.Errorf("got %d items left, want at least a quarter of the limit", left)
		}
		for i := n - left; i < n; i++ {
			b, err := c.get("q")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parse("q", b); err != nil || got != (number{0, i}) {
				t.Fatalf("got %v, %v; want item %d", got, err, i)
			}
		}
		if b, err := c.get("q"); b != nil || err != nil {
			t.Fatalf("got %.40q, %v; want an empty queue", b, err)
		}
	})
}

func TestSomeOfTheFileSystemStaysFree(t *testing.T) {
	needsRoot(t)
	m := tmpfs(t, 16<<20)
	flags := append([]string{"--min-free", "4MiB"}, small...)
	d := launch(t, m.dir+"/data", flags...)
	c := d.dial()
	var stored []number
	answer := fill(t, c, &stored, 0)
	if !strings.HasPrefix(answer, "SERVER_ERROR no space left: the file system") {
		t.Fatalf("got %q, want a refusal for the file system", answer)
	}
	const unlimited = 256 << 10 // offset files, and segments that are rewritten
	if free := m.free(); free < 4<<20-unlimited || free > 6<<20 {
		t.Errorf("got %d bytes free, want some 4 MiB", free)
	}
	// Another program takes nearly all space.
	run(t, "fallocate", "--length", fmt.Sprint(m.free()-unlimited), m.dir+"/ballast")
	takeFrom(t, c, &stored, len(stored)/2, false)
	answer, err := c.set("q", body("q", number{9, 9}))
	if err != nil || answer == "STORED" && m.free() < 4<<20 {
		t.Errorf("got %q, %v with %d bytes free; want a refusal", answer, err, m.free())
	}
	run(t, "rm", m.dir+"/ballast")
	until(t, "a set to be stored", func() bool {
		answer, err := c.set("q", body("q", number{9, 9}))
		return err == nil && answer == "STORED"
	})
}
