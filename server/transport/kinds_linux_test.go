package transport

var kinds = []kind{
	goroutines,
	{"epoll", Best, 1},
	{"epoll, three loops", Best, 3},
}
