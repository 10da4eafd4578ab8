package client

import "strings"

// Settings asks for the settings in force for a queue, by their names in the configuration file.
// There are none if there is no such queue, or if the server does not tell.
func (c *Client) Settings(queue string) (map[string]string, error) {
	if err := c.request("dump_config"); err != nil {
		return nil, err
	}
	settings := map[string]string{}
	ours := false
	for {
		line, err := c.line()
		if _, refused := err.(ServerError); refused {
			return nil, nil
		}
		if err != nil || string(line) == "END" {
			return settings, err
		}
		name, value, isSetting := strings.Cut(strings.TrimPrefix(string(line), "  "), "=")
		switch {
		case strings.HasPrefix(string(line), "queue '"):
			ours = string(line) == "queue '"+queue+"' {"
		case ours && isSetting:
			settings[name] = value
		}
	}
}
