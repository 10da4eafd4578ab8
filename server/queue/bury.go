package queue

// Items that were delivered too often: they go to the queue for dead letters, or are dropped where
// there is none.

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
)

const (
	// mostDead is how many items of a queue may be on their way to another one. Beyond, they wait
	// again.
	mostDead = 10_000

	// buryAgain is how long after the other queue refused an item it is tried again.
	buryAgain = 5 * time.Second
)

var deadItems = &metrics.Trouble{
	Level: slog.LevelWarn, Text: "items that were delivered too often are%s given up",
}

// isSpentLocked reports whether an item was delivered too often.
func (q *Queue) isSpentLocked(it Item) bool {
	most := q.store.settings().MaxDeliveries
	return most > 0 && int64(it.deliveries) >= int64(most) && len(q.dead) < mostDead
}

// buryLocked ends an item that was delivered too often.
func (q *Queue) buryLocked(it Item) error {
	if q.store.settings().DeadLetter == "" {
		if err := q.cursor.Take(it.Position); err != nil {
			return err
		}
		q.noteDeadLocked(1)
		return nil
	}
	it.Position = it.Kept()
	q.dead = append(q.dead, it)
	if len(q.dead) == 1 {
		q.store.reg.undertaker.call(q)
	}
	return nil
}

func (q *Queue) noteDeadLocked(n uint64) {
	if n > 0 {
		q.lossesLocked().dead += n
		q.store.reg.episodes.Note(deadItems, q.Name(), n, nil)
	}
}

// undertaker moves dead items to other queues. It is one goroutine, and waits for the disk.
type undertaker struct {
	*task
	alarm *clock.Alarm

	mu     sync.Mutex // a leaf
	queues []*Queue   // that have some
}

// startUndertaker gives the registry its undertaker.
func startUndertaker(r *Registry) {
	u := &undertaker{alarm: clock.NewAlarm(r.clock)}
	r.undertaker = u
	u.task = startTask(u.run)
}

// call has the undertaker come for the dead items of a queue.
func (u *undertaker) call(q *Queue) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.Contains(u.queues, q) {
		u.queues = append(u.queues, q)
	}
	u.alarm.Set(0)
}

func (u *undertaker) run(ctx context.Context) {
	defer u.alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.alarm.C:
		}
		u.mu.Lock()
		queues := u.queues
		u.queues = nil
		u.mu.Unlock()
		var again []*Queue
		for _, q := range queues {
			if !q.moveDead(ctx) {
				again = append(again, q)
			}
		}
		u.mu.Lock()
		if len(again) > 0 && len(u.queues) == 0 {
			u.alarm.Set(buryAgain)
		}
		u.queues = append(u.queues, again...)
		u.mu.Unlock()
	}
}

// moveDead moves the dead items of a queue. It is false if some stay.
func (q *Queue) moveDead(ctx context.Context) bool {
	for ctx.Err() == nil {
		c, b, to := q.takeDead()
		if len(b.items) == 0 {
			return true
		}
		n, problem := q.move(b.items, to, wal.Undeliverable)
		stay := q.finishMove(c, b.items, n)
		q.store.mu.Lock()
		q.store.pins--
		q.noteDeadLocked(uint64(n))
		if q.cursor == c {
			q.dead, q.deadStay = append(stay, q.dead...), problem != nil
		}
		q.store.mu.Unlock()
		if problem != nil {
			q.noteStuck(len(stay), to, problem)
			return false
		}
	}
	return false
}

// takeDead takes a batch of dead items, and pins the store for the caller. If there is none, it
// does not. Where no queue takes them any more, they wait again.
func (q *Queue) takeDead() (c cursor, b batch, to string) {
	q.store.mu.Lock()
	if to = q.store.settings().DeadLetter; to == "" { // it is not set any more
		for _, it := range q.dead {
			q.putBackLocked(it)
		}
		q.dead = nil
		q.store.serveAndUnlock()
		return nil, b, ""
	}
	defer q.store.mu.Unlock()
	n := 0
	for n < len(q.dead) && !b.isFull() {
		b.add(q.dead[n])
		q.beginMoveLocked(q.dead[n])
		n++
	}
	if q.dead = q.dead[n:]; len(q.dead) == 0 {
		q.dead = nil
	}
	if n > 0 {
		q.store.pins++
	}
	return q.cursor, b, to
}
