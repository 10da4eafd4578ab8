# munin's memcached plugins against the server at HOST:PORT, the only argument. Every field that a
# plugin configures has to get a number.
. ./servers.sh
export host=${1%:*} port=${1##*:} MUNIN_LIBDIR=/usr/share/munin
ask 'set munin 0 0 5\r\nhello\r\nget munin\r\n' >/dev/null
for graph in bytes counters rates; do
  ln -s /usr/share/munin/plugins/memcached_ "$dir/memcached_$graph"
  fields=$(perl "$dir/memcached_$graph" config | sed -n 's/^\(.*\)\.label .*/\1/p' | sort)
  [ -n "$fields" ] || { echo "munin: memcached_$graph has no fields" && exit 1; }
  values=$(perl "$dir/memcached_$graph")
  same "fields of munin's memcached_$graph with a number" \
    "$(sed -n 's/^\(.*\)\.value [0-9.]\+$/\1/p' <<<"$values" | sort)" "$fields"
done
echo "munin's memcached $(dpkg-query -W -f='${Version}' munin-plugins-extra)"
