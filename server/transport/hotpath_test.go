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
			ask() // what a connection needs for traffic, it has from now on
			if n := testing.AllocsPerRun(2000, ask); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
