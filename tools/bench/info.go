package bench

// Requests before and after a load, in each protocol: what the server is, what the queue holds, and
// the deletion of the queue.

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// control is a connection for requests outside a load.
type control struct {
	net.Conn
	r *bufio.Reader
}

func (t *target) control(ctx context.Context) (*control, error) {
	d := net.Dialer{Timeout: answerTimeout}
	conn, err := d.DialContext(ctx, network(t.address), t.address)
	if err != nil {
		return nil, fmt.Errorf("no server at %s: %w", t.address, err)
	}
	conn.SetDeadline(time.Now().Add(2 * answerTimeout))
	return &control{conn, bufio.NewReader(conn)}, nil
}

// ask sends a request and reads one line of the answer.
func (c *control) ask(format string, args ...any) (string, error) {
	fmt.Fprintf(c, format+"\r\n", args...)
	return c.line()
}

func (c *control) line() (string, error) {
	line, err := c.r.ReadString('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(line, "\r\n"), err
}

// facts asks for lines of a name and a value. Redis and beanstalkd send prefix and the length of
// all lines first. The result is empty for a tube that beanstalkd does not know.
func (c *control) facts(prefix, request string) (map[string]string, error) {
	line, err := c.ask("%s", request)
	if err != nil || line == "NOT_FOUND" {
		return nil, err
	}
	m, n := itemLength([]byte(line), prefix)
	if m != item || n > 1<<20 {
		return nil, unexpected(request, line)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, text); err != nil {
		return nil, err
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		facts[name] = strings.Trim(value, ` "`)
	}
	return facts, nil
}

func unexpected(asked, got string) error { return fmt.Errorf("asked %q, got %.80q", asked, got) }

func (memcache) info(c *control, queue string) (info, error) {
	stats := map[string]string{}
	line, err := c.ask("stats")
	for ; err == nil && line != "END"; line, err = c.line() {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "STAT "), " ")
		if !strings.HasPrefix(line, "STAT ") {
			return info{}, unexpected("stats", line)
		}
		stats[name] = strings.TrimSpace(value)
	}
	if err != nil {
		return info{}, err
	}
	a := info{product: "server", version: stats["version"], pid: number(stats["pid"])}
	switch {
	case stats["disk_limit"] != "": // before memcached, whose figures it has as well
		a.product = "darner"
	case stats["evictions"] != "":
		a.product, a.cache = "memcached", true
		line, err = c.ask("get %s", queue)
		if line != "END" {
			a.items = 1
		}
	}
	a.items += int64(number(stats["queue_"+queue+"_items"]) +
		number(stats["queue_"+queue+"_open_transactions"]))
	return a, err
}

func (memcache) remove(c *control, queue string) error {
	line, err := c.ask("delete %s", queue)
	if err == nil && line != "DELETED" && line != "NOT_FOUND" {
		err = unexpected("delete", line)
	}
	return err
}

func (redis) info(c *control, queue string) (info, error) {
	facts, err := c.facts("$", "INFO server")
	if err != nil {
		return info{}, err
	}
	line, err := c.ask("LLEN %s", queue)
	if err == nil && !strings.HasPrefix(line, ":") {
		err = unexpected("LLEN "+queue, line)
	}
	a := info{product: "redis", version: facts["redis_version"], pid: number(facts["process_id"])}
	a.items = int64(number(strings.TrimPrefix(line, ":")))
	return a, err
}

func (redis) remove(c *control, queue string) error {
	line, err := c.ask("DEL %s", queue)
	if err == nil && !strings.HasPrefix(line, ":") {
		err = unexpected("DEL", line)
	}
	return err
}

func (beanstalkd) info(c *control, queue string) (info, error) {
	facts, err := c.facts("OK ", "stats")
	if err != nil {
		return info{}, err
	}
	a := info{product: "beanstalkd", version: facts["version"], pid: number(facts["pid"])}
	facts, err = c.facts("OK ", "stats-tube "+queue)
	for _, state := range []string{"ready", "reserved", "delayed", "buried"} {
		a.items += int64(number(facts["current-jobs-"+state]))
	}
	return a, err
}

func (beanstalkd) remove(*control, string) error { return nil }

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
