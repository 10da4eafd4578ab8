"""pylibmc (libmemcached) against the server at HOST:PORT, the only argument."""
import sys

import pylibmc

q = "pylibmc"


def connect():
    return pylibmc.Client([sys.argv[1]], binary=False)


def same(what, got, want):
    if got != want or type(got) is not type(want):
        sys.exit(f"pylibmc: {what}: got {got!r:.200}, want {want!r:.200}")


c = connect()
same("delete of nothing", c.delete(q), True)
same("empty queue", c.get(q), None)

every_byte = bytes(range(256))
megabyte = bytes((i * i >> 7) & 255 for i in range(1 << 20))
plain = [("every byte", every_byte), ("empty value", b""), ("1 MB", megabyte),
         ("line ends", b"\r\nEND\r\n")]
for what, value in plain:
    same("set of " + what, c.set(q, value), True)
    same(what, c.get(q), value)

# Types and compression travel in the flags.
values = [0, -7, 1 << 70, 1.5, None, "grün", b"bytes", ["a", 1], {"k": [1, 2.5, None]}]
for value in values:
    same("set of a typed value", c.set(q, value), True)
for value in values:
    same("typed value in order", c.get(q, "missing"), value)
c.set(q, b"a" * 100_000, min_compress_len=1000)
same("compressed value", c.get(q), b"a" * 100_000)

c.set(q, b"one")
first, second = connect(), connect()
same("open", first.get(q + "/open"), b"one")
same("set aside", c.get(q), None)
first.disconnect_all()  # the item goes back with the connection
same("open, waiting", second.get(q + "/t=10000/open"), b"one")
same("abort", second.get(q + "/abort"), None)
same("open again", second.get(q + "/open"), b"one")
same("close", second.get(q + "/close"), None)
same("confirmed", c.get(q), None)

c.set(q, b"left")
same("delete", c.delete(q), True)
same("deleted", c.get(q), None)
same("stats", "uptime" in c.get_stats()[0][1], True)
print("pylibmc", pylibmc.__version__, "libmemcached", pylibmc.libmemcached_version)
