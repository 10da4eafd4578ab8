# Dalli against the server at HOST:PORT, the only argument. Debian's Dalli speaks only memcache's
# binary protocol, which this server does not: the check is that Dalli is told so at once, by a
# closed connection, and that the server is none the worse.
require 'dalli'
require 'socket'

q = 'dalli'
host, port = ARGV[0].split(':')

def same(what, got, want)
  abort "Dalli: #{what}: got #{got.inspect}, want #{want.inspect}" if got != want
end

text = TCPSocket.new(host, port)
ask = lambda do |request, lines|
  text.write(request)
  Array.new(lines) { text.gets("\r\n").chomp }
end
same('set beforehand', ask.call("set #{q} 0 0 4\r\nkeep\r\n", 1), ['STORED'])

Dalli.logger.level = Logger::FATAL
client = Dalli::Client.new(ARGV[0], socket_timeout: 5, socket_max_failures: 0)
[-> { client.set(q, 'lost') }, -> { client.get(q) }, -> { client.delete(q) }].each do |call|
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  begin
    abort "Dalli: got #{call.call.inspect}, want an error"
  rescue Dalli::RingError
    same('told at once', Process.clock_gettime(Process::CLOCK_MONOTONIC) - started < 4, true)
  end
end

same('queue unharmed', ask.call("get #{q}\r\n", 3), ["VALUE #{q} 0 4", 'keep', 'END'])
same('nothing more', ask.call("get #{q}\r\n", 1), ['END'])
puts "Dalli #{Dalli::VERSION} (refused: binary protocol)"
