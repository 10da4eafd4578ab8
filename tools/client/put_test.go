package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/darner/darner/tools/exchange"
)

// inputs writes files, named a, b, ... in a directory of their own, and returns their paths.
func inputs(t *testing.T, texts ...string) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		name := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	return files
}

// probe is how Put finds out that a server takes items ahead.
var probe = [2]string{"stats settings\r\n", "STAT max-open-ahead 1024\r\nEND\r\n"}

func TestPutSendsAFileAsOneItem(t *testing.T) {
	at := script(t, [2]string{"set q 0 0 11\r\nhello\nworld\r\n", "STORED\r\n"})
	n, err := Put(context.Background(), at, "q", inputs(t, "hello\nworld"), Bare)
	if n != 1 || err != nil {
		t.Errorf("got %d items, %v, want 1", n, err)
	}
}

func TestPutSpoolsLongInputOfUnknownSize(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, want := range []int{0, memorySpool - 1, memorySpool, memorySpool + 7} {
		body, err := size(strings.NewReader(strings.Repeat("x", want)))
		if err != nil || body.size != int64(want) {
			t.Errorf("got a size of %d, %v, want %d", body.size, err, want)
		}
		body.close()
	}
	if left, _ := filepath.Glob(os.TempDir() + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEachFramingTellsItemsApart(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		input   string
		want    []string // sets
	}{
		{Lines, "", nil},
		{Lines, "a", []string{"0 0 1\r\na"}},
		{Lines, "a\n\nbc\r\nd", []string{"0 0 1\r\na", "0 0 0\r\n", "0 0 3\r\nbc\r", "0 0 1\r\nd"}},
		{Null, "a\x00\n\x00", []string{"0 0 1\r\na", "0 0 1\r\n\n"}},
		{Length, "\x01\x00\x00\x00\x00\x00\x00\x00a\x00\x00\x00\x00\x00\x00\x00\x00",
			[]string{"0 0 1\r\na", "0 0 0\r\n"}},
		{JSON, `{"flags":7,"text":"a\n"}` + "\n" + `{"base64":"/w==","expires":4102444800001}`,
			[]string{"7 0 2\r\na\n", "0 4102444801 1\r\n\xff"}},
		{JSON, `{"text":"","expires":1000}`, []string{"0 -1 0\r\n"}},
	} {
		var turns [][2]string
		for i, set := range c.want {
			strict := ""
			if i == 1 {
				turns = append(turns, probe)
			}
			if i > 0 {
				strict = "/strict"
			}
			turns = append(turns, [2]string{"set q" + strict + " " + set + "\r\n", "STORED\r\n"})
		}
		n, err := Put(context.Background(), script(t, turns...), "q", inputs(t, c.input), c.framing)
		if n != len(c.want) || err != nil {
			t.Errorf("%q: got %d items, %v, want %d", c.input, n, err, len(c.want))
		}
	}
}

func TestPutStopsAtTheFirstFailureAndSaysWhatIsStored(t *testing.T) {
	first := [2]string{"set q 0 0 1\r\na\r\n", "STORED\r\n"}
	ahead := "set q/strict 0 0 1\r\nb\r\nset q/strict 0 0 1\r\nc\r\n"
	one := "a\nb\nc\n"
	for _, c := range []struct {
		turns  [][2]string
		files  []string
		stored int
		want   string
	}{
		{[][2]string{{first[0], "NOT_STORED\r\n"}}, []string{"a"}, 0,
			"FILE0, line 1: the queue is at its limit"},
		{[][2]string{first, probe, {ahead, "SERVER_ERROR no space\r\n"}}, []string{one}, 1,
			"FILE0, line 2: the server answered: SERVER_ERROR no space; 1 item is stored, " +
				"and none from there on"},
		{[][2]string{first, probe, {"set q/strict 0 0 1\r\nb\r\n", "STORED\r\n"},
			{"set q/strict 0 0 1\r\nc\r\n", "NOT_STORED\r\n"}}, []string{"a\nb\n", "c\n"},
			2, "FILE1, line 1: the queue is at its limit; 2 items are stored, and none from there on"},
		{[][2]string{first, probe, {ahead, "STORED\r\n" + hangUp}}, []string{one}, 2, "FILE0, " +
			"line 3: the connection broke: unexpected EOF; 2 items are stored, and perhaps that one"},
		{[][2]string{first, probe, {ahead, hangUp}}, []string{one}, 1, "FILE0, line 2: the " +
			"connection broke: unexpected EOF; 1 item is stored, and perhaps some of the next 2"},
	} {
		files := inputs(t, c.files...)
		n, err := Put(context.Background(), script(t, c.turns...), "q", files, Lines)
		want := strings.ReplaceAll(c.want, "FILE0", files[0])
		want = strings.ReplaceAll(want, "FILE1", files[len(files)-1])
		if n != c.stored || err == nil || err.Error() != want {
			t.Errorf("got %d items, %v\nwant %d items, %s", n, err, c.stored, want)
		}
	}
}

func TestAFileThatIsMissingEndsPutBehindTheOnesBefore(t *testing.T) {
	at := script(t, [2]string{"set q 0 0 1\r\na\r\n", "STORED\r\n"})
	files := append(inputs(t, "a"), "/none/at/all", inputs(t, "b")[0])
	n, err := Put(context.Background(), at, "q", files, Bare)
	if n != 1 || !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(),
		"/none/at/all: no such file or directory; 1 item is stored, and none from there on") {
		t.Errorf("got %d items, %v, want 1 and the name of the missing file", n, err)
	}
}

// To a server that cannot be told to stop at a refusal, one item is sent at a time.
func TestNothingIsSentAheadToAServerThatDoesNotKnowIt(t *testing.T) {
	at := script(t, [2]string{"set q 0 0 1\r\na\r\n", "STORED\r\n"},
		[2]string{"stats settings\r\n", "ERROR\r\n"},
		[2]string{"set q 0 0 1\r\nb\r\n", "NOT_STORED\r\n"})
	n, err := Put(context.Background(), at, "q", inputs(t, "a\nb\nc\n"), Lines)
	if n != 1 || !errors.Is(err, ErrFull) {
		t.Errorf("got %d items, %v, want 1 and that the queue is full", n, err)
	}
}

// What the server answered is known also when the input breaks off in the middle of an item.
func TestAnItemWhoseInputBreaksOffIsNotStored(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	at := script(t, [2]string{"set q 0 0 1\r\na\r\n", "STORED\r\n"}, probe,
		[2]string{"set q/strict 0 0 1\r\nb\r\nset q/strict 0 0 200000\r\n" + large, "STORED\r\n"})
	s, err := NewSetter(context.Background(), at)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("cannot be read")
	body := io.MultiReader(strings.NewReader(large), iotest.ErrReader(broken))
	for _, it := range []exchange.Item{{Size: 1, Body: strings.NewReader("a")},
		{Size: 1, Body: strings.NewReader("b")}, {Size: 200_000, Body: body}} {
		if err == nil && s.Stored() == 1 {
			err = s.Ahead()
		}
		if err == nil {
			err = s.Send("q", it)
		}
	}
	s.Close()
	if !errors.Is(err, broken) || s.Stored() != 2 || s.Sent() != 0 {
		t.Errorf("got %v, %d items stored, want the input's error and 2", err, s.Stored())
	}
}
