import test from 'ava';
import { DreyError } from '../../../coord/base/errors.ts';
import { parseProperties } from '../../../coord/config/properties.ts';
import { derivedHttpPort, parseMyid, parseZooCfg, settingsOf } from '../../../coord/config/zoo-cfg.ts';

const base = 'dataDir=/data\nclientPort=2181\n';
const three = 'server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n';

test('an ordinary file', (t) => {
  const cfg = parseZooCfg(
    ['# comment', 'tickTime=1000', 'initLimit = 7', 'syncLimit:3', 'dataDir=/var/lib/zookeeper ', 'dataLogDir=/log', 'clientPort=2182', 'clientPortAddress=127.0.0.1', 'maxClientCnxns=0',
      'minSessionTimeout=500', 'maxSessionTimeout=5000', 'jute.maxbuffer=0x1fffff', '4lw.commands.whitelist=ruok, srvr', 'admin.serverPort=9000', 'admin.serverAddress=127.0.0.2',
      'DigestAuthenticationProvider.superDigest=super:UdxDQl4f9v5oITwcAsO9bmWgHSI=', 'autopurge.purgeInterval=1', three].join('\n'), 'zoo.cfg');
  const { servers, whitelist, ...rest } = cfg;
  t.deepEqual(rest, {
    file: 'zoo.cfg', tickMs: 1000, initLimitTicks: 7, syncLimitTicks: 3, dataDir: '/var/lib/zookeeper', dataLogDir: '/log', clientPort: 2182, clientPortAddress: '127.0.0.1',
    maxClientCnxns: 0, minSessionTimeoutMs: 500, maxSessionTimeoutMs: 5000, juteMaxBuffer: 0x1fffff, admin: { address: '127.0.0.2', port: 9000 },
    superDigest: 'super:UdxDQl4f9v5oITwcAsO9bmWgHSI=', quorumListenOnAllIPs: false, warnings: [],
  });
  t.deepEqual([...whitelist], ['ruok', 'srvr']);
  t.deepEqual(servers.map(({ sid, host, peerPort, electionPort, clientPort }) => [sid, host, peerPort, electionPort, clientPort]), [
    [1, 'a', 2888, 3888, null], [2, 'b', 2888, 3888, null], [3, 'c', 2888, 3888, null],
  ]);
  t.like(settingsOf(cfg, 2), { sid: 2, clientPort: 2182, standalone: false, http: { host: '127.0.0.2', port: 9000 } });
});

test('defaults', (t) => {
  const cfg = parseZooCfg(base, 'zoo.cfg');
  t.like(cfg, { tickMs: 2000, initLimitTicks: 10, syncLimitTicks: 5, dataLogDir: '/data', maxClientCnxns: 60, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000, juteMaxBuffer: 0xfffff });
  t.deepEqual([...cfg.whitelist].toSorted(), ['conf', 'cons', 'isro', 'mntr', 'ruok', 'srvr', 'stat', 'wchs']);
  t.like(settingsOf(cfg, null), { sid: 0, standalone: true, clientPort: 2181, http: { host: '127.0.0.1', port: 8181 } });
  t.like(settingsOf(parseZooCfg(`${base}server.7=h:2888\n`, 'z'), null), { sid: 7, standalone: true });
  t.is(settingsOf(parseZooCfg(`${base}admin.enableServer=false\n`, 'z'), null).http, null);
  t.deepEqual(settingsOf(parseZooCfg(`${base}clientPortAddress=10.0.0.1\n`, 'z'), null).http, { host: '10.0.0.1', port: 8181 });
  t.true(parseZooCfg(`${base}4lw.commands.whitelist=*\n`, 'z').whitelist.has('dump'));
});

