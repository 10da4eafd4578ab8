package queue

import "context"

// task is a goroutine that the registry owns.
type task struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
}

// startTask starts run, which returns soon after its context ends.
func startTask(run func(context.Context)) *task {
	ctx, cancel := context.WithCancel(context.Background())
	t := &task{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		run(ctx)
	}()
	return t
}

// stop ends the context and waits until run has returned.
func (t *task) stop() {
	t.cancel()
	<-t.done
}
