package memcache

// SET, and the storage commands that a queue does not support: the line, and bodies that fit in the
// input buffer.

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/darner/darner/server/queue"
)

// maxBody is the longest body that is swallowed. A line that announces a longer one is malformed.
const maxBody = 1 << 40

const (
	badSetLine   = "CLIENT_ERROR set wants a queue, flags, exptime and bytes\r\n"
	badFlags     = "CLIENT_ERROR flags is a number of 32 bits\r\n"
	badExptime   = "CLIENT_ERROR exptime is a number of seconds\r\n"
	badLength    = "CLIENT_ERROR bytes is a number of bytes\r\n"
	itemStored   = "STORED\r\n"
	itemTooLarge = "SERVER_ERROR object too large for queue\r\n"
)

// setState is the current storage command.
type setState struct {
	q        Queue
	meta     queue.Meta
	more     queue.More // of meta, if the item is delayed: here, so that nothing is allocated
	left     int64      // bytes of the body that have yet to come
	last     byte       // of what came, once it left the input
	refusal  string     // of a body that is swallowed: the answer
	sync     bool
	strict   bool  // a refusal ends the connection
	attempts int   // to relieve a refusal
	err      error // of the last job

	upload queue.Upload       // of an item that comes in pieces
	inline queue.InlineUpload // the same, if it goes into the log; nil if jobs write it
	size   int64
	filled int // bytes in the session's chunk
}

// setCommand reads "<queue>[/options] <flags> <exptime> <bytes> [noreply]", or Darner's short
// "<queue> <bytes>". If the line is malformed but its length can be read, the body that follows is
// swallowed, as memcached does.
func (s *Session) setCommand(args []byte) {
	var w [maxWords][]byte
	n, ok := s.beginBody(args, &w)
	if !ok {
		return
	}
	set := &s.set
	problem := ""
	switch {
	case n == 2:
	case n != 4:
		problem = badSetLine
	default:
		problem = s.parseMeta(w[1], w[2])
	}
	if problem == "" {
		problem = s.setKey(w[0])
	}
	switch {
	case problem != "":
		set.strict = isStrict(w[0])
		s.refuseBody(problem)
	case s.refusesSet():
	case set.left > s.maxItemSize():
		s.refused(tooLarge{set.left, s.maxItemSize()})
		s.refuseBody(itemTooLarge)
	case set.left > int64(s.env.InlineMax):
		s.startUpload()
	case set.left > wholeMax:
		s.next = (*Session).storePieces
	default:
		s.next = (*Session).storeInline
	}
}

// maxItemSize is how large the item of a set may be.
func (s *Session) maxItemSize() int64 {
	most := s.env.live().MaxItemSize
	if own := s.set.q.MaxItemSize(); own > 0 {
		most = min(own, most)
	}
	return most
}

// refusesSet swallows the body if the server takes no items.
func (s *Session) refusesSet() bool {
	err := s.refuses(true)
	if err == nil {
		return false
	}
	s.refused(err)
	s.refuseBody(serverError(err))
	return true
}

// unsupportedSet swallows the body of a command that a queue does not support.
func (s *Session) unsupportedSet(args []byte) {
	var w [maxWords][]byte
	if _, ok := s.beginBody(args, &w); ok {
		s.refuseBody(s.notForQueues())
	}
}

// metaSet swallows the body of memcached's "ms <key> <bytes> [flags]", which is not served.
func (s *Session) metaSet(args []byte) {
	var w [maxWords][]byte
	splitWords(args, &w)
	if s.awaitBody(w[1]) {
		s.refuseBody("ERROR\r\n")
	}
}

// beginBody splits a storage command's line and reads the length of its body. It returns the number
// of words.
func (s *Session) beginBody(args []byte, w *[maxWords][]byte) (n int, ok bool) {
	switch n = splitWords(args, w); {
	case n == 2:
		return n, s.awaitBody(w[1])
	case n >= 4:
		return n, s.awaitBody(w[3])
	}
	s.fail(badSetLine)
	return n, false
}

// awaitBody reads the length of the body to come. If it cannot, it answers and closes: what follows
// cannot be told from data, and a client's data must not be run as commands.
func (s *Session) awaitBody(length []byte) (ok bool) {
	s.set = setState{}
	n, ok := parseUint(length, maxBody)
	if !ok {
		s.fail(badLength)
	}
	s.set.left = int64(n)
	return ok
}

// parseMeta reads flags and exptime.
func (s *Session) parseMeta(flags, exptime []byte) (problem string) {
	f, ok := parseUint(flags, math.MaxUint32)
	if !ok {
		return badFlags
	}
	seconds, ok := parseInt(exptime)
	if !ok {
		return badExptime
	}
	meta := queue.Meta{Flags: uint32(f)}
	at, fixed := expiry(seconds, s.env.Now(), s.env.live().Dialect.RelativeExptimeMax)
	if meta.Expires = at; fixed {
		meta.More = queue.FixedExpiry
	}
	s.set.meta = meta
	return ""
}

// expiry is when an item expires, in Unix ms: up to relativeMax seconds count from now, more is a
// Unix time, which is fixed, and a negative number has expired already.
func expiry(seconds, now, relativeMax int64) (at int64, fixed bool) {
	switch {
	case seconds == 0:
		return 0, false
	case seconds < 0:
		return 1, true
	case seconds <= relativeMax:
		return now + seconds*1000, false
	}
	return min(seconds, math.MaxInt64/1000) * 1000, true
}

