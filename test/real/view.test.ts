/** The page of a run in a real browser: a mutant's failure, found, opened and read as a user does it. */
import test, { type ExecutionContext } from 'ava';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { chromium, type Browser, type Page } from 'playwright-core';
import { chromiumOrSkip } from '../lib/chromium-or-skip.ts';

const drey = join(import.meta.dirname, '..', '..', 'drey.js');

/** What the page leaves for tests, as far as these use it. */
interface Drey {
  readonly ui: { readonly span: { readonly from: number; readonly to: number }; readonly hidden: ReadonlySet<string>; readonly folded: ReadonlySet<string>; readonly split: boolean; readonly matches: readonly { readonly pane: number; readonly item: unknown }[]; readonly hover: unknown; readonly followed: string | null; readonly pinned: { readonly pane: number; readonly item: { readonly type: string; readonly no: number } } | null };
  readonly panes: readonly { readonly layout: { readonly rows: readonly { readonly id: string; readonly lane: { readonly no: number } | null; readonly top: number; readonly y: number; readonly height: number }[] }; readonly scroll: number; readonly width: number; readonly height: number; at(x: number, y: number): { readonly type: string; readonly no: number } | null }[];
  readonly models: readonly { readonly run: { readonly violation: { readonly at: number } | null; readonly messages: { readonly sentAt: readonly number[] } }; title(item: unknown): string; from(item: unknown): number; lanesOf(item: unknown): readonly number[]; zxid(item: unknown): string | null }[];
  readonly parts: { readonly at: number } | null;
}
declare const window: { readonly drey: Drey };

const path = chromiumOrSkip(test, 'a page of a run in a browser');

