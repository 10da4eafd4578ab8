// npm's memcached against the server at HOST:PORT, the only argument. It parses the answer to
// version, and for flush waits for OK and nothing else.
const assert = require('assert')
const { promisify } = require('util')
const Memcached = require('memcached')

const connect = () => {
  const client = new Memcached(process.argv[2], { timeout: 5000, retries: 0, maxValue: 1 << 21 })
  for (const name of ['set', 'get', 'gets', 'getMulti', 'del', 'add', 'version', 'stats', 'flush',
    'touch', 'incr', 'settings', 'items', 'slabs']) {
    client[name] = promisify(client[name]).bind(client)
  }
  return client
}
const q = 'npm-memcached'

async function main () {
  const c = connect()
  await c.flush()
  assert.strictEqual(await c.get(q), undefined, 'empty queue')

  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const megabyte = Buffer.alloc(1 << 20, 'line\r\nEND\r\n')
  for (const value of ['', 'text', 'grün', 7, true, { a: [1, null] }, everyByte, megabyte]) {
    await c.set(q, value, 0)
    assert.deepStrictEqual(await c.get(q), value, 'comes back as it was')
  }
  for (const value of ['first', 'second', 'third']) await c.set(q, value, 0)
  for (const value of ['first', 'second', 'third']) assert.strictEqual(await c.get(q), value)

  await c.set(q, 'one', 0)
  await c.set(q + '2', 'two', 0)
  assert.deepStrictEqual(await c.getMulti([q, q + '2']), { [q]: 'one', [q + '2']: 'two' })

  // What a queue does not have is refused. SERVER_ERROR counts as a server that is down, so each of
  // these has a client of its own.
  for (const call of [(d) => d.add(q, 'x', 0), (d) => d.touch(q, 10), (d) => d.incr(q, 1)]) {
    const other = connect()
    assert.ok(!await call(other).catch(() => false), 'refused')
    other.end()
  }
  assert.strictEqual(await c.get(q), undefined, 'nothing was stored')

  // Options: the answers come in order, so that the key need not come back as it was asked for.
  await c.set(q, 'reliable', 0)
  await c.get(q + '/open')
  await c.get(q + '/close')
  assert.strictEqual(await c.get(q), undefined, 'confirmed')

  const version = await c.version()
  assert.match(version[0].version, /^\d+\.\d+\.\d+$/)
  const stats = await c.stats()
  assert.ok(stats[0].curr_items >= 0, 'stats')
  await c.settings()
  await c.set(q, 'left', 0)
  await c.flush()
  assert.strictEqual(await c.get(q), undefined, 'flushed')
  c.end()
  console.log('npm memcached', require('memcached/package.json').version)
}

const patience = setTimeout(() => { console.error('npm memcached waits for ever'); process.exit(1) }, 60000)
main().then(() => process.exit(0), (err) => { console.error(err); process.exit(1) })
