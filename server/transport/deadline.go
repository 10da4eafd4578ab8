package transport

// Deadlines of a net.Conn are real moments, whatever clock the server goes by. This is the only
// place that makes them. A wait until a time of the server's clock has no such deadline: a timer of
// that clock ends it, by setting a deadline in the past.

import "time"

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// refuseTime bounds how long telling a client that it is over the limit of connections may take.
const refuseTime = time.Second

func refuseDeadline() time.Time { return time.Now().Add(refuseTime) }