if (path !== null) {
  let browser: Browser;
  let dir = '';
  let url = '';

  test.before(async (t) => {
    t.timeout(240_000);
    dir = mkdtempSync(join(tmpdir(), 'drey-view-'));
    const run = promisify(execFile);
    // The first seed that fails and has a neighbour: one that passes when a single event is taken away.
    for (let from = 1, tries = 0; url === ''; tries++) {
      if (tries === 8) return t.fail('none of eight failures has a neighbour');
      await t.throwsAsync(run(process.execPath, [drey, 'sim', 'leader-loss', '--from-seed', String(from), '--seeds', '200', '--mutant', 'trunc-one-too-many', '--out', dir], { cwd: dir }), { code: 1 } as object);
      const [file = ''] = readdirSync(dir).filter((name) => name.endsWith('.json'));
      from = Number(/-(\d+)-trunc/.exec(file)?.[1]) + 1;
      const page = join(dir, 'run.html');
      const { stdout } = await run(process.execPath, [drey, 'sim', 'open', join(dir, file), '--out', page], { cwd: dir });
      if (/^beside it: /m.test(stdout)) url = pathToFileURL(page).href;
      else rmSync(join(dir, file));
    }
    browser = await chromium.launch({ executablePath: path, args: ['--no-sandbox'] });
  });
  test.after.always(async () => {
    await browser?.close();
    if (dir !== '') rmSync(dir, { recursive: true, force: true });
  });

  /** A fresh page; at its end it has said nothing wrong and asked nobody for anything. */
  const opened = (title: string, hash: string, look: (t: ExecutionContext, page: Page) => Promise<void>, viewport = { width: 1440, height: 900 }): void => {
    test.serial(title, async (t) => {
      t.timeout(60_000);
      const complaints: string[] = [];
      const context = await browser.newContext({ viewport, reducedMotion: 'reduce' });
      t.teardown(() => context.close());
      const page = await context.newPage();
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
      page.on('request', (request) => {
        if (!request.url().startsWith(url) && !request.url().startsWith('data:')) complaints.push(request.url());
      });
      await page.goto(url + hash);
      await page.waitForFunction(() => window.drey !== undefined);
      await look(t, page);
      t.deepEqual(complaints, []);
    });
  };
  const violationIsSeen = (page: Page): Promise<boolean> => page.evaluate(() => {
    const { ui, models } = window.drey;
    const at = models[0]?.run.violation?.at ?? -1;
    return at > ui.span.from && at < ui.span.to;
  });

  opened('has a header, a lane for everyone, and a summary for those who do not see it', '', async (t, page) => {
    t.is(await page.locator('h1').textContent(), 'leader-loss');
    t.regex((await page.locator('#verdict').textContent()) ?? '', /unsafe.*: server \d/);
    t.regex((await page.locator('.command code').first().textContent()) ?? '', /^npx drey sim replay /);
    const lanes = await page.locator('#gutter-0 button').allTextContents();
    for (const lane of ['faults', 'server 1', 'server 5', 'client 1']) t.true(lanes.includes(lane), lane);
    t.regex((await page.locator('#summary').textContent()) ?? '', /Verdict.*Faults.*The last steps before the violation/s);
    // Something is drawn: the canvas is not of one colour.
    t.true(await page.evaluate(() => {
      const canvas = (globalThis as unknown as { document: { querySelector(selector: string): { width: number; height: number; getContext(kind: '2d'): { getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray } } } } }).document.querySelector('#canvas-0');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set<number>();
      for (let i = 0; i < data.length; i += 4) colours.add(((data[i] as number) << 16) | ((data[i + 1] as number) << 8) | (data[i + 2] as number));
      return colours.size > 20;
    }));
  });

  opened('begins at the first violation', '', async (t, page) => {
    t.true(await violationIsSeen(page));
  });

  opened('jumps to the first violation by button and by key', '#t=0,10', async (t, page) => {
    t.false(await violationIsSeen(page));
    await page.locator('#violation').click();
    await page.waitForFunction(() => window.drey.ui.span.to > (window.drey.models[0]?.run.violation?.at ?? 0));
    t.true(await violationIsSeen(page));
    await page.keyboard.press('f');
    await page.waitForFunction(() => window.drey.ui.span.from <= 0);
    await page.keyboard.press('v');
    await page.waitForFunction(() => window.drey.ui.span.from > 0);
    t.true(await violationIsSeen(page));
  });

  opened('shows what is under the pointer, keeps it at a click, and follows a zxid', '#q=PROPOSAL', async (t, page) => {
    await page.keyboard.press('n');
    await page.waitForFunction(() => window.drey.ui.pinned !== null);
    for (let i = 0; i < 12; i++) await page.keyboard.press('+');
    await page.keyboard.press('Escape');
    const place = await page.waitForFunction(() => {
      const [pane] = window.drey.panes;
      if (pane === undefined) return null;
      for (let x = 20; x < pane.width - 20; x += 2) {
        for (const row of pane.layout.rows) {
          const y = row.top + row.height - 3 - pane.scroll;
          const item = pane.at(x, y);
          if (item?.type === 'message' && window.drey.models[0]?.zxid(item) !== null) return { x, y, title: window.drey.models[0]?.title(item) };
        }
      }
      return null;
    });
    const { x, y, title } = (await place.jsonValue()) as { x: number; y: number; title: string };
    const box = (await page.locator('#canvas-0').boundingBox()) ?? { x: 0, y: 0 };
    await page.mouse.move(box.x + x, box.y + y);
    const panel = page.locator('#panel');
    t.is(await panel.locator('h2').textContent(), title);
    t.regex((await panel.textContent()) ?? '', /fromserver \dtoserver \dsent.*Contents.*zxid/s);
    await page.mouse.click(box.x + x, box.y + y);
    await page.mouse.move(box.x + 5, box.y - 60);
    t.is(await panel.locator('h2').textContent(), title, 'it stays');
    await panel.getByRole('button', { name: /^Follow/ }).click();
    t.regex((await page.evaluate(() => window.drey.ui.followed)) ?? '', /^0x/);
    t.true((await panel.locator('ol .line').count()) >= 2, 'the life of the zxid');
    await page.keyboard.press('Escape');
    t.is(await page.evaluate(() => window.drey.ui.pinned), null);
  });

  opened('tells of whatever the pointer is over, and of nothing any more when it is gone', '', async (t, page) => {
    await page.keyboard.press('f');
    await page.waitForFunction(() => window.drey.ui.span.from <= 0);
    // What lies where is known when it is drawn.
    await page.evaluate(() => new Promise((resolve) => (globalThis as unknown as { requestAnimationFrame(fn: () => void): void }).requestAnimationFrame(() => resolve(null))));
    const canvas = page.locator('#canvas-0');
    const panel = page.locator('#panel');
    const box = (await canvas.boundingBox()) ?? { x: 0, y: 0 };
    const found = await page.evaluate(() => {
      const places = new Map<string, { type: string; x: number; y: number; title: string }>();
      const [pane] = window.drey.panes;
      if (pane !== undefined) {
        for (let y = 2; y < 620; y += 3) {
          for (let x = 2; x < pane.width; x += 3) {
            const item = pane.at(x, y);
            // A canvas may begin amid a pixel.
            const isSure = item !== null && [-2, -1, 1, 2].every((by) => [pane.at(x + by, y), pane.at(x, y + by)].every((near) => near?.type === item.type && near.no === item.no));
            if (isSure && !places.has(item.type)) places.set(item.type, { type: item.type, x, y, title: window.drey.models[0]?.title(item) ?? '' });
          }
        }
      }
      return [...places.values()];
    });
    t.deepEqual(found.map(({ type }) => type).toSorted(), ['band', 'event', 'fault', 'message', 'operation']);
    const told: Readonly<Record<string, RegExp>> = { band: /^state.*onserver \d.*from.*to.*lasts/s, event: /^event.*on.*at/s, fault: /^fault.*from.*to.*lasts.*kind.*name/s, message: /message.*from.*to.*sent/s, operation: /^(read|write).*onclient \d.*call.*return.*outcome/s };
    for (const { type, x, y, title } of found) {
      await page.mouse.move(box.x + x, box.y + y);
      // Chromium hands a move of the pointer over with the next frame.
      await panel.locator('h2').filter({ hasText: new RegExp(`^${escaped(title)}$`) }).waitFor();
      t.is(await panel.locator('h2').textContent(), title, type);
      t.regex((await panel.textContent()) ?? '', told[type] as RegExp);
      t.regex((await canvas.getAttribute('class')) ?? '', /\bover\b/, type);
      t.is(await page.evaluate(() => window.drey.ui.pinned), null, 'a look keeps nothing');
    }
    await page.mouse.move(box.x + 20, box.y - 80);
    t.is(await page.evaluate(() => window.drey.ui.hover), null);
    t.regex((await panel.textContent()) ?? '', /Hover over anything for its contents/, 'the run at a glance is back');
  });

  opened('has room for the lanes on a narrow screen, with what is picked below them', '', async (t, page) => {
    const frame = (await page.locator('#canvas-0').boundingBox()) ?? { width: 0, height: 0 };
    t.true(frame.height > 300 && frame.width > 400, JSON.stringify(frame));
    t.true(await page.evaluate(() => window.drey.panes[0]?.layout.rows.filter(({ id }) => id.startsWith('server-')).every(({ top, height }) => top + height <= 340) ?? false), 'all five servers are in sight');
    // Nothing is wider than the screen.
    t.is(await page.evaluate(() => (globalThis as unknown as { document: { documentElement: { scrollWidth: number } } }).document.documentElement.scrollWidth), 600);
    await page.locator('#panel').scrollIntoViewIfNeeded();
    const stage = (await page.locator('#stage').boundingBox()) ?? { y: -1, height: 0 };
    const panel = (await page.locator('#panel').boundingBox()) ?? { y: 0, height: 9999 };
    t.true(stage.y >= 0 && panel.y + panel.height <= 800.5, 'both are on the screen at once');
  }, { width: 600, height: 800 });

  opened('writes numbers in one way', '', async (t, page) => {
    t.regex((await page.locator('.card-red').textContent()) ?? '', /\d,\d{3}\.\d{3} ms/);
    t.regex((await page.locator('.facts').textContent()) ?? '', /virtual time\d+,\d{3}/);
    const text = await page.locator('body').evaluate((body) => [...(body as unknown as { querySelectorAll(s: string): Iterable<{ textContent: string }> }).querySelectorAll('header, #panel, #summary')].map(({ textContent }) => textContent).join(' '));
    t.notRegex(text, /\d[\u00a0\u2009\u202f]\d/);
    t.notRegex(text, /\b\d{4,}(\.\d+)? ms/);
  });

  opened('filters by type and by lane', '', async (t, page) => {
    const chip = page.getByRole('button', { name: 'Election', exact: true });
    t.is(await chip.getAttribute('aria-pressed'), 'true');
    await chip.click();
    t.is(await chip.getAttribute('aria-pressed'), 'false');
    t.true(await page.evaluate(() => window.drey.ui.hidden.has('election')));
    t.true(await page.evaluate(() => window.drey.ui.hidden.has('heartbeat')), 'heartbeats are hidden to begin with');
    const lane = page.locator('#gutter-0').getByRole('button', { name: 'client 1' });
    const before = await lane.boundingBox();
    await lane.click();
    t.is(await lane.getAttribute('aria-pressed'), 'false');
    t.true(((await lane.boundingBox())?.height ?? 99) < (before?.height ?? 0));
  });

  opened('searches, and goes from match to match', '', async (t, page) => {
    await page.keyboard.press('/');
    await page.keyboard.type('established');
    const count = await page.evaluate(() => window.drey.ui.matches.length);
    t.true(count > 0);
    t.is(await page.locator('#matches').textContent(), String(count));
    await page.keyboard.press('Enter');
    t.regex((await page.locator('#matches').textContent()) ?? '', new RegExp(`^\\d+ of ${count}$`));
    t.is(await page.locator('#panel h2').textContent(), 'Established');
    await page.keyboard.press('Shift+Enter');
    t.is(await page.locator('#panel h2').textContent(), 'Established');
    await page.keyboard.press('Escape');
    t.is(await page.locator('#matches').textContent(), '');
    await page.locator('#search').fill('no such thing');
    t.is(await page.locator('#matches').textContent(), 'none');
  });

  opened('begins a search at the match that is nearest to what is seen', '', async (t, page) => {
    const at = async (): Promise<readonly number[]> => page.evaluate(() => window.drey.ui.matches.map((spot) => window.drey.models[spot.pane]?.from(spot.item) ?? -1));
    const middle = (): Promise<number> => page.evaluate(() => (window.drey.ui.span.from + window.drey.ui.span.to) / 2);
    const pinned = (): Promise<number> => page.evaluate(() => window.drey.models[0]?.from(window.drey.ui.pinned?.item) ?? -1);
    for (const [key, word] of [['End', 'established'], ['Home', 'established'], ['End', 'proposal'], ['v', 'boot']] as const) {
      await page.keyboard.press(key);
      await page.keyboard.press('/');
      await page.keyboard.type(word);
      const [matches, seen] = [await at(), await middle()];
      t.true(matches.length > 1, word);
      await page.keyboard.press('Enter');
      t.is(Math.abs((await pinned()) - seen), Math.min(...matches.map((each) => Math.abs(each - seen))), `${key} ${word}`);
      const [row] = await page.evaluate(() => {
        const { ui, panes: [pane], models: [model] } = window.drey;
        const lane = model?.lanesOf(ui.pinned?.item)[0] ?? -1;
        return [pane?.layout.rows.filter((each) => each.lane?.no === lane).map(({ top, height }) => top >= pane.scroll && top + height <= pane.scroll + pane.height)[0]];
      });
      t.true(row, 'its lane is in sight');
      await page.keyboard.press('Escape');
      await page.keyboard.press('Escape');
    }
  }, { width: 1200, height: 620 });

  opened('shows the neighbour beside it, and where the two part', '', async (t, page) => {
    t.true(await page.locator('#pane-1').isHidden());
    t.regex((await page.locator('#panel').textContent()) ?? '', /A neighbour passes.*They part at/s);
    await page.getByRole('button', { name: 'Show where they part' }).click();
    await page.waitForFunction(() => window.drey.ui.pinned !== null && window.drey.parts !== null && window.drey.ui.span.from < window.drey.parts.at && window.drey.ui.span.to > window.drey.parts.at);
    t.true(await page.locator('#pane-1').isVisible());
    t.regex((await page.locator('#pane-1 h2').textContent()) ?? '', /Neighbour the same seed without .*, passes/);
    t.true((await page.locator('#gutter-1 button').count()) > 5);
    await page.keyboard.press('b');
    t.true(await page.locator('#pane-1').isHidden());
  });

  opened('an address names what is shown', '#t=1000,1500&sel=m3', async (t, page) => {
    t.deepEqual(await page.evaluate(() => ({ span: window.drey.ui.span, pinned: window.drey.ui.pinned })), { span: { from: 1_000_000, to: 1_500_000 }, pinned: { pane: 0, item: { type: 'message', no: 3 } } });
    await page.keyboard.press('ArrowRight');
    await page.waitForURL(/#t=1100\.000,1600\.000&sel=m3$/);
    await page.keyboard.press('?');
    t.true(await page.getByRole('heading', { name: 'Keys' }).isVisible());
    await page.keyboard.press('Escape');
    t.true(await page.getByRole('heading', { name: 'Keys' }).isHidden());
  });

  opened('wheel and drag move, the minimap too', '#t=1000,2000', async (t, page) => {
    const box = (await page.locator('#canvas-0').boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.wheel(0, -100);
    await page.waitForFunction(() => window.drey.ui.span.to - window.drey.ui.span.from < 900_000);
    const { from, to } = await page.evaluate(() => window.drey.ui.span);
    t.true(Math.abs((from + to) / 2 - 1_500_000) < 2000, 'what is under the pointer stays there');
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 - 200, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    t.true((await page.evaluate(() => window.drey.ui.span.from)) > from, 'dragged to the left shows what is later');
    const map = (await page.locator('#minimap').boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    await page.mouse.click(map.x + 2, map.y + 20);
    t.true((await page.evaluate(() => window.drey.ui.span.from)) < 0);
  });
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
