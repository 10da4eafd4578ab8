package client

// What an administrator asks of a server.

// Status asks for the server's status, in capitals.
func (c *Client) Status() (string, error) { return c.ask("status") }

// SetStatus sets it: up, readonly or quiescent.
func (c *Client) SetStatus(to string) error {
	if err := c.request("status %s", to); err != nil {
		return err
	}
	return c.expect("END")
}

// Reload has the server take over its configuration anew.
func (c *Client) Reload() error {
	if err := c.request("reload"); err != nil {
		return err
	}
	return c.expect("Reloaded config.")
}
