package main

// The sessions that the README prints, as it prints them. .ci/clients/readme_python.py runs the one
// in Python.

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// readme returns the code blocks of the README that contain text, as lines.
func readme(t *testing.T, text string) (blocks [][]string) {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(data), "\n```") {
		_, block, _ := strings.Cut(part, "\n") // the first line names the language
		if i%2 == 1 && strings.Contains(block, text) {
			blocks = append(blocks, strings.Split(block, "\n"))
		}
	}
	if blocks == nil {
		t.Fatalf("no code block of the README contains %q", text)
	}
	return blocks
}

func TestTheTelnetSessionOfTheREADME(t *testing.T) {
	d := launch(t, t.TempDir())
	defer d.stop(os.Interrupt)
	c, err := net.Dial("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	answers := bufio.NewReader(c)
	for _, line := range slices.Concat(readme(t, "> set work")...) {
		if typed, ok := strings.CutPrefix(line, "> "); ok {
			if _, err := c.Write([]byte(typed + "\r\n")); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := answers.ReadString('\n'); got != line+"\r\n" {
			t.Fatalf("got %q, %v, want %q", got, err, line)
		}
	}
	if _, err := c.Write([]byte("quit\r\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := answers.ReadString(0); got != "" {
		t.Errorf("got %q at the end, want nothing more", got)
	}
}

func TestTheGoSessionOfTheREADME(t *testing.T) {
	d := launch(t, t.TempDir())
	defer d.stop(os.Interrupt)
	if err := sessionInGo(d.Addr); err != memcache.ErrCacheMiss {
		t.Errorf("got %v, want an empty queue", err)
	}

	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	at := string(source)
	for _, line := range readme(t, "memcache.New")[0] {
		line, _, _ = strings.Cut(strings.ReplaceAll(line, `"localhost:22133"`, "addr"), " //")
		_, after, ok := strings.Cut(at, "\n\t"+line+"\n")
		if !ok {
			t.Fatalf("the README has %q; sessionInGo does not, or not there", line)
		}
		at = "\n" + after
	}
}

func sessionInGo(addr string) error {
	fmt := discard{}
	queues := memcache.New(addr)
	//lint:ignore SA4006 so it is in the README
	err := queues.Set(&memcache.Item{Key: "work", Value: []byte("hello")})
	item, err := queues.Get("work/open")
	for err == nil {
		fmt.Printf("%s\n", item.Value)
		item, err = queues.Get("work/close/open")
	}
	return err
}

// discard stands for package fmt: tests print nothing.
type discard struct{}

func (discard) Printf(string, ...any) {}

func TestTheShellSessionOfTheREADME(t *testing.T) {
	session := readme(t, "darner put work report.pdf")[0]
	t.Chdir(t.TempDir())
	d := launch(t, t.TempDir())
	for name, text := range map[string]string{"report.pdf": "%PDF", "events.log": "a\nb\nc\nd\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Dir(binary)+":"+os.Getenv("PATH"))
	t.Setenv("DARNER_SERVER", d.Addr)
	for _, line := range session {
		typed, _, _ := strings.Cut(line, "  ")
		cmd := exec.Command("sh", "-c", "exec "+typed)
		if strings.Contains(typed, "=") || typed == "" {
			continue
		}
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want := 0
		if strings.Contains(typed, "--follow") {
			d.dial().until("work", "waiters", "1")
			cmd.Process.Signal(os.Interrupt)
			want = 130
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: got exit code %d, %s, want %d", typed, code, &out, want)
		}
		if strings.Contains(typed, "--follow") && out.String() != "c\nd\n" {
			t.Errorf("%s: got %q, want what was left", typed, &out)
		}
	}
}
