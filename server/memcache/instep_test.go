package memcache

// Every word of memcached's text protocol, in every way it may be refused: the answers that come,
// and that the connection is in step behind them.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/server/queue"
)

// asked is a request and its answer. ~ is where noreply may stand, which leaves the answer off;
// where there is none the command does not take it.
type asked struct{ request, answer string }

// unsupportedAnswer is the answer to a command that a queue has no use for.
func unsupportedAnswer(name string) string {
	return "SERVER_ERROR " + name + " is not supported by a queue\r\n"
}

const (
	unknownAnswer = "ERROR\r\n"
	nine          = " 1 2 3 4 5 6 7 8 9"
)

// storageWords have a body, which is never run.
var storageWords = []string{"add", "replace", "append", "prepend", "cas"}

// withoutBody are words of memcached, of later servers and of nobody.
func withoutBody() []asked {
	all := []asked{
		{"delete q~", "DELETED\r\n"}, {"delete q 0~", "DELETED\r\n"},
		{"delete", badDelete}, {"delete q 1~", badDelete}, {"delete q" + nine + "~", badDelete},
		{"delete q/open~", unknownOption},
		{"flush q", endOfAnswer}, {"flush", badFlush}, {"flush q noreply", badFlush},
		{"flush" + nine, badFlush},
		{"flush_all 0~", "OK\r\n"}, {"flush_all 99~", "OK\r\n"}, {"flush_all 2592001~", "OK\r\n"},
		{"flush_all x~", badFlushAll}, {"flush_all" + nine + "~", badFlushAll},
		{"verbosity 1~", "OK\r\n"}, {"verbosity~", badVerbosity}, {"verbosity x~", badVerbosity},
		{"verbosity" + nine + "~", badVerbosity},
		{"version", "VERSION 1.2.3\r\n"}, {"version noreply", badVersion}, {"quit noreply", badQuit},
		{"get q", endOfAnswer}, {"get noreply", endOfAnswer}, {"get q noreply", endOfAnswer},
		{"get" + nine, endOfAnswer}, {"get", noKeys}, {"gets", noKeys},
		{"get q/pop noreply", unknownOption}, {"gets " + strings.Repeat("n", 251), "CLIENT_ERROR bad queue name: 251 bytes of at most 250\r\n"},
		{"mn", unknownAnswer}, {"mg q v", unknownAnswer}, {"mg q v q noreply", unknownAnswer},
		{"md q q", unknownAnswer}, {"ma q N0 J1", unknownAnswer}, {"me q", unknownAnswer},
		{"cache_memlimit 64~", unknownAnswer}, {"cache_memlimit" + nine + "~", unknownAnswer},
		{"lru tune 10 25 0.1 2.0~", unknownAnswer}, {"lru mode flat~", unknownAnswer},
		{"slabs automove 1~", unknownAnswer}, {"slabs reassign 1 2~", unknownAnswer},
		{"extstore recache_rate 1~", unknownAnswer},
		{"lru_crawler enable", unknownAnswer}, {"lru_crawler metadump all", endOfAnswer},
		{"watch fetchers~", unknownAnswer}, {"watch~", unknownAnswer}, {"misbehave", unknownAnswer},
		{"debugtime p", unknownAnswer}, {"shutdown graceful", badShutdown},
		{"shutdown noreply", badShutdown}, {"refresh_certs~", unknownAnswer},
		{"stats reset", "RESET\r\n"}, {"stats noreply", badStats}, {"stats reset noreply", badStats},
		{"stats items", endOfAnswer}, {"stats slabs noreply", endOfAnswer},
		{"stats sizes", endOfAnswer}, {"stats detail on", endOfAnswer},
		{"stats cachedump 1 1", endOfAnswer}, {"stats" + nine, endOfAnswer},
		{"stats queue nobody", endOfAnswer}, {"stats queue q noreply", badStats},
		{"monitor q 0", endOfAnswer}, {"monitor q 1 0", endOfAnswer}, {"monitor", badMonitor},
		{"monitor q", badMonitor}, {"monitor q x", badMonitor}, {"monitor q 1 x", badMonitor},
		{"monitor q 1 1 noreply", badMonitor}, {"monitor" + nine, badMonitor},
		{"monitor q/open 1", unknownOption},
		{"confirm q 1", unknownAnswer}, {"confirm q 0", unknownAnswer}, {"confirm", badConfirm},
		{"confirm q", badConfirm}, {"confirm q x", badConfirm}, {"confirm q -1", badConfirm},
		{"confirm" + nine, badConfirm}, {"confirm q/open 1", unknownOption},
		{"status", "UP\r\n"}, {"status UP", endOfAnswer}, {"status down", badStatus},
		{"status up noreply", badStatus}, {"status" + nine, badStatus},
		{"reload", "Reloaded config.\r\n"}, {"reload now", badReload},
		{"dump_stats nobody noreply", endOfAnswer}, {"dump_stats q/open", unknownOption},
		{"dump_config noreply", badDumpConfig},
		{"info q", endOfAnswer}, {"info", badInfo}, {"info q noreply", badInfo},
		{"info q/peek", unknownOption}, {"info" + nine, badInfo},
		{"flush_expired q", "0\r\n"}, {"flush_expired", badFlushExpired},
		{"flush_expired q noreply", badFlushExpired}, {"flush_expired q/open", unknownOption},
		{"flush_all_expired", "0\r\n"}, {"flush_all_expired noreply", badAllExpired},
		{"", unknownAnswer}, {"noreply", unknownAnswer}, {"frobnicate noreply", unknownAnswer},
		{"frobnicate" + nine, unknownAnswer},
	}
	for _, name := range []string{"incr", "decr", "touch", "gat", "gats"} {
		answer := unsupportedAnswer(name)
		all = append(all, asked{name + " 1 q~", answer}, asked{name + " 1~", answer},
			asked{name, answer}, asked{name + " noreply", answer}, asked{name + nine + "~", answer})
	}
	return all
}

