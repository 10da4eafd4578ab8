package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestBenchMeasuresTheServer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is not told here")
	}
	d, other := launch(t, t.TempDir()), launch(t, t.TempDir())
	plots, file := filepath.Join(t.TempDir(), "plots"), filepath.Join(t.TempDir(), "json")
	out, log, code := command(t, "", "bench", "all", "--server", d.Addr, "--compare", other.Addr,
		"--duration", "5ms", "--rounds", "1", "--connections", "1,3", "--depth", "4",
		"--backlog", "0,500", "--sizes", "16,100k", "--rate", "1000", "--large", "200k",
		"--plot", plots, "--json", file)
	if code != 0 || log != "" {
		t.Fatalf("got exit code %d, %q, want 0", code, log)
	}
	for _, suite := range []string{"flood", "packing", "sizes", "fairness", "memory", "latency"} {
		if !strings.Contains(out, "\n## "+suite) {
			t.Errorf("got no %s, want it in\n%s", suite, out)
		}
		if _, err := os.Stat(filepath.Join(plots, suite+".svg")); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || !json.Valid(text) {
		t.Errorf("got %s, %v, want JSON", text, err)
	}
	out, log, code = command(t, "", "bench", "memory", "-s", d.Addr, "--backlog", "10", "--json",
		"-")
	if code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("got exit code %d, %s%s, want JSON alone", code, out, log)
	}
	if items := d.dial().figure("darner-bench", "items"); items != "" {
		t.Errorf("got a queue with %s items, want it deleted", items)
	}
}

func TestInterruptedBenchDeletesItsQueue(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	cmd := exec.Command(binary, "bench", "packing", "--server", d.Addr, "--duration", "1h",
		"--backlog", "100", "-q", "mine")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := d.dial()
	for end := time.Now().Add(limit); ; { // until it measures
		if n, _ := strconv.Atoi(c.figure("mine", "total_items")); n > 100 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not come to measuring")
		}
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), "interrupted") {
		t.Errorf("got %v, %s, want that it was interrupted", err, &log)
	}
	if items := c.figure("mine", "items"); items != "" {
		t.Errorf("got a queue with %s items, want it deleted", items)
	}
}

func TestBenchLeavesOthersQueuesAlone(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set orders 0 0 1\r\na\r\n", "STORED\r\n")
	_, log, code := command(t, "", "bench", "flood", "-s", d.Addr, "--queue", "orders")
	if code != 6 || !strings.Contains(log, "orders") || !strings.Contains(log, "not empty") {
		t.Errorf("got exit code %d, %s, want 6 and the queue's name", code, log)
	}
	c.say("get orders\r\n", "VALUE orders 0 1\r\na\r\nEND\r\n")
}
