# Wireshark's dissector as a referee of what the server at HOST:PORT, the only argument, answers: no
# packet is malformed, and every answer is of a kind that memcached has.
. ./servers.sh
port=${1##*:} server=$1
tshark -Q -i lo -f "tcp port $port" -w "$dir/packets" 2>"$dir/log-tshark" &
pid=$!
others+=("$pid")
# The capture has begun when the first packets are in the file.
for _ in {1..100}; do
  ask 'version\r\n' >/dev/null
  [ "$(stat -c %s "$dir/packets" 2>/dev/null || echo 0)" -lt 500 ] || break
  kill -0 "$pid" 2>/dev/null ||
    { echo "no capture without the right to: $(tail -1 "$dir/log-tshark")" && exit 0; }
  sleep 0.1
done
[ "$(stat -c %s "$dir/packets")" -ge 500 ] || { echo "tshark captures nothing" && exit 1; }

q=dissector
ask "set $q 7 0 5\r\nhello\r\n" >/dev/null
ask "set $q 0 0 0\r\n\r\nset $q 0 0 3 noreply\r\nabc\r\n" >/dev/null
ask "get $q/peek\r\ngets $q/peek\r\nget $q/open\r\nget $q/close\r\nget $q nothing $q\r\nget $q\r\n" >/dev/null
ask "stats\r\nstats queue $q\r\nstats settings\r\nstats items\r\nstats nonsense\r\nstats queue\r\n" >/dev/null
ask "add $q 0 0 1\r\nx\r\nincr $q 1\r\ndecr $q 1\r\ntouch $q 1\r\ngat 1 $q\r\nincr $q 1 noreply\r\n" >/dev/null
ask "version\r\nverbosity 1\r\nnonsense\r\nget\r\nget a/b\r\nflush $q\r\ndelete $q\r\nflush_all\r\n" >/dev/null
ask "get $q-end\r\n" >/dev/null
for _ in {1..200}; do
  ! grep -q "$q-end" "$dir/packets" || break
  sleep 0.1
done
kill -TERM "$pid"
wait "$pid" || true

read_packets() { tshark -r "$dir/packets" -d "tcp.port==$port,memcache" "$@" 2>/dev/null; }
seen=$(read_packets -Y memcache | wc -l)
[ "$seen" -ge 14 ] || { echo "tshark sees $seen packets of memcache" && exit 1; }
same "malformed packets" "$(read_packets -Y '_ws.malformed')" ""
echo "tshark $(dpkg-query -W -f='${Version}' tshark)"
