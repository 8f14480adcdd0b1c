import test from 'ava';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drawPlan } from '../../sim/plan/draw.ts';
import { Recording } from '../../sim/record/recording.ts';
import { runPlan } from '../../sim/run/run-plan.ts';
import { writePage } from '../../sim/view/open.ts';
import type { PageMeta } from '../../sim/view/page-data.ts';

const META: PageMeta = { scenario: 'made-up', seed: '1', servers: 3, outcome: 'safety', facts: [], commands: [{ label: 'replay', command: 'npx drey sim replay x.json' }] };

function page(t: { teardown: (fn: () => void) => void }, recording: Recording, meta = META): string {
  const dir = mkdtempSync(join(tmpdir(), 'drey-view-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return readFileSync(writePage(recording.recorded(), null, meta, join(dir, 'run.html')), 'utf8');
}

test('a run that is recorded ends on the same trace', async (t) => {
  for (const seed of ['1', '2']) {
    const plan = drawPlan('leader-loss', { seed, servers: 3 });
    const recording = new Recording();
    const recorded = await runPlan(plan, { recorder: recording });
    t.is(recorded.traceHash, (await runPlan(plan)).traceHash);
    const { lanes, strings, events, messages, operations, bands, faults, endAt } = recording.recorded();
    t.deepEqual(lanes.filter(({ kind }) => kind === 'server').map(({ id }) => id), ['server-1', 'server-2', 'server-3']);
    t.is(faults.length, Object.values(recorded.faults).reduce((sum, count) => sum + count, 0));
    const of = (texts: readonly number[], text: string): number => texts.filter((each) => strings[each] === text).length;
    t.true(of(messages.type, 'PROPOSAL') > 10 && of(messages.type, 'NOTIFICATION') > 2 && of(messages.type, 'HEARTBEAT') > 2, 'messages by their types');
    t.true(of(events.name, 'Established') === recorded.elections, 'every election');
    t.true(of(bands.band, 'role') > 6 && of(bands.band, 'epoch') >= 3 && of(bands.band, 'disk') > 10 && of(bands.label, 'down') >= 1);
    // Of those that the library makes for itself (watches again, pings) some are answered, too.
    t.true(operations.outcome.filter((outcome) => strings[outcome] === 'OK').length > 20);
    t.true(Math.abs(endAt / 1000 - recorded.virtualMs) < 1000);
  }
});

test('a recording keeps the newest, heartbeats apart, and says what it let go', (t) => {
  const recording = new Recording({ keep: 10 });
  for (let i = 0; i < 100; i++) {
    recording.event(i, 'server-1', 'Deliver', { zxid: 2 ** 32 + i });
    const number = recording.sent('server-1', 'server-2', 'PROPOSAL', i, {});
    recording.arrived(number, i + 0.5, i === 98);
    for (let beat = 0; beat < 9; beat++) recording.message('server-1', 'server-2', 'HEARTBEAT', i, i + 1, {});
  }
  recording.sent('server-2', 'server-1', 'ACK', 100, {});
  const { events, messages, strings, leftOut, endAt } = recording.recorded();
  t.deepEqual(events.at, [90, 91, 92, 93, 94, 95, 96, 97, 98, 99].map((ms) => ms * 1000));
  t.is(strings[events.fields[0] as number], '{"zxid":"0x10000005a"}');
  const kept = messages.sentAt.flatMap((at, i) => (strings[messages.type[i] as number] === 'HEARTBEAT' ? [] : [{ at: at / 1000, lost: messages.lost[i], end: messages.endAt[i] }]));
  t.is(kept.length, 10);
  t.deepEqual(kept.slice(-3), [{ at: 98, lost: 1, end: 98_500 }, { at: 99, lost: 0, end: 99_500 }, { at: 100, lost: 0, end: -1 }]);
  t.deepEqual(leftOut.map(({ what, count, before }) => [what, count, before / 1000]), [['events', 90, 89], ['messages', 91, 90], ['heartbeats', 897, 99]]);
  t.is(endAt, 100_000);
});

test('a recording ends where it is told to, whatever comes later', (t) => {
  const recording = new Recording({ untilMs: 10 });
  recording.begin(4, 'server-1', 'role', 'leading');
  const late = recording.sent('server-1', 'server-2', 'PROPOSAL', 9, {});
  recording.arrived(late, 11, false);
  recording.event(11, 'server-1', 'Deliver', {});
  t.is(recording.sent('server-1', 'server-2', 'COMMIT', 12, {}), -1);
  recording.end(20, 'server-1', 'role');
  const { events, messages, bands, endAt } = recording.recorded();
  t.deepEqual([events.at.length, messages.endAt, bands.to, endAt], [0, [-1], [10_000], 10_000]);
});

test('a violation lies on the lane that it names', (t) => {
  const recording = new Recording();
  recording.lane('server-3', 'server');
  recording.violation(5, 'QuorumDurability', 'server 3 acked 0x1', null);
  t.deepEqual(recording.recorded().violation, { at: 5000, invariant: 'QuorumDurability', message: 'server 3 acked 0x1', lane: 0 });
});

test('the page asks nobody for anything, and nothing in a run can end its script', (t) => {
  const evil = '</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> &amp; \u2028 "\'';
  const recording = new Recording();
  recording.event(1, 'server-1', evil, { [evil]: evil });
  recording.operation('client-1', 'set', evil, 1, 2, 'OK', 1);
  recording.fault('f1', evil, ['server-1'], 1, 2, evil);
  recording.violation(3, evil, evil, 'server-1');
  const html = page(t, recording, { ...META, scenario: evil, seed: evil, mutant: evil, facts: [{ label: evil, value: evil }], commands: [{ label: evil, command: evil }, { label: evil, command: evil }] });
  t.is(html.match(/<script/g)?.length, 2, 'the data and the script');
  t.is(html.match(/<\/script>/g)?.length, 2);
  t.notRegex(html, /<img/);
  t.notRegex(html, /\b(?:src|href)="(?!#summary|data:,)/);
  const [, data = ''] = /<script type="application\/json" id="run-data">(.*?)<\/script>/s.exec(html) ?? [];
  t.deepEqual((JSON.parse(data) as { run: unknown }).run, recording.recorded());

  // The policy lets in this script and this style, and nothing else.
  const policy = /Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1] ?? '';
  const hash = (text = ''): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  t.true(policy.includes("default-src 'none'") && !/unsafe|https?:|\*/.test(policy));
  t.true(policy.includes(`script-src ${hash(/<script>([\s\S]*)<\/script>\s*<\/body>/.exec(html)?.[1])}`));
  t.true(policy.includes(`style-src ${hash(/<style>([\s\S]*?)<\/style>/.exec(html)?.[1])}`));
});
