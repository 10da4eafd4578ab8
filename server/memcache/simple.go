package memcache

// Commands that are answered with one line: DELETE, FLUSH, FLUSH_ALL, FLUSH_EXPIRED,
// FLUSH_ALL_EXPIRED, VERSION, VERBOSITY and QUIT.

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/darner/darner/server/queue"
)

const (
	badDelete       = "CLIENT_ERROR delete wants a queue\r\n"
	badFlush        = "CLIENT_ERROR flush wants a queue\r\n"
	badFlushAll     = "CLIENT_ERROR flush_all takes a delay in seconds and noreply\r\n"
	badFlushExpired = "CLIENT_ERROR flush_expired wants a queue\r\n"
	badAllExpired   = "CLIENT_ERROR flush_all_expired takes nothing\r\n"
	badVerbosity    = "CLIENT_ERROR verbosity wants a level\r\n"
	badVersion      = "CLIENT_ERROR version takes nothing\r\n"
	badQuit         = "CLIENT_ERROR quit takes nothing\r\n"
)

// answerAfter answers when a job that may wait for the disk is done, or with its error.
func (s *Session) answerAfter(job func() error, answer string) {
	var err error
	s.work(func() { err = job() }, func(s *Session) {
		if err != nil {
			answer = serverError(err)
		}
		s.answer(answer)
		s.next = (*Session).request
	})
}

// queueArgument finds the queue that a command names; a problem is the answer to give.
func (s *Session) queueArgument(word []byte) (q Queue, problem string) {
	q, _, _, problem = s.parseKey(word, noOptions)
	return q, problem
}

// deleteCommand reads "<queue> [0] [noreply]": old memcached clients send a time, always 0.
func (s *Session) deleteCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	if n < 1 || n > 2 || n == 2 && string(w[1]) != "0" {
		s.answer(badDelete)
		return
	}
	q, problem := s.queueArgument(w[0])
	if problem != "" {
		s.answer(problem)
		return
	}
	s.answerAfter(func() error { return s.delete(q) }, "DELETED\r\n")
}

func (s *Session) flushCommand(args []byte) {
	var w [maxWords][]byte
	if splitWords(args, &w) != 1 {
		s.answer(badFlush)
		return
	}
	q, problem := s.queueArgument(w[0])
	if problem != "" {
		s.answer(problem)
		return
	}
	s.answerAfter(func() error { return s.flush(q) }, endOfAnswer)
}

// delete is the job of deleteCommand.
func (s *Session) delete(q Queue) error {
	was, items := q.Exists(), lostItems(q)
	if err := q.Delete(); err != nil {
		return err
	}
	if !was {
		s.env.Counters.DeleteMisses.Add(1)
		return nil
	}
	s.env.Counters.DeleteHits.Add(1)
	s.audit("queue is deleted", slog.String("queue", q.Name()), items)
	return nil
}

// flush is the job of flushCommand.
func (s *Session) flush(q Queue) error {
	s.env.Counters.CmdFlush.Add(1)
	was, items := q.Exists(), lostItems(q)
	if err := q.Flush(); err != nil {
		return err
	}
	if was {
		s.audit("queue is flushed", slog.String("queue", q.Name()), items)
	}
	return nil
}

// flushAllCommand answers as the dialect says, or as memcached if there is a delay. That is read
// like an exptime.
func (s *Session) flushAllCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	if n == 0 {
		s.answerAfter(s.flushAll, s.env.live().Dialect.FlushedAll+"\r\n")
		return
	}
	seconds, ok := parseInt(w[0])
	if n > 1 || !ok {
		s.answer(badFlushAll)
		return
	}
	now := s.env.Now()
	at, _ := expiry(seconds, now, s.env.live().Dialect.RelativeExptimeMax)
	if at <= now {
		s.answerAfter(s.flushAll, "OK\r\n")
		return
	}
	const most = 1 << 42 // ms; keeps the duration in range
	delay := time.Duration(min(at-now, most)) * time.Millisecond
	s.answerAfter(func() error { return s.flushAfter(delay) }, "OK\r\n")
}

// flushAfter is the job of flushAllCommand with a delay.
func (s *Session) flushAfter(delay time.Duration) error {
	s.env.Counters.CmdFlush.Add(1)
	s.audit("all queues will be flushed", slog.Duration("in", delay))
	s.env.FlushAfter(delay)
	return nil
}

// flushAll is the job of flushAllCommand. A server that stops does not wait for its end.
func (s *Session) flushAll() error {
	ctx, done := s.untilDrain()
	defer done()
	s.env.Counters.CmdFlush.Add(1)
	err := s.env.Registry.FlushAll(ctx)
	if err == nil {
		s.audit("all queues are flushed")
	}
	return stoppingIfEnded(err)
}

// errStopping is the end of a command over all queues.
var errStopping = errors.New("the server stops; not all queues were seen to")

// stoppingIfEnded returns errStopping for the error of a job that Drain has ended.
func stoppingIfEnded(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, queue.ErrClosed) {
		return errStopping
	}
	return err
}

func (s *Session) flushExpiredCommand(args []byte) {
	var w [maxWords][]byte
	if splitWords(args, &w) != 1 {
		s.answer(badFlushExpired)
		return
	}
	q, problem := s.queueArgument(w[0])
	if problem != "" {
		s.answer(problem)
		return
	}
	s.answerNumber(q.FlushExpired)
}

func (s *Session) flushAllExpiredCommand(args []byte) {
	if word, _ := nextWord(args); len(word) > 0 {
		s.answer(badAllExpired)
		return
	}
	s.answerNumber(func() (int, error) {
		ctx, done := s.untilDrain()
		defer done()
		n, err := s.env.Registry.FlushAllExpired(ctx)
		return n, stoppingIfEnded(err)
	})
}

// answerNumber answers with what a job returns, which may wait for the disk.
func (s *Session) answerNumber(job func() (int, error)) {
	var n int
	var err error
	s.work(func() { n, err = job() }, func(s *Session) {
		answer := strconv.Itoa(n) + "\r\n"
		if err != nil {
			answer = serverError(err)
		}
		s.answer(answer)
		s.next = (*Session).request
	})
}

func (s *Session) versionCommand(args []byte) {
	if word, _ := nextWord(args); len(word) > 0 {
		s.answer(badVersion)
		return
	}
	s.out = append(s.out, "VERSION "...)
	s.out = append(s.out, s.env.live().Dialect.Version...)
	s.out = append(s.out, "\r\n"...)
}

// verbosityCommand exists because clients send it. How much is logged is the operator's choice.
func (s *Session) verbosityCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	if _, ok := parseInt(w[0]); n != 1 || !ok {
		s.answer(badVerbosity)
		return
	}
	s.answer("OK\r\n")
}

func (s *Session) quitCommand(args []byte) {
	if word, _ := nextWord(args); len(word) > 0 {
		s.answer(badQuit)
		return
	}
	s.state = Closing
}
