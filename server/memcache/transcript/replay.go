package transcript

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/darner/darner/wal/clock"
)

const (
	untilTimeout = 20 * time.Second
	untilPause   = time.Millisecond // between two looks at the stats
)

// Dial opens a connection to the server under test. A net.Conn does; its reads should have a
// deadline, so that an answer that does not come fails the case.
type Dial func() (io.ReadWriteCloser, error)

// Replay holds the conversation, and returns an error where it first differs.
func (c *Case) Replay(dial Dial) error {
	p := player{dial: dial, conns: map[string]*peer{}}
	defer p.close()
	for _, s := range c.Step {
		if err := p.step(s); err != nil {
			return fmt.Errorf("%s:%d: %w", c.File, s.Line, err)
		}
	}
	if err := p.quiet(); err != nil {
		return fmt.Errorf("%s:%d: at the end: %w", c.File, c.Line, err)
	}
	return nil
}

type player struct {
	dial  Dial
	conns map[string]*peer
	order []string
}

// peer is one connection, and what the server said on it that was not compared yet.
type peer struct {
	io.ReadWriteCloser
	said   []byte
	closed bool
}

func (p *player) conn(name string) (*peer, error) {
	if c, ok := p.conns[name]; ok {
		return c, nil
	}
	rw, err := p.dial()
	if err != nil {
		return nil, err
	}
	c := &peer{ReadWriteCloser: rw}
	p.conns[name] = c
	p.order = append(p.order, name)
	return c, nil
}

func (p *player) close() {
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *player) step(s Step) error {
	if s.Do == Until {
		return p.until(s.Text, s.Want)
	}
	c, err := p.conn(s.Conn)
	if err != nil {
		return err
	}
	text := s.Text
	if !s.Bare {
		text += "\r\n"
	}
	switch s.Do {
	case Send:
		_, err = io.WriteString(c, text)
		return err
	case Expect:
		return c.expect(text)
	case ExpectClosed:
		return c.expectClosed()
	case Hangup:
		delete(p.conns, s.Conn)
		return c.Close()
	}
	return fmt.Errorf("unknown action %d", s.Do)
}

// until asks for the stats, on a connection of its own, until one has its value.
func (p *player) until(name, want string) error {
	rw, err := p.dial()
	if err != nil {
		return err
	}
	c := &peer{ReadWriteCloser: rw}
	defer c.Close()
	var last string
	for end := clock.Steady(clock.System) + untilTimeout; clock.Steady(clock.System) < end; {
		if _, err := io.WriteString(c, "stats\r\n"); err != nil {
			return err
		}
		last = "nothing"
		for {
			line, err := c.line()
			if err != nil {
				return err
			}
			if line == "END\r\n" {
				break
			}
			if value, ok := strings.CutPrefix(line, "STAT "+name+" "); ok {
				last = strings.TrimSuffix(value, "\r\n")
			}
		}
		if last == want {
			return nil
		}
		clock.Wait(clock.System, untilPause, nil)
	}
	return fmt.Errorf("got %s %s, want %s", name, last, want)
}

// quiet checks that the server has said no more than was expected, on any connection.
func (p *player) quiet() error {
	for _, name := range p.order {
		c, ok := p.conns[name]
		if !ok || c.closed {
			continue
		}
		if _, err := io.WriteString(c, "version\r\n"); err != nil {
			return err
		}
		if err := c.expect("VERSION <any>\r\n"); err != nil {
			return fmt.Errorf("connection %q: %w", name, err)
		}
	}
	return nil
}

// more reads until n bytes are there.
func (c *peer) more(n int) error {
	for len(c.said) < n {
		buf := make([]byte, 64<<10)
		got, err := c.Read(buf)
		c.said = append(c.said, buf[:got]...)
		if err != nil && len(c.said) < n {
			return err
		}
	}
	return nil
}

// line takes the next line, its end included.
func (c *peer) line() (string, error) {
	for {
		if i := bytes.IndexByte(c.said, '\n'); i >= 0 {
			line := string(c.said[:i+1])
			c.said = c.said[i+1:]
			return line, nil
		}
		if err := c.more(len(c.said) + 1); err != nil {
			return "", fmt.Errorf("after %s: %w", show(c.said), err)
		}
	}
}

func (c *peer) expect(want string) error {
	if strings.Contains(want, "<any>") || strings.Contains(want, "<number>") {
		got, err := c.line()
		if err != nil {
			return fmt.Errorf("got %w, want %s", err, show([]byte(want)))
		}
		if !match(want, got) {
			return fmt.Errorf("got %s, want %s", show([]byte(got)), show([]byte(want)))
		}
		return nil
	}
	for n := 1; n <= len(want); n++ {
		if err := c.more(n); err != nil {
			return fmt.Errorf("got %s and %w, want %s", show(c.said), err, show([]byte(want)))
		}
		if c.said[n-1] != want[n-1] {
			return fmt.Errorf("got %s, want %s", show(c.said), show([]byte(want)))
		}
	}
	c.said = c.said[len(want):]
	return nil
}

// expectClosed takes any error of a read that returned nothing for the end, but a timeout.
func (c *peer) expectClosed() error {
	err := c.more(1)
	if err == nil {
		return fmt.Errorf("got %s, want the end of the connection", show(c.said))
	}
	if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
		return fmt.Errorf("want the end of the connection: %w", err)
	}
	c.closed = true
	return nil
}

// match compares a line with a pattern of literal text, <any> and <number>.
func match(pattern, line string) bool {
	at := strings.IndexByte(pattern, '<')
	if at < 0 {
		return pattern == line
	}
	if len(line) < at || pattern[:at] != line[:at] {
		return false
	}
	rest, line := pattern[at:], line[at:]
	var ok func(byte) bool
	switch {
	case strings.HasPrefix(rest, "<any>"):
		rest, ok = rest[len("<any>"):], func(byte) bool { return true }
	case strings.HasPrefix(rest, "<number>"):
		rest, ok = rest[len("<number>"):], func(b byte) bool { return b >= '0' && b <= '9' }
	default:
		return line != "" && line[0] == '<' && match(rest[1:], line[1:])
	}
	for n := 1; n <= len(line) && ok(line[n-1]); n++ {
		if match(rest, line[n:]) {
			return true
		}
	}
	return false
}

// show quotes what was said, shortened.
func show(b []byte) string {
	const most = 200
	if len(b) > most {
		return fmt.Sprintf("%q and %d bytes more", b[:most], len(b)-most)
	}
	return fmt.Sprintf("%q", b)
}
