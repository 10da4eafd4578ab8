package memcache

// The table of commands, and the reading of one request.

import "fmt"

// command is one word of the protocol.
type command struct {
	name   string
	run    func(s *Session, args []byte) // answers, or sets the step that will
	access Access                        // by default, of an administrator's command
}

// lookup finds a command by its name in any case; run is nil for an unknown one.
func lookup(name []byte) command {
	var buf [24]byte
	if len(name) > len(buf) {
		return command{}
	}
	for i, c := range name {
		buf[i] = lower(c)
	}
	switch string(buf[:len(name)]) {
	case "get":
		return command{name: "get", run: (*Session).getCommand}
	case "gets":
		return command{name: "gets", run: (*Session).getsCommand}
	case "set":
		return command{name: "set", run: (*Session).setCommand}
	case "add":
		return command{name: "add", run: (*Session).unsupportedSet}
	case "replace":
		return command{name: "replace", run: (*Session).unsupportedSet}
	case "append":
		return command{name: "append", run: (*Session).unsupportedSet}
	case "prepend":
		return command{name: "prepend", run: (*Session).unsupportedSet}
	case "cas":
		return command{name: "cas", run: (*Session).unsupportedSet}
	case "delete":
		return command{name: "delete", run: (*Session).deleteCommand, access: AccessAll}
	case "flush":
		return command{name: "flush", run: (*Session).flushCommand}
	case "flush_all":
		return command{name: "flush_all", run: (*Session).flushAllCommand, access: AccessAll}
	case "stats":
		return command{name: "stats", run: (*Session).statsCommand}
	case "version":
		return command{name: "version", run: (*Session).versionCommand}
	case "verbosity":
		return command{name: "verbosity", run: (*Session).verbosityCommand}
	case "quit":
		return command{name: "quit", run: (*Session).quitCommand}
	}
	return command{}
}

// binaryRequest is the first byte of memcached's binary protocol.
const binaryRequest = 0x80

// request is the step that reads a line and begins its command.
func (s *Session) request() {
	if !s.started && len(s.in) > 0 && s.in[0] == binaryRequest {
		s.refuseBinary()
		return
	}
	line, ok := s.nextLine()
	if !ok {
		return
	}
	s.started = true
	name, args := nextWord(line)
	c := lookup(name)
	if c.run == nil {
		s.reply("ERROR\r\n")
		return
	}
	s.command = c.name
	if !s.permitted(c) {
		return
	}
	c.run(s, args)
}

// refuseBinary logs it once: such a client tries again and again.
func (s *Session) refuseBinary() {
	if !s.env.binarySeen.Swap(true) {
		s.env.Logger.Warn("a client speaks memcached's binary protocol, which is not served; "+
			"set it to text (logged once)", "peer", s.peer.Addr)
	}
	s.state = Closing
}

// permitted answers if this connection may not use the command.
func (s *Session) permitted(c command) bool {
	access := c.access
	if access != AccessDefault && s.env.Admin != AccessDefault {
		access = s.env.Admin
	}
	switch {
	case access == AccessOff:
		s.reply(fmt.Sprintf("CLIENT_ERROR %s is switched off\r\n", c.name))
		return false
	case access == AccessLocal && !s.peer.Local:
		s.reply(fmt.Sprintf("CLIENT_ERROR %s is for local clients\r\n", c.name))
		return false
	}
	return true
}

// cutNoreply reports whether the last of n words is noreply, and returns the number of words
// without it. The first least words never count as noreply.
func cutNoreply(w *[maxWords][]byte, n, least int) (words int, noreply bool) {
	if n > least && isWord(w[n-1], "noreply") {
		return n - 1, true
	}
	return n, false
}