test('server lines in all their forms', (t) => {
  const line = (value: string): unknown => {
    const { line: _line, ...server } = parseZooCfg(`${base}server.1=${value}\n`, 'z').servers[0]!;
    return Object.values(server);
  };
  t.deepEqual(line('h:2888'), [1, 'h', 2888, null, null, null]);
  t.deepEqual(line('h:2888:3888:participant'), [1, 'h', 2888, 3888, null, null]);
  t.deepEqual(line('h:2888:participant'), [1, 'h', 2888, null, null, null]);
  t.deepEqual(line('h:2888:3888;2181'), [1, 'h', 2888, 3888, null, 2181]);
  t.deepEqual(line('h:2888:3888:participant;0.0.0.0:2181'), [1, 'h', 2888, 3888, '0.0.0.0', 2181]);
  t.deepEqual(line('[::1]:2888:3888;[::]:2181'), [1, '::1', 2888, 3888, '::', 2181]);
});

test('the client port may stand in the server line', (t) => {
  const cfg = parseZooCfg('dataDir=/d\nserver.1=h:2888:3888;127.0.0.1:2191\nserver.2=h:2889:3889;2192\nserver.3=h:2890:3890;2193\n', 'z');
  t.like(settingsOf(cfg, 1), { clientPort: 2191, clientPortAddress: '127.0.0.1' });
  t.like(settingsOf(cfg, 3), { clientPort: 2193, clientPortAddress: null });
});

const refusedFiles: Record<string, [text: string, message: string]> = {
  'no dataDir': ['clientPort=2181', 'zoo.cfg: dataDir is missing'],
  'empty dataDir': ['dataDir=', 'zoo.cfg:1: dataDir has no value'],
  'text as number': [`${base}tickTime=fast`, 'zoo.cfg:3: tickTime must be a whole number, not "fast"'],
  'zero tick': [`${base}tickTime=0`, 'zoo.cfg:3: tickTime must be from 1 to 2147483647, not 0'],
  'bad port': ['dataDir=/d\nclientPort=70000', 'zoo.cfg:2: clientPort must be from 1 to 65535, not 70000'],
  'duplicate key': [`${base}\nclientPort=2182`, 'zoo.cfg:4: clientPort is set again; it already stands in line 2'],
  'duplicate server': [`${base}server.1=a:1\nserver.01=b:1`, 'zoo.cfg:4: server.1 already stands in line 3'],
  'same address': [`${base}server.1=a:2888:3888\nserver.2=a:2888:3889`, 'zoo.cfg:4: server.2 has the host and the peer port of server.1 in line 3'],
  'same client port': [`${base}server.1=a:1;7\nserver.2=a:2;7`, 'zoo.cfg:4: server.2 has the host and the client port of server.1 in line 3'],
  'server number': [`${base}server.256=a:1`, 'zoo.cfg:3: N in server.256 must be from 1 to 255, not 256'],
  'server without number': [`${base}server.x=a:1`, 'zoo.cfg:3: N in server.x must be a whole number, not "x"'],
  'server without port': [`${base}server.1=a`, 'zoo.cfg:3: server.1 must be host:peerPort[:electionPort][:participant][;[address:]clientPort], not "a"'],
  'peer port': [`${base}server.1=a:b`, 'zoo.cfg:3: the peer port of server.1 must be a whole number, not "b"'],
  'role': [`${base}server.1=a:1:2:learner`, 'zoo.cfg:3: server.1 has the role "learner"; it can be participant'],
  'observer': [`${base}server.1=a:1:2:observer`, 'zoo.cfg:3: server.1 is an observer; observers are not supported yet'],
  'two addresses': [`${base}server.1=a:1:2|b:1:2`, 'zoo.cfg:3: server.1: several addresses of one server are not supported'],
  'session timeouts': [`${base}minSessionTimeout=9000\nmaxSessionTimeout=8000`, 'zoo.cfg:3: minSessionTimeout (9000) is larger than maxSessionTimeout (8000)'],
  'boolean': [`${base}admin.enableServer=on`, 'zoo.cfg:3: admin.enableServer must be true or false, not "on"'],
  'digest': [`${base}DigestAuthenticationProvider.superDigest=secret`, 'zoo.cfg:3: DigestAuthenticationProvider.superDigest must be user:digest, the digest in base64'],
  'TLS': [`${base}secureClientPort=2182`, 'zoo.cfg:3: secureClientPort: there is no TLS for clients yet; remove the line, or put a TLS proxy in front'],
  'TLS between servers': [`${base}sslQuorum=true`, 'zoo.cfg:3: sslQuorum: there is no TLS between servers yet; remove the line'],
  'weights': [`${base}weight.1=2`, 'zoo.cfg:3: weight.1: hierarchical quorums are not supported: every server has one vote'],
  'election': [`${base}electionAlg=0`, 'zoo.cfg:3: electionAlg: the only election algorithm is 3'],
  'autopurge': [`${base}autopurge.purgeInterval=often`, 'zoo.cfg:3: autopurge.purgeInterval must be a whole number, not "often"'],
};
for (const [what, [text, message]] of Object.entries(refusedFiles)) {
  test(`refused: ${what}`, (t) => {
    const error = t.throws(() => parseZooCfg(text, 'zoo.cfg'), { instanceOf: DreyError });
    t.is(error?.message, message);
    t.is(error?.code, 'COORD_CONFIG');
  });
}

