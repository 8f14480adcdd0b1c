import { fileURLToPath } from 'node:url';
import { basename } from 'node:path';
import fc from 'fast-check';
import test from 'ava';
import { InputGate } from '../../../orchestrator/task/input-gate.ts';
import type { GateEvent } from '../../../orchestrator/task/input-gate.ts';
import type { StreamElement } from '../../../orchestrator/task/stream-element.ts';
import { MAX_WATERMARK, MIN_WATERMARK } from '../../../orchestrator/task/stream-element.ts';
import type { Command } from '../../lib/datadriven.ts';
import { describeMismatch, runScript, scripts } from '../../lib/datadriven.ts';

/**
 * gate channels=N [timeout=MS] [restored=ID] [watermark=MS]   a new gate
 * run                                                         its input, line by line, and what the task sees after each line:
 *   <channel> a b       records        <channel> w10 | wmax    watermark     <channel> idle | active     status
 *   <channel> |3 [stop] [final] [ended]   barrier              <channel> end
 *   at 50               the time       abort 3
 */
function interpreter(): (command: Command) => string {
  let gate = newGate(1);
  let nowMs = 0;
  return ({ name, options, input }) => {
    if (name === 'gate') {
      gate = newGate(Number(options.get('channels')), Number(options.get('timeout') ?? Infinity), Number(options.get('restored') ?? 0), Number(options.get('watermark') ?? MIN_WATERMARK));
      nowMs = 0;
      return '';
    }
    const out: string[] = [];
    for (const line of input.split('\n')) {
      const [first = '', ...words] = line.split(' ');
      if (first === 'at') {
        nowMs = Number(words[0]);
        gate.onTime(nowMs);
      } else if (first === 'abort') gate.abort(Number(words[0]));
      else gate.add(Number(first), element(words));
      const seen = drain(gate, nowMs).map(text);
      out.push(`${line.padEnd(14)} > ${seen.join(', ')}`);
    }
    return out.join('\n');
  };
}

function newGate(channels: number, alignmentTimeoutMs = Infinity, restoredCheckpointId = 0, restoredWatermarkMs = MIN_WATERMARK): InputGate {
  return new InputGate(channels, { alignmentTimeoutMs, restoredCheckpointId, restoredWatermarkMs });
}

function element(words: readonly string[]): StreamElement {
  const [word = ''] = words;
  if (word === 'end') return { type: 'end' };
  if (word === 'idle' || word === 'active') return { type: 'status', idle: word === 'idle' };
  if (/^w(\d+|max)$/.test(word)) return { type: 'watermark', timestampMs: word === 'wmax' ? MAX_WATERMARK : Number(word.slice(1)) };
  if (word.startsWith('|')) return { type: 'barrier', checkpointId: Number(word.slice(1)), stop: words.includes('stop'), final: words.includes('final'), ended: words.includes('ended') };
  return { type: 'records', values: words, timestamps: words.map(() => 0) };
}

function drain(gate: InputGate, nowMs: number): GateEvent[] {
  const events: GateEvent[] = [];
  for (let event = gate.next(nowMs); event !== null; event = gate.next(nowMs)) events.push(event);
  return events;
}

function text(event: GateEvent): string {
  switch (event.type) {
    case 'records':
      return event.batch.values.join(' ');
    case 'watermark':
      return `w${event.timestampMs === MAX_WATERMARK ? 'max' : event.timestampMs === MIN_WATERMARK ? 'min' : event.timestampMs}${event.idle ? ' idle' : ''}`;
    case 'barrier': {
      const { checkpointId, stop, final, ended } = event.barrier;
      return `|${checkpointId}${stop ? ' stop' : ''}${final ? ' final' : ''}${ended ? ' ended' : ''} after ${event.alignmentMs} ms`;
    }
    default:
      return `cancelled ${event.checkpointId}: ${event.reason}`;
  }
}

for (const file of scripts(fileURLToPath(new URL('testdata/gate', import.meta.url)))) {
  test(`script ${basename(file)}`, (t) => {
    t.deepEqual(runScript(file, interpreter()).map(describeMismatch), []);
  });
}

test('any interleaving: a barrier cuts each channel where its sender put it, order is kept, nothing is lost', (t) => {
  const channel = fc.array(fc.oneof({ weight: 4, arbitrary: fc.constant('record') }, { weight: 1, arbitrary: fc.constant('barrier') }, { weight: 1, arbitrary: fc.constant('watermark') }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.array(channel, { minLength: 1, maxLength: 4 }), fc.infiniteStream(fc.nat({ max: 7 })), (channels, choices) => {
      // Every channel delivers barriers 1 to n, then ends; value c.i is record i of channel c.
      const barriers = Math.max(...channels.map((elements) => elements.filter((e) => e === 'barrier').length));
      const queues = channels.map((elements, c) => {
        let id = 0;
        let records = 0;
        const queue: StreamElement[] = elements.map((kind, i) => {
          if (kind === 'barrier') return { type: 'barrier', checkpointId: ++id, stop: false, final: false, ended: false };
          if (kind === 'watermark') return { type: 'watermark', timestampMs: i };
          return { type: 'records', values: [`${c}.${records++}`], timestamps: [0] };
        });
        while (id < barriers) queue.push({ type: 'barrier', checkpointId: ++id, stop: false, final: false, ended: false });
        queue.push({ type: 'end' });
        return queue;
      });
      const before = (c: number, id: number): number => (queues[c] ?? []).slice(0, (queues[c] ?? []).findIndex((e) => e.type === 'barrier' && e.checkpointId === id)).filter((e) => e.type === 'records').length;
      const total = queues.map((queue) => queue.filter((e) => e.type === 'records').length);

      const gate = newGate(queues.length);
      const sent = queues.map(() => 0);
      const seen = queues.map(() => 0);
      const cuts: number[][] = [];
      let watermarkMs = MIN_WATERMARK;
      const look = (): void => {
        for (const event of drain(gate, 0)) {
          if (event.type === 'records') {
            t.deepEqual(event.batch.values, [`${event.channel}.${seen[event.channel]}`]);
            seen[event.channel] = (seen[event.channel] ?? 0) + 1;
          } else if (event.type === 'barrier') {
            t.is(event.barrier.checkpointId, cuts.length + 1);
            cuts.push([...seen]);
          } else if (event.type === 'watermark') {
            t.true(event.timestampMs >= watermarkMs);
            watermarkMs = event.timestampMs;
          } else t.fail(event.reason);
        }
      };
      while (sent.some((n, c) => n < (queues[c] ?? []).length)) {
        const open = sent.flatMap((n, c) => (n < (queues[c] ?? []).length ? [c] : []));
        const c = open[(choices.next().value as number) % open.length] as number;
        gate.add(c, queues[c]?.[sent[c] as number] as StreamElement);
        sent[c] = (sent[c] as number) + 1;
        if ((choices.next().value as number) % 2 === 0) look();
      }
      look();
      t.deepEqual(seen, total);
      t.deepEqual(cuts, Array.from({ length: barriers }, (_, i) => queues.map((_queue, c) => before(c, i + 1))));
    }),
    { numRuns: 300 },
  );
});

test('watermarks that nobody has taken yet take the place of those before them', (t) => {
  const gate = newGate(1);
  for (let i = 0; i < 1000; i++) gate.add(0, { type: 'watermark', timestampMs: i });
  t.is(gate.queued(0), 1);
  t.deepEqual(drain(gate, 0), [{ type: 'watermark', timestampMs: 999, idle: false }]);
});
