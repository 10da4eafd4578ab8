# Servers of their own for the scripts beside this one. Source it; do not run it.
#
# $dir is a directory for what a script leaves; at its end it is deleted and its servers are stopped,
# which must go well.
set -euo pipefail
. ../../tools/lib.sh

dir=$(mktemp -d)
servers=()
others=()
trap stop_all EXIT

# start_server NAME [FLAG...]: starts darner with these flags and data of its own, and sets port, pid
# and server (HOST:PORT).
start_server() {
  local name=$1
  shift
  [ -n "${DARNER:-}" ] || {
    export DARNER="$dir/darner"
    go build -o "$DARNER" ../../cmd/darner
  }
  port=$(free_port) server=127.0.0.1:$port
  "$DARNER" --data "$dir/data-$name" --port "$port" "$@" 2>>"$dir/log-$name" </dev/null &
  pid=$!
  servers+=("$pid")
  wait_for_port "$port" "$pid" ||
    { echo "the server did not start:" && cat "$dir/log-$name" && exit 1; }
}

# start_other COMMAND...: starts somebody else's server, and sets pid.
start_other() {
  "$@" >>"$dir/log-other" 2>&1 </dev/null &
  pid=$!
  others+=("$pid")
}

stop_all() {
  local status=$? pid
  [ ${#others[@]} = 0 ] || kill "${others[@]}" 2>/dev/null || true
  for pid in "${servers[@]}"; do
    kill "$pid" 2>/dev/null && wait "$pid" ||
      { status=1 && echo "a server did not stop cleanly:" && cat "$dir"/log-*; }
  done
  rm -rf "$dir"
  exit "$status"
}

# ask REQUEST: sends it to the server and prints the answer, without carriage returns.
ask() {
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf '%b' "$1quit\r\n" >&3
  timeout 20 cat <&3 | tr -d '\r'
  exec 3>&-
}

# same WHAT GOT WANT: fails unless both are the same.
same() {
  [ "$2" = "$3" ] && return 0
  printf '%s: got\n%s\nwant\n%s\n' "$1" "$2" "$3"
  exit 1
}
