package client

// The server's statistics.

import "strings"

// Stats holds the figures of a server, by name, and those of its queues.
type Stats struct {
	Server map[string]string
	Queues []QueueStats // in the server's order
}

// QueueStats holds the figures of one queue, by name.
type QueueStats struct {
	Name   string
	Figure map[string]string
}

// Stats asks the server for all its figures, also where it leaves the queues out for monitors.
func (c *Client) Stats() (Stats, error) {
	s := Stats{Server: map[string]string{}}
	err := c.figures("stats", s.add)
	if _, full := s.Server["uncounted_queues"]; err == nil && full && len(s.Queues) == 0 {
		s.Queues, err = c.queueByQueue() // with stats-format = "server"
	}
	return s, err
}

// queueByQueue asks for the names of the queues, and then for the figures of each.
func (c *Client) queueByQueue() (all []QueueStats, err error) {
	var names []string
	err = c.figures("stats queue", func(name, _ string) { names = append(names, name) })
	for _, name := range names {
		if err != nil {
			break
		}
		var q QueueStats
		if q, err = c.QueueStats(name); len(q.Figure) > 0 { // else it was deleted meanwhile
			all = append(all, q)
		}
	}
	return all, err
}

// QueueStats asks the server for the figures of one queue. There are none if there is no such
// queue.
func (c *Client) QueueStats(queue string) (QueueStats, error) {
	q := QueueStats{Name: queue, Figure: map[string]string{}}
	if err := CheckName(queue); err != nil {
		return q, err
	}
	prefix := "queue_" + queue + "_"
	err := c.figures("stats queue "+queue, func(name, value string) {
		if figure, ok := strings.CutPrefix(name, prefix); ok {
			q.Figure[figure] = value
		}
	})
	return q, err
}

// figures sends a request that is answered with figures.
func (c *Client) figures(request string, each func(name, value string)) error {
	if err := c.request("%s", request); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil || string(line) == "END" {
			return err
		}
		text, ok := strings.CutPrefix(string(line), "STAT ")
		name, value, _ := strings.Cut(text, " ")
		if !ok || name == "" {
			return unexpected(string(line))
		}
		each(name, strings.TrimSpace(value)) // a line of a name with a colon ends in a blank
	}
}

// firstFigure is the first figure of each queue.
const firstFigure = "_items"

func (s *Stats) add(name, value string) {
	rest, ok := strings.CutPrefix(name, "queue_")
	if !ok || name == "queue_creates" || name == "queue_deletes" || name == "queue_expires" {
		s.Server[name] = value
		return
	}
	if len(s.Queues) > 0 {
		q := s.Queues[len(s.Queues)-1]
		if figure, ok := strings.CutPrefix(rest, q.Name+"_"); ok && q.has(figure) {
			q.Figure[figure] = value
			return
		}
	}
	if queue, ok := strings.CutSuffix(rest, firstFigure); ok {
		s.Queues = append(s.Queues,
			QueueStats{Name: queue, Figure: map[string]string{"items": value}})
	}
}

// has tells whether a figure is the queue's next one, or the first one of a queue whose name begins
// with this queue's: b_items of a is items of a_b, and the second total_items of a is items of
// a_total. The original Darner's queues have no total_items, and no bytes.
func (q *QueueStats) has(figure string) bool {
	if _, seen := q.Figure[figure]; seen {
		return false
	}
	switch figure {
	case "total_items", "expired_items", "mem_items", "delayed_items":
		_, ok := q.Figure["bytes"]
		return ok
	}
	return !strings.HasSuffix(figure, firstFigure)
}
