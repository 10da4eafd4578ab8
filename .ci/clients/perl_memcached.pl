# Cache::Memcached or Cache::Memcached::Fast against a server: perl_memcached.pl HOST:PORT MODULE
use strict;
use warnings;
use Data::Dumper;

my ($server, $module) = @ARGV;
eval "require $module" or die $@;
(my $q = lc $module) =~ s/::/-/g;

sub same {
    my ($what, $got, $want) = @_;
    local ($Data::Dumper::Useperl, $Data::Dumper::Sortkeys) = (1, 1);    # 1 and '1' are the same
    my ($g, $w) = map { Dumper($_) } $got, $want;
    die sprintf "%s: %s: got %.200s, want %.200s\n", $module, $what, $g, $w if $g ne $w;
}

sub connection { $module->new({ servers => [$server], @_ }) }

# The server answers with the queue's name alone. Cache::Memcached's get looks for the whole key it
# asked for, and only its get_multi returns what came. With the Fast module it is the other way
# round.
sub get_with {
    my ($c, $options) = @_;
    return $c->get("$q/$options") if $module ne 'Cache::Memcached';
    return $c->get_multi("$q/$options")->{$q};
}

my $c = connection();
same('delete of nothing', $c->delete($q), 1);
same('empty queue', $c->get($q), undef);

my $megabyte = join '', map { chr($_ * $_ >> 7 & 255) } 0 .. (1 << 20) - 1;
my @plain = (['every byte', join '', map { chr } 0 .. 255], ['empty value', ''],
    ['1 MB', $megabyte], ['line ends', "\r\nEND\r\n"]);
for (@plain) {
    my ($what, $value) = @$_;
    same("set of $what", $c->set($q, $value), 1);
    same($what, $c->get($q), $value);
}

# References (Storable) and compression travel in the flags.
my @values = ([1, 'two', undef], { k => [1, 2.5, { deep => 'x' }] }, \'scalar');
same('set of a reference', $c->set($q, $_), 1) for @values;
same('reference in order', $c->get($q), $_) for @values;
my $packed = connection(compress_threshold => 1000);
same('set of a compressed value', $packed->set($q, 'a' x 100_000), 1);
same('compressed value', $packed->get($q), 'a' x 100_000);

$c->set($q, 'one');
my ($first, $second) = (connection(), connection());
same('open', get_with($first, 'open'), 'one');
same('set aside', $c->get($q), undef);
$first->disconnect_all;    # the item goes back with the connection
same('open, waiting', get_with($second, 't=10000/open'), 'one');
same('abort', get_with($second, 'abort'), undef);
same('open again', get_with($second, 'open'), 'one');
same('close', get_with($second, 'close'), undef);
same('confirmed', $c->get($q), undef);

$c->set($q, 'left');
same('delete', $c->delete($q), 1);
same('deleted', $c->get($q), undef);
print "$module ", $module->VERSION, "\n";
