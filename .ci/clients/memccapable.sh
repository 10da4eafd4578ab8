# libmemcached's conformance test against the server at HOST:PORT, the only argument. What a queue
# does not have fails: add, replace, cas, incr, decr, append and prepend, and of their noreply forms
# those that look for what they changed. So does delete: that of nothing is answered DELETED, where
# the test wants NOT_FOUND.
. ./servers.sh
passes='version|quit|verbosity|set|set noreply|get|gets|mget|flush|flush noreply|stat'
passes="$passes|add noreply|replace noreply|cas noreply|delete noreply"
fails='add|replace|cas|delete|incr|incr noreply|decr|decr noreply'
fails="$fails|append|append noreply|prepend|prepend noreply"

# test_one NAME: one test of its own, since one that failed leaves answers unread.
test_one() {
  timeout 20 memccapable -a -t 2 -T "ascii $1" -h "${server%:*}" -p "${server##*:}" 2>&1 |
    grep -q '\[pass\]'
}

server=$1
IFS='|'
for name in $passes; do
  test_one "$name" || { echo "memccapable: ascii $name fails, want a pass"; exit 1; }
done
for name in $fails; do
  ! test_one "$name" || { echo "memccapable: ascii $name passes, want a failure"; exit 1; }
done
echo "memccapable $(dpkg-query -W -f='${Version}' libmemcached-tools)"