// withBody are requests with a body of nine bytes, which would be a command.
func withBody() []asked {
	const body = "\r\nflush_all"
	all := []asked{
		{"set q 0 0 9~" + body, "STORED\r\n"}, {"set q 9~" + body, "STORED\r\n"},
		{"set noreply 0 0 9~" + body, "STORED\r\n"},
		{"set q x 0 9~" + body, badFlags}, {"set q 0 x 9~" + body, badExptime},
		{"set q/open 0 0 9~" + body, unknownOption},
		{"set q 0 0 9" + nine + "~" + body, badSetLine},
		{"set " + strings.Repeat("n", 251) + " 0 0 9~" + body, "CLIENT_ERROR bad queue name: 251 bytes of at most 250\r\n"},
		{"ms q 9" + body, unknownAnswer}, {"ms q 9 q T0" + nine + body, unknownAnswer},
	}
	for _, name := range storageWords {
		answer := unsupportedAnswer(name)
		all = append(all, asked{name + " q 0 0 9~" + body, answer},
			asked{name + " q 9~" + body, answer}, asked{name + " q x x 9~" + body, answer},
			asked{name + " q 0 0 9" + nine + "~" + body, answer})
	}
	return all
}

// both returns the request and the answer with and without noreply, where it takes it.
func (a asked) both() []asked {
	plain := asked{strings.Replace(a.request, "~", "", 1), a.answer}
	if plain.request == a.request {
		return []asked{plain}
	}
	return []asked{plain, {strings.Replace(a.request, "~", " noreply", 1), ""}}
}

// inStep asks everything, on one connection as well as on one each, and each time for the version
// behind it.
func inStep(t *testing.T, sv *testServer, all []asked) {
	t.Helper()
	one := sv.dial()
	for _, a := range all {
		for _, a := range a.both() {
			c := sv.dial()
			c.expect(a.request+"\r\nversion\r\n", a.answer+"VERSION 1.2.3\r\n")
			one.expect(a.request+"\nversion\r\n", a.answer+"VERSION 1.2.3\r\n")
			one.expect(a.request+"\r\nhello world\r\nversion\r\n", a.answer+"ERROR\r\nVERSION 1.2.3\r\n")
			c.Close()
		}
	}
	one.Close()
}

func TestEveryWordOfMemcachedLeavesTheConnectionInStep(t *testing.T) {
	inStep(t, newServer(t), append(withoutBody(), withBody()...))
}

func TestAStorageCommandWhoseLengthCannotBeReadIsTheLastOneDone(t *testing.T) {
	sv := newServer(t)
	for _, name := range append([]string{"set"}, storageWords...) {
		for _, a := range []asked{
			{"~", badSetLine}, {" q~", badSetLine}, {" q 0 0~", badSetLine}, {" q x~", badLength},
			{" q 0 0 abc~", badLength}, {" q 0 0 0x10~", badLength}, {" q 0 0 -1~", badLength},
			{" q 0 0 1.5~", badLength}, {" q 0 0 +1~", badLength},
			{" q 0 0 99999999999999999999~", badLength}, {" q 0 0 x" + nine + "~", badLength},
		} {
			for _, a := range a.both() {
				c := sv.dial()
				c.expect(name+a.request+"\r\nflush_all\r\nversion\r\n", a.answer)
				if !c.closed {
					t.Errorf("%s%s: got a connection that is kept, want it closed", name, a.request)
				}
			}
		}
	}
}

