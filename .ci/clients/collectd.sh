# collectd's memcached plugin. It reads 4 KiB, and fails when END is not among them: a few queues are
# too many, unless stats are those of the server alone.
. ./servers.sh
start_server collectd --stats-format server
request=
for i in {1..300}; do request+="set collectd-$i 0 0 1\r\nx\r\n"; done
ask "$request" >/dev/null
cat >"$dir/collectd.conf" <<CONF
BaseDir "$dir"
PIDFile "$dir/pid"
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File "$dir/collectd.log"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "$dir/csv"
</Plugin>
LoadPlugin memcached
<Plugin memcached>
  <Instance "darner">
    Address "${server%:*}"
    Port "$port"
  </Instance>
</Plugin>
CONF
start_other collectd -f -C "$dir/collectd.conf"
for _ in {1..100}; do
  files=$(find "$dir/csv" -name '*items*' 2>/dev/null) || true
  [ -z "$files" ] || break
  sleep 0.1
done
[ -n "$files" ] || { echo "collectd read nothing:" && cat "$dir/collectd.log" && exit 1; }
for what in ps_count df-cache memcached_items-current memcached_command-get memcached_ops-hits \
  memcached_octets memcached_connections; do
  find "$dir/csv" -name "$what*" | grep -q . || { echo "collectd: no $what" && find "$dir/csv" && exit 1; }
done
! grep -i error "$dir/collectd.log"
echo "collectd's memcached $(dpkg-query -W -f='${Version}' collectd-core)"
