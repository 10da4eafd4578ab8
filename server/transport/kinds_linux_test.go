package transport

var kinds = []kind{
	goroutines,
	{name: "epoll", kind: Best, loops: 1},
	{name: "epoll, three loops", kind: Best, loops: 3},
}

// ringLoops has the loops of a transport look at the clock.
func ringLoops(t transport) {
	if e, ok := t.(*epoll); ok {
		for _, l := range e.loops {
			l.ring()
		}
	}
}
