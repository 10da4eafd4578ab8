# libmemcached's command line tools against the server at HOST:PORT, the only argument.
. ./servers.sh
server=$1 port=${1##*:}
mem() { timeout 20 "memc$1" --servers="$server" "${@:2}" 2>&1; }
refused() { # COMMAND WHAT: fails, and says what
  local out
  if out=$("$@"); then echo "$*: succeeds, want a failure" && exit 1; fi
}

cd "$dir"
echo hello >mem-a
head -c 200000 /dev/urandom >mem-b
mem ping
mem cp mem-a mem-b
mem cat --file=got mem-b
cmp got mem-b
same "memccat" "$(mem cat mem-a)" hello
refused mem cat mem-a # nothing is left

# memcexist adds, memctouch touches: a queue has neither.
mem cp mem-a
refused mem exist mem-a
refused mem touch --expire=100 mem-a
same "memcdump" "$(mem dump)" "" # a queue's name is not a key that one may get without taking
[[ $(mem stat) == *curr_items:\ 1* ]] || { echo "memcstat: no curr_items" && mem stat && exit 1; }
mem rm mem-a
refused mem cat mem-a
mem cp mem-a
mem flush
refused mem cat mem-a
mem slap --concurrency=4 --execute-number=500 --test=set >/dev/null
mem slap --concurrency=4 --execute-number=500 --test=get --flush >/dev/null
mem flush
echo "libmemcached-tools $(dpkg-query -W -f='${Version}' libmemcached-tools)"
