package memcache

// The table of commands, and the reading of one request's line.

import "fmt"

// command is one word of the protocol. It has four fields, which pass in registers.
type command struct {
	name   string
	run    func(s *Session, args []byte) // answers, or sets the step that will
	access Access                        // by default, of an administrator's command
	traits traits
}

// traits are what is special about a command.
type traits uint8

const (
	noreplyAlone traits = 1 << iota // takes noreply, also as the only word after the command
	noreplyAfter                    // takes noreply after a name, whatever that is
	discards                        // discards items, which a server that is not up refuses

	noreply = noreplyAlone | noreplyAfter // always the last word
)

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
		return command{name: "set", run: (*Session).setCommand, traits: noreplyAlone}
	case "add":
		return storage("add")
	case "replace":
		return storage("replace")
	case "append":
		return storage("append")
	case "prepend":
		return storage("prepend")
	case "cas":
		return storage("cas")
	case "ms":
		return command{name: "ms", run: (*Session).metaSet}
	case "incr":
		return unsupported("incr")
	case "decr":
		return unsupported("decr")
	case "touch":
		return unsupported("touch")
	case "gat":
		return unsupported("gat")
	case "gats":
		return unsupported("gats")
	case "monitor":
		return command{name: "monitor", run: (*Session).monitorCommand}
	case "confirm":
		return command{name: "confirm", run: (*Session).confirmCommand}
	case "delete":
		return command{name: "delete", run: (*Session).deleteCommand, access: AccessAll,
			traits: noreplyAfter | discards}
	case "flush":
		return command{name: "flush", run: (*Session).flushCommand, access: AccessAll,
			traits: discards}
	case "flush_all":
		return command{name: "flush_all", run: (*Session).flushAllCommand, access: AccessAll,
			traits: noreplyAlone | discards}
	case "flush_expired":
		return command{name: "flush_expired", run: (*Session).flushExpiredCommand, traits: discards}
	case "flush_all_expired":
		return command{name: "flush_all_expired", run: (*Session).flushAllExpiredCommand,
			traits: discards}
	case "status":
		return command{name: "status", run: (*Session).statusCommand}
	case "reload":
		return command{name: "reload", run: (*Session).reloadCommand, access: AccessLocal}
	case "shutdown":
		return command{name: "shutdown", run: (*Session).shutdownCommand, access: AccessLocal}
	case "dump_stats":
		return command{name: "dump_stats", run: (*Session).dumpStatsCommand}
	case "dump_config":
		return command{name: "dump_config", run: (*Session).dumpConfigCommand}
	case "stats":
		return command{name: "stats", run: (*Session).statsCommand}
	case "info":
		return command{name: "info", run: (*Session).infoCommand}
	case "lru_crawler":
		return command{name: "lru_crawler", run: (*Session).crawlerCommand}
	case "version":
		return command{name: "version", run: (*Session).versionCommand}
	case "verbosity":
		return command{name: "verbosity", run: (*Session).verbosityCommand, traits: noreplyAlone}
	case "cache_memlimit", "lru", "slabs", "extstore", "watch", "refresh_certs":
		return command{run: (*Session).unknownCommand, traits: noreplyAlone}
	case "quit":
		return command{name: "quit", run: (*Session).quitCommand}
	}
	return command{}
}

// storage is a command of memcached's that has a body and makes no sense for a queue.
func storage(name string) command {
	return command{name: name, run: (*Session).unsupportedSet, traits: noreplyAlone}
}

// unsupported is one without a body.
func unsupported(name string) command {
	return command{name: name, run: (*Session).unsupportedCommand, traits: noreplyAfter}
}

// request is the step that reads a line and begins its command.
func (s *Session) request() {
	s.noreply = false
	first := !s.started
	if first && len(s.in) > 0 {
		if f := firstByte(s.in[0]); f != native {
			s.hangUp(f)
			return
		}
	}
	line, ok := s.nextLine()
	if !ok {
		return
	}
	s.started = true
	if isHTTP(line, first) {
		s.hangUp(http)
		return
	}
	name, args := nextWord(line)
	c := lookup(name)
	if c.traits&noreply != 0 {
		args, s.noreply = cutNoreply(args, c.traits&noreplyAfter != 0)
	}
	if c.run == nil {
		s.unknownCommand(args)
		return
	}
	s.command = c.name
	if !s.permitted(c) {
		return
	}
	if c.traits&discards != 0 {
		if err := s.refuses(true); err != nil {
			s.answer(serverError(err))
			return
		}
	}
	c.run(s, args)
}

func (s *Session) unknownCommand([]byte) { s.answer("ERROR\r\n") }

// unsupportedCommand exists so that clients of memcached get one answer, or with noreply none.
func (s *Session) unsupportedCommand([]byte) { s.answer(s.notForQueues()) }

func (s *Session) notForQueues() string {
	return "SERVER_ERROR " + s.command + " is not supported by a queue\r\n"
}

// permitted answers if this connection may not use the command.
func (s *Session) permitted(c command) bool {
	access := c.access
	if admin := s.env.live().Admin; access != AccessDefault && admin != AccessDefault {
		access = admin
	}
	switch {
	case access == AccessOff:
		s.answer(fmt.Sprintf("CLIENT_ERROR %s is switched off\r\n", c.name))
		return false
	case access == AccessLocal && !s.peer.Local:
		s.answer(fmt.Sprintf("CLIENT_ERROR %s is for local clients\r\n", c.name))
		return false
	}
	return true
}

// cutNoreply cuts noreply off a line's words if it is the last one, and reports whether it was.
// After a name, it is not the first.
func cutNoreply(args []byte, afterName bool) (rest []byte, found bool) {
	rest, last := lastWord(args)
	if !isWord(last, "noreply") {
		return args, false
	}
	if first, _ := nextWord(rest); afterName && len(first) == 0 {
		return args, false
	}
	return rest, true
}
