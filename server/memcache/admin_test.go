package memcache

import (
	"errors"
	"strings"
	"testing"

	"github.com/darner/darner/server/status"
)

func openReads(n int) func(*testServer) {
	return func(sv *testServer) { sv.env.MaxOpenReads = n }
}

func TestTheStateIsForAllToSeeAndForLocalClientsToSet(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  []func(*testServer)
		allowed bool
	}{
		{"by default from here", nil, true},
		{"by default from afar", []func(*testServer){remote}, false},
		{"all, asked from afar", []func(*testServer){remote, admin(AccessAll)}, true},
		{"local, asked from afar", []func(*testServer){remote, admin(AccessLocal)}, false},
		{"off, asked from here", []func(*testServer){admin(AccessOff)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sv := newServer(t, c.change...)
			k := sv.dial()
			k.expect("status\r\n", "UP\r\n")
			for _, of := range [][2]string{
				{"status readonly", "END\r\n"}, {"reload", "Reloaded config.\r\n"}, {"shutdown", ""},
			} {
				name, _, _ := strings.Cut(of[0], " ")
				got := k.ask("%s\r\n", of[0])
				refused := strings.HasPrefix(got, "CLIENT_ERROR "+name+" ")
				if c.allowed && got != of[1] || !c.allowed && !refused {
					t.Errorf("%s: got %q, want it allowed: %v", of[0], got, c.allowed)
				}
			}
			at := sv.env.Status.State()
			if (at == status.ReadOnly) != c.allowed || (sv.stops == 1) != c.allowed ||
				(sv.reloads == 1) != c.allowed {
				t.Errorf("got %v, %d reloads and %d stops, want them: %v", at, sv.reloads, sv.stops,
					c.allowed)
			}
		})
	}
}

func TestAReloadThatFailsSaysWhy(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	sv.reload = errors.New("darner.toml:3: max-dsik:\nthere is no such setting")
	c.expect("reload\r\n", "SERVER_ERROR darner.toml:3: max-dsik: there is no such setting\r\n")
	sv.env.Reload, sv.env.Shutdown = nil, nil
	c.expect("reload\r\nshutdown\r\n", "SERVER_ERROR reload is not available\r\n"+
		"SERVER_ERROR shutdown is not available\r\n")
}

func TestAStateThatCannotBeKeptIsNotSet(t *testing.T) {
	sv := newServer(t)
	sv.env.Status = status.New(status.Up, status.Options{
		Keep: func(status.State) error { return errors.New("no space left") },
	})
	sv.dial().expect("status quiescent\r\nstatus\r\n", "SERVER_ERROR no space left\r\nUP\r\n")
	sv.env.Status.Stop()
	sv.dial().expect("status\r\nstatus up\r\n", "QUIESCENT\r\nSERVER_ERROR the server is stopping\r\n")
}

func TestWhoChangesTheServerIsLogged(t *testing.T) {
	b, with := logged()
	sv := newServer(t, with)
	c := sv.dial()
	c.s.peer.Addr = "192.0.2.7:5000"
	for _, of := range [][2]string{
		{"status readonly", `msg="status is set" status=READONLY was=UP peer=192.0.2.7:5000`},
		{"reload", `msg="configuration is reloaded" peer=192.0.2.7:5000`},
		{"shutdown", `msg="server is asked to stop" peer=192.0.2.7:5000`},
	} {
		b.Reset()
		c.ask("%s\r\n", of[0])
		if strings.Count(b.String(), "\n") != 1 || !strings.Contains(b.String(), of[1]) {
			t.Errorf("%s: got %q, want one line with %q", of[0], b, of[1])
		}
	}
	b.Reset()
	if sv.dial().ask("status\r\nstatus readonly\r\n"); b.Len() > 0 {
		t.Errorf("got %q for what changes nothing, want nothing", b)
	}
}

func TestAServerThatIsNotUpLeavesTheConnectionInStep(t *testing.T) {
	for _, at := range []status.State{status.ReadOnly, status.Quiescent} {
		sv := newServer(t, inlineMax(1024))
		if _, err := sv.env.Status.Set(at); err != nil {
			t.Fatal(err)
		}
		no := func(command string) string { return serverError(refusedByStatus{at, command}) }
		all := []asked{
			{"set q 0 0 9~\r\nflush_all", no("set")}, {"set q 9~\r\nflush_all", no("set")},
			{"set q/sync 0 0 9~\r\nflush_all", no("set")},
			{"set q 0 0 200000~\r\n" + strings.Repeat("flush_all\n", 20000), no("set")},
			{"set q x 0 9~\r\nflush_all", badFlags},
			{"delete q~", no("delete")}, {"delete", no("delete")}, {"flush q", no("flush")},
			{"flush_all~", no("flush_all")}, {"flush_all 9~", no("flush_all")},
			{"flush_expired q", no("flush_expired")}, {"flush_all_expired", no("flush_all_expired")},
			{"get q/close", endOfAnswer}, {"get q/abort", endOfAnswer}, {"confirm q 1", "ERROR\r\n"},
			{"add q 0 0 9~\r\nflush_all", unsupportedAnswer("add")},
		}
		if at == status.Quiescent {
			all = append(all, asked{"get q", no("get")}, asked{"gets q r", no("gets")},
				asked{"get q/close/open", no("get")}, asked{"get q/peek/t=9", no("get")},
				asked{"get q/close r", no("get")}, asked{"monitor q 1", no("monitor")})
		}
		inStep(t, sv, all)
	}
}

// The state may change between the look at it and the beginning of the wait.
func TestAWaitThatBeginsAsTheServerBecomesQuiescentEnds(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.s.get.until = sv.env.Steady() + 60_000
	q, err := sv.env.Registry.Queue([]byte("q"))
	if err != nil {
		t.Fatal(err)
	}
	c.s.get.keys = []getKey{{q: q}}
	c.s.get.deadline = c.s.get.until
	c.s.next = (*Session).startWait
	if _, err := sv.env.Status.Set(status.Quiescent); err != nil {
		t.Fatal(err)
	}
	c.run()
	c.expect("", "END\r\n")
}
