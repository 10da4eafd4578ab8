# nginx's memcached module, which takes an answer only if its key is the one it asked for. So options
# in a key need --echo-key asked; then the answer to a wait or a reliable read arrives.
. ./servers.sh
start_server nginx --echo-key asked
http=$(free_port)
cat >"$dir/nginx.conf" <<CONF
worker_processes 1;
daemon off;
pid $dir/nginx.pid;
error_log $dir/log-nginx-errors;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3;
  uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:$http;
    location /plain/ { set \$memcached_key \$arg_q; memcached_pass $server; }
    location /wait/ { set \$memcached_key \$arg_q/t=5000; memcached_pass $server; }
    location /peek/ { set \$memcached_key \$arg_q/peek; memcached_pass $server; }
  }
}
CONF
start_other nginx -c "$dir/nginx.conf" -e "$dir/log-nginx-errors"
wait_for_port "$http" "$pid" || { echo "nginx did not start:" && cat "$dir"/log-nginx-errors && exit 1; }
fetch() { curl -s -o "$dir/body" -w '%{http_code}' "http://127.0.0.1:$http/$1/?q=$2"; }

same "an empty queue" "$(fetch plain work)" 404
for path in plain wait; do
  for item in first second third; do ask "set work 0 0 ${#item}\r\n$item\r\n" >/dev/null; done
  for item in first second third; do
    same "status of $path" "$(fetch peek work)" 200
    same "the head at $path" "$(cat "$dir/body")" "$item"
    same "status of $path" "$(fetch $path work)" 200
    same "what $path gets" "$(cat "$dir/body")" "$item"
  done
done

# One that waits is answered when the item comes.
fetch wait work >"$dir/status" &
later=$!
until ask 'stats queue work\r\n' | grep -q 'waiters 1'; do sleep 0.05; done
ask 'set work 0 0 4\r\nlate\r\n' >/dev/null
wait $later
same "status of one that waited" "$(cat "$dir/status")" 200
same "what it gets" "$(cat "$dir/body")" late

# Names that have to be escaped in a URL.
head -c 1000000 /dev/urandom >"$dir/large"
for name in 'a%3Ab' 'a%2Bb' 'gr%C3%BCn'; do
  printf -v raw '%b' "${name//%/\\x}"
  { printf 'set %s 0 0 1000000\r\n' "$raw" && cat "$dir/large" && printf '\r\nquit\r\n'; } |
    { exec 3<>"/dev/tcp/127.0.0.1/$port" && cat >&3 && timeout 20 cat <&3 >/dev/null; exec 3>&-; }
  # $arg_q is as it stands in the URL, so the queue's name is too.
  same "status of $name" "$(curl -s -o "$dir/body" -w '%{http_code}' "http://127.0.0.1:$http/plain/?q=$raw")" 200
  cmp "$dir/body" "$dir/large"
done
echo "nginx $(dpkg-query -W -f='${Version}' nginx-light)"
