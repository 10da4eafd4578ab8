package client

// Reading one item at a time, for those who decide about each. A Reader is faster.

// Open opens the next item of a queue for this connection; nil if there is none. Its body has to be
// read, or skipped, before anything else is asked for.
func (c *Client) Open(queue string) (*Item, error) { return c.fetch("gets", queue, "open") }

// OpenAhead opens an item beside others that are open.
func (c *Client) OpenAhead(queue string) (*Item, error) {
	return c.fetch("gets", queue, "open/ahead")
}

// Confirm confirms the oldest item of a queue that this connection has open. It is false if none is
// any more, because it was open for longer than the queue allows, and went back.
func (c *Client) Confirm(queue string) (bool, error) {
	line, err := c.ask("confirm %s 1", queue)
	switch {
	case err == ServerError("ERROR"):
		return false, nil
	case err == nil && line != "END":
		err = unexpected(line)
	}
	return err == nil, err
}

// Abort puts the oldest item of a queue that this connection has open back into its place. It is no
// error if there is none.
func (c *Client) Abort(queue string) error {
	if err := c.request("get %s/abort", queue); err != nil {
		return err
	}
	return c.expect("END")
}

// fetch asks for the next item of a queue, and returns nil if there is none. Its body is still to
// be read.
func (c *Client) fetch(verb, queue, options string) (*Item, error) {
	if err := CheckName(queue); err != nil {
		return nil, err
	}
	line, err := c.ask("%s %s/%s", verb, queue, options)
	if err != nil || line == "END" {
		return nil, err
	}
	it := &Item{from: c}
	if !it.parse([]byte(line)) {
		return nil, unexpected(line)
	}
	return it, nil
}
