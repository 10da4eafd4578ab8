package memcache

// A key of a request is a queue's name followed by options: work/t=500/open.

import (
	"bytes"
	"math"
)

// maxWait bounds /t=, in milliseconds: some 24 days.
const maxWait = 1 << 31

// maxDelay bounds /delay=, in milliseconds: some 139 years.
const maxDelay = 1 << 42

type options uint16

const (
	optOpen options = 1 << iota
	optAhead
	optClose
	optAbort
	optPeek
	optTimed
	optSync
	optStrict
	optDelay
	optHit // set by the session: the key had an item
)

// The options that a command knows.
const (
	getOptions = optOpen | optAhead | optClose | optAbort | optPeek | optTimed
	setOptions = optSync | optStrict | optDelay
	noOptions  = options(0)
)

// Answers to a bad key.
const (
	unknownOption = "CLIENT_ERROR unknown option\r\n"
	badWait       = "CLIENT_ERROR t is a number of milliseconds\r\n"
	badDelay      = "CLIENT_ERROR delay is a number of milliseconds\r\n"
	abortAlone    = "CLIENT_ERROR abort goes with no other option but t\r\n"
	aheadOpens    = "CLIENT_ERROR ahead goes with open\r\n"
	peekTakesNone = "CLIENT_ERROR peek does not go with open or close\r\n"
)

// parseKey reads a key: its queue, options, and the ms of /t= or /delay=. A problem is the answer
// to give.
func (s *Session) parseKey(word []byte, known options) (
	q Queue, opts options, ms int64, problem string,
) {
	name, rest := word, []byte(nil)
	if slash := bytes.IndexByte(word, '/'); slash >= 0 {
		name, rest = word[:slash], word[slash:]
	}
	q, err := s.env.Registry.Queue(name)
	if err != nil {
		return nil, 0, 0, clientError(err)
	}
	opts, ms, problem = parseOptions(rest, known)
	return q, opts, ms, problem
}

// parseOptions reads what follows a name: each option begins with a slash.
func parseOptions(rest []byte, known options) (opts options, ms int64, problem string) {
	for len(rest) > 0 {
		word := rest[1:]
		if slash := bytes.IndexByte(word, '/'); slash >= 0 {
			word = word[:slash]
		}
		rest = rest[1+len(word):]
		opt, value := parseOption(word)
		if opt == 0 || opt&known == 0 {
			return 0, 0, unknownOption
		}
		switch opt {
		case optTimed:
			n, ok := parseUint(value, math.MaxUint64)
			if !ok {
				return 0, 0, badWait
			}
			ms = int64(min(n, maxWait))
		case optDelay:
			n, ok := parseUint(value, math.MaxUint64)
			if !ok {
				return 0, 0, badDelay
			}
			ms = int64(min(n, maxDelay))
		}
		opts |= opt
	}
	if opts&optAbort != 0 && opts&^optTimed != optAbort {
		return 0, 0, abortAlone
	}
	if opts&(optAhead|optOpen) == optAhead {
		return 0, 0, aheadOpens
	}
	if opts&optPeek != 0 && opts&(optOpen|optClose) != 0 {
		return 0, 0, peekTakesNone
	}
	return opts, ms, ""
}

// parseOption returns 0 for a word that is no option of any command.
func parseOption(word []byte) (opt options, value []byte) {
	name := word
	equals := bytes.IndexByte(word, '=')
	if equals >= 0 {
		name, value = word[:equals], word[equals+1:]
	}
	switch {
	case equals >= 0 && isWord(name, "t"):
		opt = optTimed
	case equals >= 0 && isWord(name, "delay"):
		opt = optDelay
	case equals >= 0:
	case isWord(name, "open"):
		opt = optOpen
	case isWord(name, "ahead"):
		opt = optAhead
	case isWord(name, "close"):
		opt = optClose
	case isWord(name, "abort"):
		opt = optAbort
	case isWord(name, "peek"):
		opt = optPeek
	case isWord(name, "sync"):
		opt = optSync
	case isWord(name, "strict"):
		opt = optStrict
	}
	return opt, value
}
