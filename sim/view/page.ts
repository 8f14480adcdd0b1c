/**
 * The page of a run as one string: style, script and data are in it, and it asks nobody for anything; the policy in its head forbids it.
 * What comes from a run is text: escaped in the markup, and `<` escaped in the JSON, so that no content can end its script.
 */
import { createHash } from 'node:crypto';
import type { Recorded } from '../record/recorded.ts';
import type { PageParts } from './bundle.ts';
import type { PageData, PageMeta } from './page-data.ts';
import { summary } from './summary.ts';

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}

/** JSON that cannot end the script element it stands in. */
function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

const OUTCOMES: Readonly<Record<PageMeta['outcome'], string>> = { ok: 'passes', safety: 'unsafe', liveness: 'stuck', crash: 'crash', nondeterminism: 'not deterministic', 'gave-up': 'undecided' };

function verdict({ outcome }: PageMeta, { violation }: Recorded): string {
  if (outcome === 'ok') return 'Nothing is violated.';
  if (outcome === 'gave-up') return 'The linearizability checker ran out of time.';
  return violation === null ? 'The run failed.' : `${violation.invariant}: ${violation.message}`;
}

const MESSAGES = [['election', 'Election'], ['discovery', 'Discovery'], ['synchronization', 'Sync'], ['broadcast', 'Broadcast'], ['requests', 'Requests'], ['tasks', 'Tasks'], ['checkpoints', 'Checkpoints'], ['records', 'Records'], ['heartbeat', 'Heartbeats'], ['other', 'Other']] as const;
const REST = [
  ['role', 'Roles', 'dot'], ['life', 'Starts, crashes', 'ring'], ['log', 'Log', 'dot'], ['trouble', 'Trouble', 'tri'], ['job', 'Jobs', 'dot'], ['writes', 'Writes', 'box'], ['reads', 'Reads', 'box'], ['disk', 'Disk', ''], ['faults', 'Faults', 'box'],
] as const;
const KEYS = [
  ['V', 'the first violation'], ['F', 'the whole run'], ['← →', 'earlier, later'], ['↑ ↓  + −', 'closer, further'], ['[ ]', 'previous, next on the lane'], ['/', 'search'], ['N  Shift N', 'next, previous match'],
  ['B', 'the neighbour beside it'], ['P', 'where the runs part'], ['Home End', 'begin, end'], ['Esc', 'let go of everything'], ['?', 'this'],
] as const;

/** The first in full, the others as buttons that copy them. */
function commands({ commands: [first, ...others] }: PageMeta): string {
  const e = escapeHtml;
  if (first === undefined) return '';
  const rest = others.map(({ label, command }) => `<button type="button" class="small" data-copy="${e(command)}" title="${e(command)}" aria-label="Copy the line to ${e(label)}">${e(label)}</button>`).join('');
  return `<div class="command"><span>${e(first.label)}</span><code>${e(first.command)}</code><button type="button" class="small" data-copy="${e(first.command)}" aria-label="Copy the line to ${e(first.label)}">Copy</button></div>${rest === '' ? '' : `<div class="command"><span>copy</span>${rest}</div>`}`;
}

function chip(name: string, label: string, shape: string): string {
  return `<button type="button" data-shows="${name}" aria-pressed="true"><span class="swatch ${shape} c-${name}"></span>${label}</button>`;
}

