package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func value(queue string, sequence int, text string) string {
	return fmt.Sprintf("VALUE %s 7 %d %d\r\n%s\r\nEND\r\n", queue, len(text), sequence, text)
}

// take takes items from a scripted server.
func take(t *testing.T, out io.Writer, f Framing, o PumpOptions, turns ...[2]string) (int, error) {
	t.Helper()
	return Take(context.Background(), script(t, turns...), "q", NewOutput("q", out, f),
		TakeOptions{PumpOptions: o})
}

func TestAnItemIsConfirmedWhenItIsWritten(t *testing.T) {
	var out bytes.Buffer
	n, err := take(t, &out, Lines, PumpOptions{Count: 1},
		[2]string{"gets q/open\r\n", value("q", 1, "one")},
		[2]string{"get q/close\r\n", "END\r\n"})
	if n != 1 || err != nil || out.String() != "one\n" {
		t.Errorf("got %d items, %v, %q; want 1 in a line", n, err, &out)
	}
}

// Each round asks for twice as many, until one brings less.
func TestItemsAreAskedForAhead(t *testing.T) {
	var out bytes.Buffer
	ahead, closes := "gets q/open/ahead\r\n", "get q/close\r\n"
	n, err := take(t, &out, Bare, PumpOptions{},
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, probe,
		[2]string{closes + ahead + ahead, "END\r\n" + value("q", 2, "2") + value("q", 3, "")},
		[2]string{closes + closes + strings.Repeat(ahead, 4),
			"END\r\nEND\r\n" + value("q", 5, "5") + "END\r\nEND\r\nEND\r\n"},
		[2]string{closes + ahead + ahead, "END\r\nEND\r\nEND\r\n"})
	if n != 4 || err != nil || out.String() != "125" {
		t.Errorf("got %d items, %v, %q; want 4", n, err, &out)
	}
}

func TestNoMoreItemsAreAskedForThanAreWanted(t *testing.T) {
	n, err := take(t, io.Discard, Bare, PumpOptions{Count: 2},
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, probe,
		[2]string{"get q/close\r\ngets q/open\r\n", "END\r\n" + value("q", 2, "2")},
		[2]string{"get q/close\r\n", "END\r\n"})
	if n != 2 || err != nil {
		t.Errorf("got %d items, %v; want 2", n, err)
	}
}

func TestOneItemAtATimeComesFromAServerThatKnowsNoMore(t *testing.T) {
	// Kestrel; a Darner that has many settings, and cannot be asked ahead.
	for _, settings := range []string{"ERROR\r\n", "STAT when-full reject\r\nEND\r\n"} {
		n, err := take(t, io.Discard, Bare, PumpOptions{},
			[2]string{"gets q/open\r\n", value("q", 1, "1")},
			[2]string{"stats settings\r\n", settings},
			[2]string{"get q/close\r\ngets q/open\r\n", "END\r\n" + value("q", 2, "2")},
			[2]string{"get q/close\r\ngets q/open\r\n", "END\r\nEND\r\n"})
		if n != 2 || err != nil {
			t.Errorf("%q: got %d items, %v; want 2", settings, n, err)
		}
	}
}

// A wait begins when everything is confirmed.
func TestTakeWaitsWithNothingOpen(t *testing.T) {
	n, err := take(t, io.Discard, Bare, PumpOptions{Wait: 1500 * time.Millisecond},
		[2]string{"gets q/t=1500/open\r\n", value("q", 1, "1")}, probe,
		[2]string{"get q/close\r\ngets q/open/ahead\r\ngets q/open/ahead\r\n",
			"END\r\nEND\r\nEND\r\n"},
		[2]string{"gets q/t=1500/open\r\n", "END\r\n"})
	if n != 1 || err != nil {
		t.Errorf("got %d items, %v; want 1", n, err)
	}
}

// stingy is a writer that takes some bytes, and no more.
type stingy struct{ room int }

