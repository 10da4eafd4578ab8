# What the scripts of this repository share: packages, ports, waiting. Sourced, not run.

# need_packages NAME...: installs the Debian packages that are missing, or says how to.
need_packages() {
  local name missing=()
  for name; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing Debian packages: sudo apt-get install ${missing[*]}" >&2
    return 1
  fi
  apt-get -qq update </dev/null >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# answers PORT: somebody listens there on the loopback address.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: prints a port nobody listens on, below the ephemeral range so that no connection takes it meanwhile.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); do answers "$port" || break; done
  echo "$port"
}

# wait_for_port PORT PID [TENTHS]: until somebody listens on PORT; fails when PID ends first or when
# that many tenths of a second (100) have passed.
wait_for_port() {
  local left=${3:-100}
  until answers "$1"; do
    kill -0 "$2" 2>/dev/null && [ $((left--)) -gt 0 ] || return 1
    sleep 0.1
  done
}
