package transport

// New returns the system's best transport: Epoll here.
func New(o Options) (Transport, error) { return NewEpoll(o) }
