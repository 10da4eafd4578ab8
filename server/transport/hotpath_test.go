//go:build !race

package transport

import (
	"io"
	"strings"
	"testing"
)

func TestASetAndAGetAllocateNothing(t *testing.T) {
	for _, on := range kinds {
		t.Run(on.name, func(t *testing.T) {
			c := on.listen(t, 10).dial().TCPConn
			body := strings.Repeat("x", 64)
			request := []byte("set q 0 0 64\r\n" + body + "\r\nget q\r\n")
			answer := make([]byte, len("STORED\r\nVALUE q 0 64\r\n"+body+"\r\nEND\r\n"))
			ask := func() {
				if _, err := c.Write(request); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					t.Fatal(err)
				}
			}
			ask() // the connection allocates what it needs for traffic
			if n := testing.AllocsPerRun(2000, ask); n != 0 {
				t.Errorf("got %v allocations, want none", n)
			}
		})
	}
}