// setKey finds the queue of a set.
func (s *Session) setKey(key []byte) (problem string) {
	q, opts, delay, problem := s.parseKey(key, setOptions)
	if problem != "" {
		return problem
	}
	s.set.q = q
	s.set.sync = opts&optSync != 0 || s.env.SyncAlways
	s.set.strict = opts&optStrict != 0
	s.set.meta.Enqueued = s.env.Now()
	if opts&optDelay != 0 { // also one of 0 ms, which is none whatever the queue's own
		s.set.more = queue.More{
			Fixed: s.set.meta.Fixed(), Due: s.set.meta.Enqueued + delay,
		}
		s.set.meta.More = &s.set.more
	}
	return ""
}

// isStrict reports whether a set's key asks for /strict, whatever else is wrong with the line.
func isStrict(key []byte) bool {
	for {
		slash := bytes.IndexByte(key, '/')
		if slash < 0 {
			return false
		}
		key = key[slash+1:]
		word, _, _ := bytes.Cut(key, []byte("/"))
		if opt, _ := parseOption(word); opt == optStrict {
			return true
		}
	}
}

// storeInline waits for a body that fits in the input buffer, and puts it in its queue. Before that
// a job may have to create or load the queue, or the disk to catch up: the body stays in the input
// until then.
func (s *Session) storeInline() {
	set := &s.set
	size := int(set.left)
	end, ok := s.bodyEnd(size)
	if !ok {
		return
	}
	err := set.err
	if err == nil {
		err = set.q.TryPut(s.in[:size], set.meta)
	}
	if errors.Is(err, queue.ErrTooLarge) { // the queue's segments are small
		s.startUpload()
		return
	}
	if s.tryAgain(err, (*Session).storeInline) {
		return
	}
	s.in = s.in[size+end:]
	s.stored(err)
}

// tryAgain has the step next try again what a queue refused, after what helps. It is false if
// nothing does, or nothing was refused.
func (s *Session) tryAgain(err error, next func(*Session)) bool {
	set := &s.set
	switch {
	case err == nil:
		return false
	case err == queue.ErrNotLoaded:
		s.work(func() { set.err = set.q.Create() }, next)
	case errors.Is(err, queue.ErrBacklog):
		s.await(set.q.CatchUpThen, next)
	case set.err == nil && set.attempts < maxAttempts:
		set.attempts++
		s.work(func() { set.err = set.q.Relieve(err) }, next)
	default:
		return false
	}
	return true
}

// maxAttempts is how often a refusal is relieved for one item: other sets may be quicker.
const maxAttempts = 8

// stored answers for an item that was put, at once or when it is on stable storage.
func (s *Session) stored(err error) {
	switch {
	case err != nil:
		s.refused(err)
		s.finishBody(notStored(err))
	case s.set.sync:
		s.startSync()
	default:
		s.env.Counters.CmdSet.Add(1)
		s.finishBody(itemStored)
	}
}

// refused counts an item that is not stored.
func (s *Session) refused(err error) {
	s.env.Counters.Refused[queue.RefusalOf(err)].Add(1)
	s.set.q.Refused(err)
}

// tooLarge is the reason of itemTooLarge.
type tooLarge struct{ size, most int64 } // bytes

func (e tooLarge) Error() string {
	return fmt.Sprintf("an item of %d bytes is over max-item-size, which is %d", e.size, e.most)
}

func (tooLarge) Is(target error) bool { return target == queue.ErrTooLarge }

// refuseBody swallows the body, however long, and then answers.
func (s *Session) refuseBody(answer string) {
	s.set.refusal = answer
	s.next = (*Session).swallow
}

func (s *Session) swallow() {
	set := &s.set
	s.skipBody(min(set.left, int64(len(s.in))))
	if set.left > 0 {
		s.need = 1
		return
	}
	end, ok := s.bodyEnd(0)
	if !ok {
		return
	}
	s.in = s.in[end:]
	s.finishBody(set.refusal)
}

// skipBody takes n bytes of the body off the input.
func (s *Session) skipBody(n int64) {
	if n > 0 {
		s.set.last = s.in[n-1]
		s.in = s.in[n:]
		s.set.left -= n
	}
}

// finishBody ends a storage command. A strict one that was refused ends the connection, so that
// nothing sent behind it is stored.
func (s *Session) finishBody(answer string) {
	s.answer(answer)
	if s.set.strict && answer != itemStored {
		s.state = Closing
	}
	s.set = setState{}
	s.next = (*Session).request
}

// notStored is the answer for an item that a queue refused.
func notStored(err error) string {
	if errors.Is(err, queue.ErrLimit) {
		return "NOT_STORED\r\n"
	}
	return serverError(err)
}

// serverError is the answer for an error that is not the client's.
func serverError(err error) string { return "SERVER_ERROR " + oneLine(err) + "\r\n" }

func clientError(err error) string { return "CLIENT_ERROR " + oneLine(err) + "\r\n" }

// oneLine makes sure that an error's text is one line, and so one answer.
func oneLine(err error) string {
	const most = 400
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())
	return text[:min(len(text), most)]
}
