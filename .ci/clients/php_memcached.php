<?php
// php-memcached (libmemcached) against the server at HOST:PORT, the only argument.
[$host, $port] = explode(':', $argv[1]);
$q = 'php-memcached';

function connect(): Memcached {
    global $host, $port;
    $c = new Memcached();
    $c->addServer($host, (int) $port);
    return $c;
}

function same(string $what, mixed $got, mixed $want): void {
    if ($got !== $want) {
        fwrite(STDERR, "php-memcached: $what: got " . substr(var_export($got, true), 0, 200)
            . ', want ' . substr(var_export($want, true), 0, 200) . "\n");
        exit(1);
    }
}

$c = connect();
same('delete of nothing', $c->delete($q), true);
same('empty queue', $c->get($q), false);
same('empty queue, code', $c->getResultCode(), Memcached::RES_NOTFOUND);

$every = implode('', array_map('chr', range(0, 255)));
$megabyte = '';
for ($i = 0; $i < 1 << 20; $i++) {
    $megabyte .= chr($i * $i >> 7 & 255);
}
$plain = ['every byte' => $every, 'empty value' => '', '1 MB' => $megabyte,
    'line ends' => "\r\nEND\r\n"];
foreach ($plain as $what => $value) {
    $c->setOption(Memcached::OPT_COMPRESSION, false);
    same("set of $what", $c->set($q, $value), true);
    same($what, $c->get($q), $value);
}

// Types and compression travel in the flags.
$c->setOption(Memcached::OPT_COMPRESSION, true);
$values = [0, -7, PHP_INT_MAX, 1.5, true, false, null, 'grün', ['a', 1],
    ['k' => [1, 2.5, null]], str_repeat('a', 100000)];
foreach ($values as $value) {
    same('set of a typed value', $c->set($q, $value), true);
}
foreach ($values as $value) {
    same('typed value in order', $c->get($q), $value);
    same('typed value, code', $c->getResultCode(), Memcached::RES_SUCCESS);
}
same('typed values are all', [$c->get($q), $c->getResultCode()], [false, Memcached::RES_NOTFOUND]);

$c->set($q, 'one');
[$first, $second] = [connect(), connect()];
same('open', $first->get("$q/open"), 'one');
same('set aside', $c->get($q), false);
$first->quit(); // the item goes back with the connection
same('open, waiting', $second->get("$q/t=10000/open"), 'one');
same('abort', $second->get("$q/abort"), false);
same('open again', $second->get("$q/open"), 'one');
same('close', $second->get("$q/close"), false);
same('confirmed', $c->get($q), false);

$c->set($q, 'left');
same('delete', $c->delete($q), true);
same('deleted', $c->get($q), false);
same('version', count($c->getVersion()), 1);
same('stats', isset(current($c->getStats())['uptime']), true);
echo 'php-memcached ', phpversion('memcached'), "\n";
