import test from 'ava';
import { answerFourLetterWord, DEFAULT_WHITELIST, fourLetterWordOf, parseWhitelist } from '../../../coord/wire/four-letter-words.ts';
import { sampleStats as stats } from './sample-stats.ts';

const all = parseWhitelist('*');
const answer = (word: string, change: Parameters<typeof stats>[0] = {}): string => answerFourLetterWord(word, stats(change), all);

test('srvr', (t) => {
  t.is(answer('srvr'), [
    'Zookeeper version: 3.9.5-drey-0.1.0, built on Node.js', 'Latency min/avg/max: 0/1.25/17', 'Received: 120', 'Sent: 118', 'Connections: 2',
    'Outstanding: 1', 'Zxid: 0x200000007', 'Mode: follower', 'Node count: 5', '',
  ].join('\n'));
  const leader = {
    learners: 2, syncedFollowers: 2, pendingSyncs: 0, quorumSize: 3, proposalCount: 9, lastProposalBytes: 48, minProposalBytes: 36, maxProposalBytes: 90, uptimeMs: 7000.5,
  };
  t.regex(answer('srvr', { mode: 'leader', leader }), /Mode: leader\nNode count: 5\nProposal sizes last\/min\/max: 48\/36\/90\n$/);
  t.regex(answer('srvr', { mode: 'read-only' }), /built on Node\.js\nREAD-ONLY mode; serving only read-only clients\nLatency/);
  t.regex(answer('mntr', { mode: 'leader', leader }), /zk_server_state\tleader\n[^]*zk_synced_followers\t2\n/);
});

test('stat and cons', (t) => {
  t.regex(answer('stat'), /^Zookeeper version: .*\nClients:\n \/127\.0\.0\.1:4711\[1\]\(queued=0,recved=3,sent=2\)\n \/\[::1\]:4712\[1\]\(queued=1,recved=0,sent=0\)\n\nLatency min/);
  t.is(answer('cons'), [
    ' /127.0.0.1:4711[1](queued=0,recved=3,sent=2,sid=0x8100000000000001,lop=GETD,est=1700000000000,to=30000,lcxid=0x7,lzxid=0x200000007,lresp=1700000001000,llat=1,minlat=0,avglat=1,maxlat=4)',
    ' /[::1]:4712[1](queued=1,recved=0,sent=0)', '', '',
  ].join('\n'));
});

test('mntr: one key and value a line, with a tab', (t) => {
  const lines = answer('mntr').trimEnd().split('\n');
  for (const line of lines) t.regex(line, /^zk_[a-z0-9_]+\t[^\t]+$/);
  for (const line of ['zk_version\t3.9.5-drey-0.1.0, built on Node.js', 'zk_server_state\tfollower', 'zk_avg_latency\t1.25', 'zk_znode_count\t5', 'zk_approximate_data_size\t4096', 'zk_uptime\t9000']) {
    t.true(lines.includes(line), line);
  }
});

test('the small ones', (t) => {
  t.is(answer('ruok'), 'imok');
  t.is(answer('isro'), 'rw');
  t.is(answer('isro', { mode: 'read-only' }), 'ro');
  t.is(answer('conf'), 'clientPort=2181\ndataDir=/data\n');
  t.is(answer('wchs'), '2 connections watching 3 paths\nTotal watches:4\n');
  t.is(answer('envi'), 'Environment:\nzookeeper.version=3.9.5-drey-0.1.0, built on Node.js\nhost.name=here\n');
});

test('dump', (t) => {
  t.is(answer('dump'), [
    'SessionTracker dump:', 'Session Sets (2)/(3):', '1 expire at 2023-11-14 22:13:20 UTC:', '\t0x2', '2 expire at 2024-02-29 23:59:59 UTC:', '\t0x8100000000000001', '\t0x3',
    'ephemeral nodes dump:', 'Sessions with Ephemerals (1):', '0x8100000000000001:', '\t/a', '\t/b', 'Connections dump:', '',
  ].join('\n'));
});

test('a server that does not serve says so', (t) => {
  for (const word of ['srvr', 'stat', 'mntr', 'conf', 'cons', 'wchs', 'dump']) {
    t.is(answer(word, { serving: false }), 'This ZooKeeper instance is not currently serving requests\n');
  }
  t.is(answer('ruok', { serving: false }), 'imok');
  t.is(answer('isro', { serving: false }), 'null');
  t.regex(answer('envi', { serving: false }), /^Environment:\n/);
});

test('what the whitelist does not hold is refused', (t) => {
  const whitelist = parseWhitelist(' srvr, ruok ');
  t.is(answerFourLetterWord('mntr', stats(), whitelist), 'mntr is not executed because it is not in the whitelist.\n');
  t.is(answerFourLetterWord('ruok', stats(), whitelist), 'imok');
  t.is(answerFourLetterWord('dump', stats(), new Set(DEFAULT_WHITELIST)), 'dump is not executed because it is not in the whitelist.\n');
  t.deepEqual(DEFAULT_WHITELIST.toSorted(), ['conf', 'cons', 'isro', 'mntr', 'ruok', 'srvr', 'stat', 'wchs']);
  t.regex(answer('wchp'), /not executed because this server does not have it/);
});

test('words are told from lengths', (t) => {
  t.is(fourLetterWordOf(Buffer.from('srvr').readInt32BE(0)), 'srvr');
  t.is(fourLetterWordOf(45), undefined);
  t.is(fourLetterWordOf(Buffer.from('GET ').readInt32BE(0)), undefined);
});
