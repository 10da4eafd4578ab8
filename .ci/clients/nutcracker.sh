# nutcracker (twemproxy) in front of three servers, of which one is killed and comes back. Queues
# spread over the servers. What was answered STORED is there in the end, once.
. ./servers.sh
for name in a b c; do
  start_server nutcracker-$name
  declare "port_$name=$port" "pid_$name=$pid"
done
proxy=$(free_port)
cat >"$dir/nutcracker.yml" <<CONF
queues:
  listen: 127.0.0.1:$proxy
  hash: fnv1a_64
  distribution: ketama
  timeout: 2000
  auto_eject_hosts: true
  server_failure_limit: 1
  server_retry_timeout: 1000
  servers:
   - 127.0.0.1:$port_a:1 a
   - 127.0.0.1:$port_b:1 b
   - 127.0.0.1:$port_c:1 c
CONF
start_other nutcracker -c "$dir/nutcracker.yml" -s "$(free_port)" -a 127.0.0.1
wait_for_port "$proxy" "$pid" || { echo "nutcracker did not start:" && cat "$dir/log-other" && exit 1; }

stored=()
# put_all ROUND: puts an item into each of 30 queues through the proxy, and notes which it stored.
put_all() {
  local n answer
  for n in {1..30}; do
    exec 4<>"/dev/tcp/127.0.0.1/$proxy"
    printf 'set q%d 0 0 %d\r\n%s\r\n' "$n" $((1 + ${#1} + ${#n})) "$1-$n" >&4
    read -r -t 10 answer <&4 || answer=none
    exec 4>&-
    [[ $answer != STORED* ]] || stored+=("$1-$n")
  done
}

put_all before
same "stored by three servers" ${#stored[@]} 30
disown "$pid_b" # so that the shell does not report that it was killed
kill -KILL "$pid_b"
while kill -0 "$pid_b" 2>/dev/null; do sleep 0.05; done
for i in "${!servers[@]}"; do [ "${servers[i]}" != "$pid_b" ] || unset "servers[i]"; done
put_all broken # some of these find out that the server is gone
put_all without
[ ${#stored[@]} -ge 60 ] || { echo "only ${#stored[@]} stored without one of three servers" && exit 1; }
"$DARNER" --data "$dir/data-nutcracker-b" --port "$port_b" 2>>"$dir/log-nutcracker-b" </dev/null &
servers+=("$!")
wait_for_port "$port_b" $!

# All of it is on the servers, each item once.
for port in "$port_a" "$port_b" "$port_c"; do
  for n in {1..30}; do
    while answer=$(ask "get q$n\r\n") && [[ $answer == VALUE* ]]; do
      sed -n 2p <<<"$answer"
    done
  done
done | sort >"$dir/got"
printf '%s\n' "${stored[@]}" | sort >"$dir/want"
diff "$dir/got" "$dir/want" || { echo "nutcracker: lost or doubled" && exit 1; }
echo "nutcracker $(dpkg-query -W -f='${Version}' nutcracker)"
