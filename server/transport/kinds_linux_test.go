package transport

var kinds = []kind{
	portable,
	{"epoll", func(o Options) (Transport, error) { o.Loops = 1; return NewEpoll(o) }},
	{"epoll, three loops", func(o Options) (Transport, error) { o.Loops = 3; return NewEpoll(o) }},
}
