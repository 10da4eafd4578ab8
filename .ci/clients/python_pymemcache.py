"""pymemcache against the server at HOST:PORT, the only argument."""
import sys

import pymemcache
from pymemcache import serde
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheServerError

host, port = sys.argv[1].rsplit(":", 1)
server = (host, int(port))
q = "pymemcache"


class Reader(Client):
    """Lets options through: the server answers with the queue's name alone, and pymemcache
    knows a value only by the whole key it asked for."""

    def _extract_value(self, expect_cas, line, buf, remapped_keys, prefixed_keys):
        names = {key.split(b"/")[0]: asked for key, asked in remapped_keys.items()}
        return super()._extract_value(expect_cas, line, buf, names, prefixed_keys)


def same(what, got, want):
    if got != want or type(got) is not type(want):
        sys.exit(f"pymemcache: {what}: got {got!r:.200}, want {want!r:.200}")


c = Client(server, timeout=10, default_noreply=False)
same("delete of nothing", c.delete(q), True)
same("empty queue", c.get(q), None)

every_byte = bytes(range(256))
megabyte = bytes((i * i >> 7) & 255 for i in range(1 << 20))
plain = [("every byte", every_byte), ("empty value", b""), ("1 MB", megabyte),
         ("line ends", b"\r\nEND\r\n")]
for what, value in plain:
    same("set of " + what, c.set(q, value), True)
    same(what, c.get(q), value)

# Types travel in the flags; without an answer to wait for, order still holds.
typed = Client(server, timeout=10, default_noreply=True, serde=serde.pickle_serde)
values = [0, -7, 1 << 70, 1.5, True, None, "grün", b"bytes", ["a", 1], {"k": [1, 2.5, None]}]
for value in values:
    typed.set(q, value)
for value in values:
    same("typed value in order", typed.get(q, default="missing"), value)

try:
    sys.exit(f"pymemcache: add: got {c.add(q, b'x')}, want an error")
except MemcacheServerError:
    same("usable after an error", c.get(q), None)

c.set(q, b"one")
first, second = Reader(server, timeout=10), Reader(server, timeout=10)
same("open", first.get(q + "/open"), b"one")
same("set aside", c.get(q), None)
first.close()  # the item goes back with the connection
same("open, waiting", second.get(q + "/t=10000/open"), b"one")
same("abort", second.get(q + "/abort"), None)
same("open again", second.get(q + "/open"), b"one")
same("close", second.get(q + "/close"), None)
same("confirmed", c.get(q), None)

c.set(q, b"left")
same("delete", c.delete(q), True)
same("deleted", c.get(q), None)
same("version", c.version()[:1].isdigit(), True)
same("stats", b"uptime" in c.stats(), True)
print("pymemcache", pymemcache.__version__)
