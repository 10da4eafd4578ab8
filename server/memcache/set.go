package memcache

// SET, and the storage commands a queue has no use for: the line, and bodies that fit in the input.

import (
	"errors"
	"math"
	"strings"

	"github.com/darner/darner/server/queue"
)

// maxBody is the longest body that is swallowed; a line that announces more is not believed.
const maxBody = 1 << 40

const (
	badSetLine   = "CLIENT_ERROR set wants a queue, flags, exptime and bytes\r\n"
	badFlags     = "CLIENT_ERROR flags is a number of 32 bits\r\n"
	badExptime   = "CLIENT_ERROR exptime is a number of seconds\r\n"
	badLength    = "CLIENT_ERROR bytes is a number of bytes\r\n"
	itemTooLarge = "SERVER_ERROR object too large for queue\r\n"
)

// body is the storage command in hand.
type body struct {
	q        Queue
	meta     queue.Meta
	left     int64  // bytes of the body that are still to come
	refusal  string // for a body that is swallowed: the answer after it
	noreply  bool
	sync     bool
	relieved int   // how often a refusal was seen to
	err      error // of the last job

	upload queue.Upload // of a large item
	size   int64
	filled int // bytes in the session's chunk
}

// setCommand reads "<queue>[/options] <flags> <exptime> <bytes> [noreply]", or Darner's short
// "<queue> <bytes>". When the line is malformed but its length can be read, the body that follows is
// swallowed, as memcached does; when it cannot, what follows is taken for the next request.
func (s *Session) setCommand(args []byte) {
	var w [maxWords][]byte
	n, ok := s.beginBody(args, &w)
	if !ok {
		return
	}
	b := &s.body
	problem := ""
	switch {
	case n == 2:
	case n != 4:
		problem = badSetLine
	default:
		problem = b.parseMeta(w[1], w[2], s.env.Now())
	}
	if problem == "" {
		problem = s.setKey(w[0])
	}
	switch {
	case problem != "":
		s.refuseBody(problem)
	case b.left > s.env.MaxItemSize:
		s.refuseBody(itemTooLarge)
	case b.left > int64(s.env.InlineMax):
		s.startUpload()
	default:
		s.next = (*Session).storeInline
	}
}

// unsupportedSet swallows the body of a command that makes no sense for a queue.
func (s *Session) unsupportedSet(args []byte) {
	var w [maxWords][]byte
	if _, ok := s.beginBody(args, &w); ok {
		s.refuseBody("SERVER_ERROR " + s.command + " is not supported by a queue\r\n")
	}
}

// beginBody splits a storage command's line and reads the length of its body; without one it
// answers. It returns the number of words, noreply left off.
func (s *Session) beginBody(args []byte, w *[maxWords][]byte) (n int, ok bool) {
	b := &s.body
	*b = body{}
	n, b.noreply = cutNoreply(w, splitWords(args, w), 0)
	var length uint64
	switch {
	case n == 2:
		length, ok = parseUint(w[1], maxBody)
	case n >= 4:
		length, ok = parseUint(w[3], maxBody)
	default:
		s.finishBody(badSetLine)
		return n, false
	}
	if !ok {
		s.finishBody(badLength)
	}
	b.left = int64(length)
	return n, ok
}

// parseMeta reads flags and exptime.
func (b *body) parseMeta(flags, exptime []byte, now int64) (problem string) {
	f, ok := parseUint(flags, math.MaxUint32)
	if !ok {
		return badFlags
	}
	seconds, ok := parseInt(exptime)
	if !ok {
		return badExptime
	}
	b.meta = queue.Meta{Flags: uint32(f)}
	b.meta.Expires, b.meta.Fixed = expiry(seconds, now)
	return ""
}

// expiry is when an item is no longer wanted, in Unix ms: by memcached's rules, up to 30 days count
// from now, more is Unix time, which is fixed, and less than nothing has passed already.
func expiry(seconds, now int64) (at int64, fixed bool) {
	const month = 30 * 24 * 60 * 60
	switch {
	case seconds == 0:
		return 0, false
	case seconds < 0:
		return 1, true
	case seconds <= month:
		return now + seconds*1000, false
	}
	return min(seconds, math.MaxInt64/1000) * 1000, true
}

// setKey finds the queue of a set.
func (s *Session) setKey(key []byte) (problem string) {
	q, opts, _, problem := s.key(key, setOptions)
	if problem != "" {
		return problem
	}
	s.body.q = q
	s.body.sync = opts&optSync != 0 || s.env.SyncAlways
	s.body.meta.Enqueued = s.env.Now()
	return ""
}

// storeInline waits for a body that fits in the input and puts it in its queue, which a job makes or
// loads before if need be, and for which the disk has to catch up: the body stays in the input meanwhile.
func (s *Session) storeInline() {
	b := &s.body
	size := int(b.left)
	end, ok := s.lineEnd(size)
	if !ok {
		return
	}
	err := b.err
	if err == nil {
		err = b.q.TryPut(s.in[:size], b.meta)
	}
	switch {
	case err == queue.ErrNotLoaded:
		s.work(func() { b.err = b.q.Make() }, (*Session).storeInline)
	case errors.Is(err, queue.ErrBehind):
		s.await(b.q.CatchUpThen, (*Session).storeInline)
	case err != nil && b.err == nil && b.relieved < mostRelief:
		b.relieved++
		s.work(func() { b.err = b.q.Relieve(err) }, (*Session).storeInline)
	default:
		s.in = s.in[size+end:]
		s.stored(err)
	}
}

// mostRelief is how often room is made for one item: other sets may be quicker.
const mostRelief = 8

// stored answers for an item that was put, at once or when it is on stable storage.
func (s *Session) stored(err error) {
	s.env.Counters.CmdSet.Add(1)
	switch {
	case err != nil:
		s.finishBody(notStored(err))
	case s.body.sync:
		s.startSync()
	default:
		s.finishBody("STORED\r\n")
	}
}

// refuseBody swallows the body, however long, and answers then.
func (s *Session) refuseBody(answer string) {
	s.body.refusal = answer
	s.next = (*Session).swallow
}

func (s *Session) swallow() {
	b := &s.body
	n := min(b.left, int64(len(s.in)))
	s.in = s.in[n:]
	if b.left -= n; b.left > 0 {
		s.need = 1
		return
	}
	end, ok := s.lineEnd(0)
	if !ok {
		return
	}
	s.in = s.in[end:]
	s.finishBody(b.refusal)
}

// finishBody answers a storage command, if it wants to know.
func (s *Session) finishBody(answer string) {
	if !s.body.noreply {
		s.reply(answer)
	}
	s.body = body{}
	s.next = (*Session).request
}

// notStored is the answer for an item that a queue did not take.
func notStored(err error) string {
	if errors.Is(err, queue.ErrLimit) {
		return "NOT_STORED\r\n"
	}
	return serverError(err)
}

// serverError is the answer for trouble that is not the client's.
func serverError(err error) string { return "SERVER_ERROR " + oneLine(err) + "\r\n" }

func clientError(err error) string { return "CLIENT_ERROR " + oneLine(err) + "\r\n" }

// oneLine keeps an error's text from being taken for more than one answer.
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