test('refused: what does not fit the server that starts', (t) => {
  const refusal = (text: string, sid: number | null): string | undefined => t.throws(() => settingsOf(parseZooCfg(text, 'zoo.cfg'), sid), { instanceOf: DreyError })?.message;
  t.is(refusal(base + three, 4), 'zoo.cfg: myid is 4, but there is no server.4');
  t.is(refusal(base + three, null), 'zoo.cfg: there are 3 server lines, but no myid in /data says which of them this server is');
  t.is(refusal('dataDir=/d', null), 'zoo.cfg: clientPort is missing');
  t.is(refusal(`${base}server.1=h:2888;2182`, 1), 'zoo.cfg:3: server.1 says client port 2182, clientPort says 2181');
  t.is(refusal(`${base}server.1=h:2181`, 1), 'zoo.cfg:3: the peer port and the client port are both 2181');
  t.is(refusal(`${base}admin.serverPort=2181`, null), 'zoo.cfg: the HTTP port 2181 is the client port too: set admin.serverPort');
});

test('keys without a meaning: one warning each', (t) => {
  const cfg = parseZooCfg(`${base}snapCount=1\nssl.keyStore.location=/k\nautopurge.snapRetainCount=3\nsslQuorum=false\nserver.1=a:1\nserver.2=b:1\n`, 'zoo.cfg');
  t.deepEqual(cfg.warnings, [
    'zoo.cfg: 2 servers bear the loss of no more servers than 1 would',
    'zoo.cfg:3: snapCount has no meaning for this server and is ignored',
    'zoo.cfg:4: ssl.keyStore.location has no meaning for this server and is ignored',
    'zoo.cfg:6: sslQuorum has no meaning for this server and is ignored',
  ]);
});

test('myid', (t) => {
  t.is(parseMyid('3\n', 'myid'), 3);
  t.is(parseMyid(' 255 ', 'myid'), 255);
  for (const text of ['', '0', '256', '-1', '1.5', 'one', '1 2', '0x1']) {
    t.regex(t.throws(() => parseMyid(text, '/data/myid'))!.message, /^\/data\/myid:1: myid must be a number from 1 to 255, not "/);
  }
});

test('HTTP ports: legal, and different for different client ports', (t) => {
  t.is(derivedHttpPort(2181), 8181);
  t.is(derivedHttpPort(59_535), 65_535);
  t.is(derivedHttpPort(59_536), 1024);
  t.is(derivedHttpPort(80), 6080);
  const ports = Array.from({ length: 65_535 - 1023 }, (_, i) => derivedHttpPort(1024 + i));
  t.is(new Set(ports).size, ports.length);
  t.true(ports.every((port) => port >= 1024 && port <= 65_535));
});

test('property files', (t) => {
  t.deepEqual(parseProperties('\uFEFFa=1\r\n! no\r\n  b : two words  \r\nc d\\\n   e\ne\\ f=g\\=h\nu=\\u0041\\\\\n\nempty=\nalone'), [
    { key: 'a', value: '1', line: 1 }, { key: 'b', value: 'two words', line: 3 }, { key: 'c', value: 'de', line: 4 }, { key: 'e f', value: 'g=h', line: 6 },
    { key: 'u', value: 'A\\', line: 7 }, { key: 'empty', value: '', line: 9 }, { key: 'alone', value: '', line: 10 },
  ]);
});
