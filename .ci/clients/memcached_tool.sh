# memcached-tool of memcached itself against the server at HOST:PORT, the only argument. It reads
# until END comes, and would wait for ever if an unknown word of stats were answered by an error.
# The server has no slabs, so the tables are empty.
. ./servers.sh
port=${1##*:}
tool() { timeout 10 perl /usr/share/memcached/scripts/memcached-tool "$@" 2>&1; }

ask 'set memcached-tool:a 0 0 5\r\nhello\r\n' >/dev/null
[[ $(tool "$1" stats) =~ curr_items\ +[1-9] ]] || { echo "memcached-tool stats: no curr_items"; exit 1; }
[[ $(tool "$1" settings) =~ max-item-size\ +1073741824 ]] ||
  { echo "memcached-tool settings: no max-item-size"; exit 1; }
for command in display sizes dump; do
  status=0
  out=$(tool "$1" $command) || status=$?
  same "status of memcached-tool $command" "$status" 0
  case $out in *ERROR*) echo "memcached-tool $command: $out" && exit 1 ;; esac
done
ask 'delete memcached-tool:a\r\n' >/dev/null
echo "memcached-tool $(dpkg-query -W -f='${Version}' memcached)"