func TestAdministratorsCommandsThatAreRefusedLeaveTheConnectionInStep(t *testing.T) {
	for want, change := range map[string][]func(*testServer){
		"is switched off":      {admin(AccessOff)},
		"is for local clients": {admin(AccessLocal), remote},
	} {
		var all []asked
		for _, request := range []string{
			"delete q~", "delete", "delete q" + nine + "~", "flush q", "flush",
			"flush_all~", "flush_all 0~", "flush_all x~", "flush_all" + nine + "~",
		} {
			name, _, _ := strings.Cut(strings.TrimSuffix(request, "~"), " ")
			all = append(all, asked{request, fmt.Sprintf("CLIENT_ERROR %s %s\r\n", name, want)})
		}
		inStep(t, newServer(t, change...), all)
	}
}

func TestItemsThatAreTooLargeLeaveTheConnectionInStep(t *testing.T) {
	sv := newServer(t, func(sv *testServer) { sv.env.MaxItemSize = 8 })
	inStep(t, sv, []asked{
		{"set q 0 0 9~\r\nflush_all", itemTooLarge},
		{"set q 9~\r\nflush_all", itemTooLarge},
		{"set q 0 0 200000~\r\n" + strings.Repeat("flush_all\n", 20000), itemTooLarge},
	})
}

// fullQueues are queues of a disk that is full.
type fullQueues struct{ Registry }

type fullQueue struct{ Queue }

func (r fullQueues) Queue(name []byte) (Queue, error) {
	q, err := r.Registry.Queue(name)
	return fullQueue{q}, err
}

func (q fullQueue) TryPut([]byte, queue.Meta) error { return queue.ErrFull }
func (q fullQueue) TryUpload(int, queue.Meta) (queue.InlineUpload, error) {
	return nil, queue.ErrFull
}
func (q fullQueue) Relieve(refused error) error { return refused }
func (q fullQueue) BeginLarge(int64, queue.Meta) (queue.Upload, error) {
	return nil, queue.ErrFull
}

func TestItemsForWhichThereIsNoRoomLeaveTheConnectionInStep(t *testing.T) {
	sv := newServer(t, inlineMax(1024))
	sv.env.Registry = fullQueues{sv.env.Registry}
	inStep(t, sv, []asked{
		{"set q 0 0 9~\r\nflush_all", serverError(queue.ErrFull)},
		{"set q 0 0 200000~\r\n" + strings.Repeat("flush_all\n", 20000), serverError(queue.ErrFull)},
	})
	sv.env.InlineMax = 1 << 20
	inStep(t, sv, []asked{
		{"set q 0 0 200000~\r\n" + strings.Repeat("flush_all\n", 20000), serverError(queue.ErrFull)},
	})
}

func TestAStoppingServerLeavesTheConnectionInStep(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("other", "a")
	sv.draining = true
	stopping := serverError(errStopping)
	inStep(t, sv, []asked{
		{"flush_all~", stopping}, {"flush_all 0~", stopping}, {"flush_all -1~", stopping},
		{"set q 0 0 9~\r\nflush_all", "STORED\r\n"}, {"incr q 1~", unsupportedAnswer("incr")},
		{"get r/t=100000", endOfAnswer},
	})
}

func TestRequestsCutAtEveryByteAreAnsweredTheSame(t *testing.T) {
	sv := newServer(t)
	for _, a := range append(withoutBody(), withBody()...) {
		for _, a := range a.both() {
			c := sv.dial()
			var got string
			for _, b := range []byte(a.request + "\r\nversion\r\n") {
				got += c.ask("%c", b)
			}
			if got != a.answer+"VERSION 1.2.3\r\n" {
				t.Errorf("%q: got %q byte by byte, want %q and the version", a.request, got, a.answer)
			}
			c.Close()
		}
	}
}

func TestFlushAllReadsItsTimeAsAnExptime(t *testing.T) {
	sv := newServer(t)
	now := time.UnixMilli(sv.env.Now())
	c := sv.dial()
	c.expect(fmt.Sprintf("flush_all %d\r\n", now.Add(time.Hour).Unix()), "OK\r\n")
	c.expect(fmt.Sprintf("flush_all %d\r\n", now.Add(-time.Hour).Unix()), "OK\r\n")
	c.expect("flush_all 2592000\r\n", "OK\r\n")
	if f := sv.flushed; len(f) != 2 || f[0] != time.Hour || f[1] != 30*24*time.Hour {
		t.Errorf("got delays %v, want an hour and 30 days", f)
	}
}
