package memcache

// Several clients put, get, monitor, confirm, flush and hang up while the status changes. A model
// says what each is answered: an item is in one place at a time, and nothing is out of order.

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/darner/darner/server/status"
)

// modelItem is an item that the model has seen stored.
type modelItem struct {
	id      int
	failed  int  // how often it was delivered and came back
	flushed bool // while it was open: it does not come back
}

// modelClient is a client, and what it has open of each queue, oldest first.
type modelClient struct {
	*client
	open map[string][]*modelItem
}

type model struct {
	sv      *testServer
	clients []*modelClient
	waiting map[string][]*modelItem
	at      status.State
	stored  int
}

const modelOpenReads = 3

func (m *model) any(t *rapid.T) (*modelClient, string) {
	c := rapid.SampledFrom(m.clients).Draw(t, "client")
	return c, rapid.SampledFrom([]string{"q", "r"}).Draw(t, "queue")
}

// expect asks and compares.
func (c *modelClient) expect(t *rapid.T, request, want string) {
	if got := c.ask("%s", request); got != want {
		t.Fatalf("%q was answered %q, want %q", request, got, want)
	}
}

func (m *model) no(command string) string { return serverError(refusedByStatus{m.at, command}) }

// take takes the head of a queue.
func (m *model) take(queue string) (it *modelItem, answer string) {
	if len(m.waiting[queue]) == 0 {
		return nil, ""
	}
	it = m.waiting[queue][0]
	m.waiting[queue] = m.waiting[queue][1:]
	return it, strings.TrimSuffix(value(queue, fmt.Sprint(it.id)), endOfAnswer)
}

// fail gives an item back that was delivered.
func (m *model) fail(queue string, it *modelItem) {
	it.failed++
	m.giveBack(queue, it)
}

func (m *model) giveBack(queue string, it *modelItem) {
	if it.flushed {
		return
	}
	all := append(m.waiting[queue], it)
	slices.SortFunc(all, func(a, b *modelItem) int { return a.id - b.id })
	m.waiting[queue] = all
}

// end ends the oldest open item of a client.
func (m *model) end(c *modelClient, queue string) (it *modelItem) {
	if open := c.open[queue]; len(open) > 0 {
		it, c.open[queue] = open[0], open[1:]
	}
	return it
}

