# Functions that the scripts of this repository share. Source it; do not run it.

# need_packages NAME...: installs missing Debian packages, or says how to.
need_packages() {
  local name missing=()
  for name; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' ||
      missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing Debian packages: sudo apt-get install ${missing[*]}" >&2
    return 1
  fi
  apt-get -qq update </dev/null >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" \
    </dev/null >/dev/null
}

# answers PORT: succeeds if a server listens on that port of the loopback address.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: prints a port that nobody listens on. It is below the ephemeral range, so that no
# connection takes it before it is used.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); do answers "$port" || break; done
  echo "$port"
}

# wait_for_port PORT PID [TENTHS]: waits until a server listens on PORT. Fails when process PID ends
# first, or after TENTHS tenths of a second (default 100).
wait_for_port() {
  local left=${3:-100}
  until answers "$1"; do
    kill -0 "$2" 2>/dev/null && [ $((left--)) -gt 0 ] || return 1
    sleep 0.1
  done
}
