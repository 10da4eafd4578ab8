# npm's memcached against the server at HOST:PORT, the only argument.
. ./servers.sh
here=$PWD
cd "$dir"
npm install --silent --no-audit --no-fund memcached@2.2.2 >/dev/null
NODE_PATH="$dir/node_modules" node "$here/npm_memcached.js" "$1"