func (m *model) set(t *rapid.T) {
	c, queue := m.any(t)
	want := m.no("set")
	if m.at == status.Up {
		m.stored++
		m.waiting[queue] = append(m.waiting[queue], &modelItem{id: m.stored})
		want = itemStored
	}
	text := fmt.Sprint(m.stored)
	c.expect(t, fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", queue, len(text), text), want)
}

func (m *model) get(t *rapid.T) {
	c, queue := m.any(t)
	opts := rapid.SampledFrom([]string{
		"", "/open", "/close/open", "/close", "/abort", "/peek",
	}).Draw(t, "options")
	closes, fetches := strings.HasPrefix(opts, "/close"), opts != "/close" && opts != "/abort"
	opens := len(c.open[queue])
	if closes && opens > 0 {
		opens--
	}
	want := endOfAnswer
	switch {
	case fetches && opts != "/peek" && opens == modelOpenReads:
		want = closeFirst
		closes, fetches = false, false
	case fetches && !m.at.Gets():
		want = m.no("get")
		fetches = false
	}
	if closes {
		m.end(c, queue)
	}
	if opts == "/abort" {
		if it := m.end(c, queue); it != nil {
			m.fail(queue, it)
		}
	}
	if fetches {
		it, answer := m.take(queue)
		want = answer + endOfAnswer
		switch {
		case it == nil:
		case opts == "/peek":
			m.giveBack(queue, it)
		case opts != "":
			c.open[queue] = append(c.open[queue], it)
		}
	}
	c.expect(t, "get "+queue+opts+"\r\n", want)
}

// monitor ends by its number, by the bound, by its time, by the status or with its client.
func (m *model) monitor(t *rapid.T) {
	c, queue := m.any(t)
	most := rapid.IntRange(0, 4).Draw(t, "max")
	request := fmt.Sprintf("monitor %s 60 %d\r\n", queue, most)
	if !m.at.Gets() {
		c.expect(t, request, m.no("monitor"))
		return
	}
	want := ""
	for ; most > 0 && len(c.open[queue]) < modelOpenReads && len(m.waiting[queue]) > 0; most-- {
		it, answer := m.take(queue)
		c.open[queue] = append(c.open[queue], it)
		want += answer + endOfAnswer
	}
	if most == 0 || len(c.open[queue]) == modelOpenReads {
		c.expect(t, request, want+endOfAnswer)
		return
	}
	c.expect(t, request, want)
	switch rapid.IntRange(0, 2).Draw(t, "end") {
	case 0:
		m.sv.pass(60_000)
	case 1:
		m.setStatus(t, status.Quiescent)
	case 2:
		m.hangup(c)
		return
	}
	c.run()
	c.expect(t, "", endOfAnswer)
}

// info tells of what a get would get, in any status.
func (m *model) info(t *rapid.T) {
	c, queue := m.any(t)
	got := c.ask("info %s\r\n", queue)
	if len(m.waiting[queue]) == 0 {
		if got != endOfAnswer {
			t.Fatalf("info %s was answered %q, want nothing", queue, got)
		}
		return
	}
	it := m.waiting[queue][0]
	size, failed := len(fmt.Sprint(it.id)), it.failed
	for _, want := range []string{
		fmt.Sprintf("STAT size %d\r\n", size), fmt.Sprintf("STAT deliveries %d\r\n", failed),
	} {
		if !strings.Contains(got, want) {
			t.Fatalf("info %s was answered %q, want %q in it", queue, got, want)
		}
	}
}

func (m *model) confirm(t *rapid.T) {
	c, queue := m.any(t)
	n := rapid.IntRange(0, 4).Draw(t, "count")
	want := "ERROR\r\n"
	for range n {
		if m.end(c, queue) != nil {
			want = endOfAnswer
		}
	}
	c.expect(t, fmt.Sprintf("confirm %s %d\r\n", queue, n), want)
}

func (m *model) flush(t *rapid.T) {
	c, queue := m.any(t)
	answers := map[string]string{"flush": endOfAnswer, "delete": "DELETED\r\n"}
	command := rapid.SampledFrom([]string{"flush", "delete"}).Draw(t, "command")
	if m.at != status.Up {
		c.expect(t, command+" "+queue+"\r\n", m.no(command))
		return
	}
	m.waiting[queue] = nil
	for _, other := range m.clients {
		for _, it := range other.open[queue] {
			it.flushed = true
		}
	}
	c.expect(t, command+" "+queue+"\r\n", answers[command])
}

func (m *model) setStatus(t *rapid.T, to status.State) {
	m.at = to
	word := to.String()
	(&modelClient{client: m.sv.dial()}).expect(t, "status "+strings.ToLower(word)+"\r\nstatus\r\n",
		endOfAnswer+word+"\r\n")
}

func (m *model) hangup(c *modelClient) {
	c.Close()
	for queue, open := range c.open {
		for _, it := range open {
			m.fail(queue, it)
		}
	}
	c.client, c.open = m.sv.dial(), map[string][]*modelItem{}
}

// check compares what waits with the queues' figures.
func (m *model) check(t *rapid.T) {
	for _, queue := range []string{"q", "r"} {
		if got := m.sv.items(queue); got != int64(len(m.waiting[queue])) {
			t.Fatalf("got %d items of %s waiting, want %d", got, queue, len(m.waiting[queue]))
		}
	}
}

func TestClientsGetWhatTheModelSaysWhateverTheStatus(t *testing.T) {
	sv := newServer(t, openReads(modelOpenReads))
	rapid.Check(t, func(t *rapid.T) {
		m := &model{sv: sv, waiting: map[string][]*modelItem{}}
		for range 3 {
			m.clients = append(m.clients, &modelClient{sv.dial(), map[string][]*modelItem{}})
		}
		m.setStatus(t, status.Up)
		t.Repeat(map[string]func(*rapid.T){
			"set": m.set, "get": m.get, "monitor": m.monitor, "confirm": m.confirm, "flush": m.flush,
			"info":   m.info,
			"hangup": func(t *rapid.T) { c, _ := m.any(t); m.hangup(c) },
			"status": func(t *rapid.T) {
				m.setStatus(t, rapid.SampledFrom([]status.State{
					status.Up, status.Up, status.ReadOnly, status.Quiescent,
				}).Draw(t, "status"))
			},
			"": m.check,
		})
		for _, c := range m.clients {
			c.Close()
		}
		m.setStatus(t, status.Up)
		sv.dial().expect("delete q\r\ndelete r\r\n", "DELETED\r\nDELETED\r\n")
		if open := sv.openTransactions(); open != 0 {
			t.Fatalf("got %d items open by nobody, want none", open)
		}
	})
}