func (s *stingy) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestOnlyWhatIsWrittenWholeIsConfirmed(t *testing.T) {
	ahead, closes := "gets q/open/ahead\r\n", "get q/close\r\n"
	for room, confirmed := range []int{0, 0, 1, 1, 2, 2, 3} {
		turns := [][2]string{{"gets q/open\r\n", value("q", 1, "a")}}
		if confirmed > 0 {
			turns = append(turns, probe, [2]string{closes + ahead + ahead,
				"END\r\n" + value("q", 2, "b") + value("q", 3, "c")})
		}
		if confirmed == 3 {
			turns = append(turns, [2]string{closes + closes + strings.Repeat(ahead, 4),
				"END\r\nEND\r\n" + value("q", 4, "d") + strings.Repeat("END\r\n", 3)})
		}
		if confirmed == 2 {
			turns = append(turns, [2]string{closes, "END\r\n"})
		}
		n, err := take(t, &stingy{room}, Lines, PumpOptions{}, turns...)
		want := fmt.Sprintf("an item of 1 byte stays in q; its part in the output has %s",
			Count(int64(room%2), "byte"))
		if n != confirmed || !errors.Is(err, syscall.ENOSPC) ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("room for %d bytes: got %d items, %v; want %d, %s", room, n, err, confirmed, want)
		}
	}
}

// What is told of a large item is what the output has of it, and not what was read of it.
func TestThePartOfALargeItemThatIsWrittenIsTold(t *testing.T) {
	large := strings.Repeat("x", batchBytes+1)
	for _, framing := range []Framing{Bare, Length, JSON} {
		n, err := take(t, &stingy{70_000}, framing, PumpOptions{Count: 1},
			[2]string{"gets q/open\r\n", value("q", 1, large)})
		want := "an item of 1048577 bytes stays in q; its part in the output has 70000 bytes:"
		if n != 0 || !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("framing %d: got %d items, %v; want none, and %s", framing, n, err, want)
		}
	}
}

// A large item is not held in memory, and comes between small ones in its order.
func TestALargeItemIsStreamed(t *testing.T) {
	large := strings.Repeat("x", batchBytes+1)
	ahead, closes := "gets q/open/ahead\r\n", "get q/close\r\n"
	var out bytes.Buffer
	n, err := take(t, &out, Lines, PumpOptions{},
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, probe,
		[2]string{closes + ahead + ahead, "END\r\n" + value("q", 2, "2") + value("q", 3, large)},
		[2]string{closes + closes + "gets q/open\r\n", "END\r\nEND\r\n" + value("q", 4, "4")},
		[2]string{closes + ahead + ahead, "END\r\nEND\r\nEND\r\n"})
	if n != 4 || err != nil || out.String() != "1\n2\n"+large+"\n4\n" {
		t.Errorf("got %d items, %v, %d bytes; want 4", n, err, out.Len())
	}
}

func TestAnItemThatBreaksOffIsNotWritten(t *testing.T) {
	for _, answer := range []string{"VALUE q 0 5 1\r\nhel", "VALUE q 0 5 1\r\nhello",
		"VALUE q 0 5 1\r\nhello\r\n", "VALUE q", "HTTP/1.1 400 Bad Request\r\n", ""} {
		var out bytes.Buffer
		n, err := take(t, &out, Bare, PumpOptions{Count: 1},
			[2]string{"gets q/open\r\n", answer + hangUp})
		if n != 0 || !errors.Is(err, ErrNoServer) || out.Len() > 0 {
			t.Errorf("%q: got %d items, %v, %q; want none and that the server is gone", answer, n,
				err, &out)
		}
	}
}

// Items ahead of an error are taken, those behind it go back.
func TestAnErrorEndsARound(t *testing.T) {
	ahead, closes := "gets q/open/ahead\r\n", "get q/close\r\n"
	var out bytes.Buffer
	n, err := take(t, &out, Lines, PumpOptions{},
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, probe,
		[2]string{closes + ahead + ahead, "END\r\n" + value("q", 2, "2") + value("q", 3, "3")},
		[2]string{closes + closes + strings.Repeat(ahead, 4), "END\r\nEND\r\n" +
			value("q", 4, "4") + "SERVER_ERROR no\r\n" + value("q", 6, "6") + "END\r\n"},
		[2]string{closes, "END\r\n"})
	if n != 4 || !IsRefusal(err) || out.String() != "1\n2\n3\n4\n" {
		t.Errorf("got %d items, %v, %q; want 4 and the error", n, err, &out)
	}
}

