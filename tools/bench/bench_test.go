package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	a := os.Getenv("TRY")
	if a == "" {
		t.Skip()
	}
	depth, _ := strconv.Atoi(os.Getenv("DEPTH"))
	conns, _ := strconv.Atoi(os.Getenv("CONNS"))
	rate, _ := strconv.ParseFloat(os.Getenv("RATE"), 64)
	var d dialect = memcache{}
	switch os.Getenv("P") {
	case "redis":
		d = redis{}
	case "bs":
		d = beanstalkd{}
	}
	l := load{address: a, dialect: d, queue: "bench", mix: pairs, items: newItems(random(65536), 64), conns: conns, depth: depth, duration: 3 * time.Second, rate: rate}
	r, err := l.run(context.Background())
	fmt.Println(conns, depth, int(r.rate()), r.set.ValueAtQuantile(50), r.set.ValueAtQuantile(99), r.set.Max(), r.set.TotalCount(), r.get.TotalCount(), err)
}
