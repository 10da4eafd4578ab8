package transport

// Deadlines of a net.Conn are the system's: real moments, whatever clock the server goes by. This is
// the only place that makes some. What waits for longer than a moment waits by the clock: a timer of
// it ends the wait with a deadline in the past.

import "time"

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// refuseTime bounds how long a client over the limit of connections is waited for.
const refuseTime = time.Second

func refuseDeadline() time.Time { return time.Now().Add(refuseTime) }