export function renderPage(data: PageData, { script, style }: PageParts): string {
  const { meta, run, neighbour } = data;
  const e = escapeHtml;
  const title = `${meta.scenario}, seed ${meta.seed}: ${run.violation?.invariant ?? OUTCOMES[meta.outcome]}`;
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const pane = (no: number, heading: string, faint: string, hidden: boolean): string => `
      <section class="pane" id="pane-${no}" aria-label="${e(heading)}"${hidden ? ' hidden' : ''}>
        <h2>${e(heading)} <span class="faint">${e(faint)}</span></h2>
        <div class="gutter" id="gutter-${no}" role="group" aria-label="Lanes"></div>
        <div class="frame"><canvas id="canvas-${no}" role="img" aria-label="Timeline. The text summary below the page tells what it shows." tabindex="0"></canvas></div>
      </section>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${e(title)} · drey sim</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#summary">To the text summary</a>
<header class="head">
  <div>
    <div class="names"><span class="brand"><b>drey</b> sim</span><h1>${e(meta.scenario)}</h1><span class="chip">seed ${e(meta.seed)}</span><span class="chip">${meta.servers} servers</span>${meta.mutant === undefined ? '' : `<span class="chip mutant">mutant ${e(meta.mutant)}</span>`}</div>
    <p class="verdict${meta.outcome === 'ok' ? ' good' : ''}" id="verdict"><span class="mark">${OUTCOMES[meta.outcome]}</span><span class="text">${e(verdict(meta, run))}</span></p>
  </div>
  <div class="commands">${commands(meta)}</div>
  <dl class="facts">${meta.facts.map(({ label, value }) => `<div><dt>${e(label)}</dt><dd>${e(value)}</dd></div>`).join('')}</dl>
</header>
<div class="bar" role="toolbar" aria-label="Timeline">
  <div class="group">${run.violation === null ? '' : '<button type="button" class="primary" id="violation" title="V">First violation</button>'}<button type="button" id="whole" title="F">Whole run</button><button type="button" class="icon" id="further" title="−" aria-label="Further">−</button><button type="button" class="icon" id="closer" title="+" aria-label="Closer">+</button></div>
  <div id="filters" role="group" aria-label="What is shown">${MESSAGES.map(([name, label]) => chip(name, label, '')).join('')}<span class="label">·</span>${REST.map(([name, label, shape]) => chip(name, label, shape)).join('')}</div>
  <div class="group end">
    ${neighbour === null ? '' : '<button type="button" class="toggle" id="split" aria-pressed="false" title="B">Neighbour</button>'}
    <div class="search"><input id="search" type="search" placeholder="Search: ack 5:3, server 2" aria-label="Search" autocomplete="off" spellcheck="false"><span id="matches" aria-live="polite"></span><button type="button" class="icon" id="previous-match" aria-label="Previous match" title="Shift N">‹</button><button type="button" class="icon" id="next-match" aria-label="Next match" title="N">›</button></div>
    <button type="button" class="icon" id="keys" aria-label="Keys and legend" title="?">?</button>
  </div>
</div>
<main class="work">
  <div class="stage" id="stage">
    <div class="axis"><canvas id="ruler" aria-hidden="true"></canvas></div>
    <div class="panes">${pane(0, 'This run', OUTCOMES[meta.outcome], false)}${neighbour === null ? '' : pane(1, 'Neighbour', `the same seed ${neighbour.label}${neighbour.recorded.violation === null ? ', passes' : ''}`, true)}
    </div>
    <div class="map"><canvas id="minimap" role="img" aria-label="The whole run"></canvas></div>
  </div>
  <aside class="panel" id="panel" aria-label="Details"></aside>
</main>
<div id="said" class="hidden-text" role="status" aria-live="polite"></div>
<section id="summary" class="hidden-text" aria-label="Summary of the run" tabindex="-1">${summary(data).map((part) => `<h2>${e(part.heading)}</h2><ul>${part.lines.map((line) => `<li>${e(line)}</li>`).join('')}</ul>`).join('')}</section>
<dialog id="help" aria-label="Keys and legend">
  <h2>Keys</h2>
  <dl class="keys">${KEYS.map(([key, what]) => `<div><dd>${what}</dd><dt>${key.split('  ').map((one) => `<kbd>${one}</kbd>`).join(' ')}</dt></div>`).join('')}</dl>
  <h3>Pointer</h3>
  <ul class="plain"><li>Wheel: closer, further. Shift and wheel, or drag: earlier, later. Alt and wheel: other lanes.</li><li>Click keeps what is under the pointer in the panel. The name of a lane folds it. A double click on a filter shows that alone.</li></ul>
  <h3>What is drawn</h3>
  <ul class="plain"><li>On a server: its role, below it a thin stripe for the epoch; messages leave and arrive at the middle line; at the bottom, writes that its disk has not answered.</li><li>A dashed arrow with a cross was lost; one with a ring was on its way when the recording ended.</li><li>On a client: operations from call to return. A diamond is where a write takes effect: the first server delivers it. An outline was refused; one that fades has an unknown outcome.</li><li>Hatched: under a fault. The red line: the first violation.</li></ul>
  <form><button type="button" id="help-close">Close</button></form>
</dialog>
<script type="application/json" id="run-data">${embeddedJson(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}
