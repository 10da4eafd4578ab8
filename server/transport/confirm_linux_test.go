package transport

import "testing"

// A client that has its answer may kill the server at once: its item must not come again.
func TestWhenAPlainGetsAnswerArrivesItsItemIsNotedToBeGone(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		q, err := h.registry.Queue([]byte("q"))
		if err != nil {
			t.Fatal(err)
		}
		c := h.dial()
		for i := range 500 {
			c.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
			c.say("get q\r\n", "VALUE q 0 1\r\na\r\nEND\r\n")
			if n := q.Stats().Open; n != 0 {
				t.Fatalf("got %d open items after the answer to get %d, want none", n, i)
			}
		}
	})
}
