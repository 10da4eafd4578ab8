package transport

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASocketFileLeftBehindIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as after a kill
	dead.Close()
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("got mode %v, %v, want %v", info.Mode(), err, socketMode)
	}
	if _, err := ListenUnix(path); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("got %v for a socket in use, want that another server listens", err)
	}
}

func TestAFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path); err == nil {
		t.Error("got no error for a file that is not a socket")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "x" {
		t.Errorf("got %q, %v in the file, want x", text, err)
	}
}

type addressed struct {
	net.Conn
	from net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.from }

func TestEveryClientOfAUnixSocketHasAnAddressOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := make(map[string]bool)
	for range 2 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		addr := peerOf(accepted).Addr
		if processOf(accepted) != 0 && !strings.HasPrefix(addr, fmt.Sprintf("unix:%d#", os.Getpid())) {
			t.Errorf("got the address %s, want this process in it", addr)
		}
		seen[addr] = true
	}
	if len(seen) != 2 {
		t.Errorf("got the addresses %v, want two", seen)
	}
}

func TestPeersOnThisMachineAreLocal(t *testing.T) {
	for from, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}: true,
		&net.TCPAddr{IP: net.IPv4(127, 9, 9, 9)}: true,
		&net.TCPAddr{IP: net.IPv6loopback}:       true,
		&net.UnixAddr{Name: ""}:                  true,
		&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}:  false,
		&net.TCPAddr{IP: net.IPv4(8, 8, 8, 8)}:   false,
	} {
		if peerOf(addressed{from: from}).Local != want {
			t.Errorf("%v: got local %v, want %v", from, !want, want)
		}
	}
}