func TestWhatMayComeAgainIsSaid(t *testing.T) {
	ahead, closes := "gets q/open/ahead\r\n", "get q/close\r\n"
	_, err := take(t, io.Discard, Lines, PumpOptions{Count: 100},
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, probe,
		[2]string{closes + ahead + ahead, "END\r\n" + value("q", 2, "2") + value("q", 3, "3")},
		[2]string{closes + closes + strings.Repeat(ahead, 4), "END\r\n" + hangUp})
	if want := "the connection broke: unexpected EOF; the last 1 item may come again"; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The server may die again before anything is confirmed.
func TestAReaderThatHasTakenItemsConnectsAgainAndAgain(t *testing.T) {
	var out bytes.Buffer
	n, err := take(t, &out, Lines, PumpOptions{},
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, probe,
		[2]string{"get q/close\r\n", ""}, next, next,
		[2]string{"gets q/open\r\n", value("q", 1, "1")}, next,
		[2]string{"gets q/open\r\n", "END\r\n"})
	if n != 2 || err != nil || out.String() != "1\n" {
		t.Errorf("got %d items, %v, %q; want the one, written once", n, err, &out)
	}
}

// What is known is told from new items by all of it.
func TestItemsThatComeAgainAreNotWrittenAgain(t *testing.T) {
	var out bytes.Buffer
	s := &knownSink{to: NewOutput("q", &out, Lines), known: map[uint64]Item{}}
	item := func(sequence uint64, text string) *Item {
		return &Item{Sequence: sequence, Size: int64(len(text)), left: int64(len(text)),
			body: []byte(text), done: true}
	}
	before := []*Item{item(1, "a"), item(3, "c"), item(4, "d")}
	for _, it := range before {
		it.keep()
	}
	s.note(before)
	again := []*Item{item(1, "a"), item(2, "b"), item(3, "C"), item(4, "d"), item(5, "e"), item(1, "a")}
	if n, err := s.Put(again); n != len(again) || err != nil || out.String() != "b\nC\ne\na\n" {
		t.Errorf("got %d items, %v, %q; want those that are new", n, err, &out)
	}
}

func TestEachFramingWritesWhatPutReads(t *testing.T) {
	texts := []string{"", "a\nb\x00", "\xff\"\\", "é"}
	for _, f := range []Framing{Length, JSON} {
		var out bytes.Buffer
		o := NewOutput("q", &out, f)
		var items []*Item
		for i, text := range texts {
			items = append(items, &Item{Sequence: uint64(i + 1), Flags: 9, Size: int64(len(text)),
				left: int64(len(text)), body: []byte(text), done: true})
		}
		if n, err := o.Put(items); n != len(items) || err != nil {
			t.Fatalf("got %d items, %v, want %d", n, err, len(items))
		}
		d, free := f.decoder(&out)
		defer free()
		for _, want := range texts {
			it, err := d.Decode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(it.Body)
			if err != nil || string(got) != want || f == JSON && it.Flags != 9 {
				t.Errorf("got %q, flags %d, %v; want %q", got, it.Flags, err, want)
			}
		}
		if _, err := d.Decode(); err != io.EOF {
			t.Errorf("got %v, want the end", err)
		}
	}
}

func TestACommandTakesAnItemByItsSuccess(t *testing.T) {
	ahead, closes := "gets q/open/ahead\r\n", "get q/close\r\n"
	n, err := Take(context.Background(), script(t,
		[2]string{"gets q/open\r\n", value("q", 1, "good")}, probe,
		[2]string{closes + ahead + ahead, "END\r\n" + value("q", 2, "good") + value("q", 3, "bad")},
		[2]string{closes, "END\r\n"}), "q",
		Command{`test "$(cat)" = good`}, TakeOptions{})
	if n != 2 || err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %d items, %v; want 2, and that the command failed", n, err)
	}
}

// A command that read a part of an item could take it for the whole.
func TestACommandRunsOnlyWithAWholeItem(t *testing.T) {
	large := value("q", 1, strings.Repeat("x", batchBytes+1))
	ran := filepath.Join(t.TempDir(), "ran")
	n, err := Take(context.Background(), script(t,
		[2]string{"gets q/open\r\n", large[:batchBytes] + hangUp}), "q",
		Command{"touch '" + ran + "'"}, TakeOptions{PumpOptions: PumpOptions{Count: 1}})
	if _, there := os.Stat(ran); n != 0 || !errors.Is(err, ErrNoServer) || there == nil {
		t.Errorf("got %d items, %v; want none, that the server is gone, and no run", n, err)
	}
}
