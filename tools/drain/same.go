package drain

import (
	"context"
	"net"
	"slices"
	"strings"
)

// Same reports whether two addresses are of the same server, as far as names show. Draining a
// server into itself would never end.
func Same(ctx context.Context, a, b string) bool {
	if strings.Contains(a, "/") || strings.Contains(b, "/") {
		return a == b
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return a == b
	}
	addrsA, addrsB := resolve(ctx, hostA), resolve(ctx, hostB)
	return slices.ContainsFunc(addrsA, func(ip string) bool { return slices.Contains(addrsB, ip) })
}

// resolve returns the IP addresses of a host. All loopback addresses count as one.
func resolve(ctx context.Context, host string) (ips []string) {
	if host == "" {
		host = "localhost"
	}
	addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return []string{host}
	}
	for _, a := range addrs {
		if a.IP.IsLoopback() || a.IP.IsUnspecified() {
			a.IP = net.IPv6loopback
		}
		ips = append(ips, a.IP.String())
	}
	return ips
}
