/** The commands of `drey zk`, the same on the command line and in the shell. */
import { Command, CommanderError } from 'commander';
import { connect as connectTcp } from 'node:net';
import { joinPath, OPEN_ACL } from '../client/index.ts';
import type { Acl, AddWatchMode, CoordClient, CreateMode, WatchEvent } from '../client/index.ts';
import { formatAcl, formatData, formatStat, jsonData, jsonStat, parseAcl, statTable } from './zk-format.ts';

export interface ZkContext {
  readonly client: CoordClient;
  out(line: string): void;
  interrupted(): Promise<void>;
}

/** Runs a command's body with a connected client. */
export type WithClient = (run: (context: ZkContext) => Promise<void>) => Promise<void>;

const absolute = (path: string): string => {
  if (!path.startsWith('/')) throw new CommanderError(2, 'drey.usage', `path "${path}" does not begin with /`);
  return path === '/' ? path : path.replace(/\/+$/, '');
};
const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new CommanderError(2, 'drey.usage', `"${text}" is not a whole number`);
  return value;
};

export function zkCommands(withClient: WithClient): Command[] {
  const commands: Command[] = [];
  const add = (name: string, description: string): Command => {
    const command = new Command(name).description(description).configureOutput({ outputError: (text, write) => write(text) });
    commands.push(command);
    return command;
  };
  const json = ['--json', 'one JSON document'] as const;

  add('ls', 'the children of a znode')
    .argument('<path>')
    .option('-R, --recursive', 'everything below, one path a line')
    .option('-s, --stat', 'the stat too')
    .option('-w, --watch', 'wait for the next change of the list, and print it')
    .option(...json)
    .action(async (path: string, options: { recursive?: true; stat?: true; watch?: true; json?: true }) =>
      withClient(async (context) => {
        const { client, out } = context;
        const root = absolute(path);
        if (options.recursive) {
          const all = await listRecursive(client, root);
          if (options.json) out(JSON.stringify(all));
          else for (const each of all) out(each);
          return;
        }
        let fired: (event: WatchEvent) => void = () => undefined;
        const event = new Promise<WatchEvent>((resolve) => (fired = resolve));
        const { children, stat } = await client.getChildren(root, options.watch ? { watch: fired } : {});
        children.sort();
        if (options.json) out(JSON.stringify({ path: root, children, ...(options.stat ? { stat: jsonStat(stat) } : {}) }));
        else {
          for (const child of children) out(child);
          if (options.stat) out(statTable(stat));
        }
        if (options.watch) await Promise.race([event.then((each) => printEvent(context, each)), context.interrupted()]);
      }),
    );

  add('get', 'the data of a znode')
    .argument('<path>')
    .option('-s, --stat', 'the stat too')
    .option('-w, --watch', 'wait for the next change, and print it')
    .option(...json)
    .action(async (path: string, options: { stat?: true; watch?: true; json?: true }) =>
      withClient(async (context) => {
        const { client, out } = context;
        let fired: (event: WatchEvent) => void = () => undefined;
        const event = new Promise<WatchEvent>((resolve) => (fired = resolve));
        const { data, stat } = await client.getData(absolute(path), options.watch ? { watch: fired } : {});
        if (options.json) out(JSON.stringify({ path: absolute(path), data: jsonData(data), ...(options.stat ? { stat: jsonStat(stat) } : {}) }));
        else {
          out(formatData(data));
          if (options.stat) out(statTable(stat));
        }
        if (options.watch) await Promise.race([event.then((each) => printEvent(context, each)), context.interrupted()]);
      }),
    );

  add('stat', 'the stat of a znode')
    .argument('<path>')
    .option(...json)
    .action(async (path: string, options: { json?: true }) =>
      withClient(async ({ client, out }) => {
        // getData would need more rights; exists says null where there is nothing, which is a failure here.
        const { stat } = await client.getChildren(absolute(path));
        out(options.json ? JSON.stringify({ path: absolute(path), ...jsonStat(stat) }) : statTable(stat));
      }),
    );

  add('set', 'set the data of a znode')
    .argument('<path>')
    .argument('<data>')
    .option('-v, --version <n>', 'only if it is at this version', number, -1)
    .option('-s, --stat', 'print the new stat')
    .option(...json)
    .action(async (path: string, data: string, options: { version: number; stat?: true; json?: true }) =>
      withClient(async ({ client, out }) => {
        const stat = await client.setData(absolute(path), data, options.version);
        if (options.json) out(JSON.stringify({ path: absolute(path), stat: jsonStat(stat) }));
        else if (options.stat) out(statTable(stat));
      }),
    );

  add('create', 'create a znode, and print its path')
    .argument('<path>')
    .argument('[data]')
    .argument('[acl]', 'scheme:id:perms, separated by commas; world:anyone:cdrwa by default')
    .option('-e, --ephemeral', 'ends with this session: of use in the shell')
    .option('-s, --sequential', 'ten digits after the name')
    .option('-c, --container', 'removed by the server some time after its last child')
    .option('-t, --ttl <ms>', 'removed by the server when unchanged for this long', number)
    .option('-p, --parents', 'create missing parents')
    .option(...json)
    .action(async (path: string, data: string | undefined, acl: string | undefined, options: { ephemeral?: true; sequential?: true; container?: true; ttl?: number; parents?: true; json?: true }) =>
      withClient(async ({ client, out }) => {
        const mode = createMode(options);
        const target = options.sequential && path.endsWith('/') ? path : absolute(path);
        if (options.parents && target.lastIndexOf('/') > 0) await client.ensurePath(target.slice(0, target.lastIndexOf('/')));
        const created = await client.createWithStat(target, data ?? null, {
          mode, acl: acl === undefined ? OPEN_ACL : acls(acl), ...(options.ttl === undefined ? {} : { ttlMs: options.ttl }),
        });
        out(options.json ? JSON.stringify({ path: created.path, stat: jsonStat(created.stat) }) : created.path);
      }),
    );

  add('delete', 'delete a znode without children')
    .argument('<path>')
    .option('-v, --version <n>', 'only if it is at this version', number, -1)
    .action(async (path: string, options: { version: number }) => withClient(async ({ client }) => client.delete(absolute(path), options.version)));

  add('deleteall', 'delete a znode and everything below; not atomic')
    .argument('<path>')
    .action(async (path: string) =>
      withClient(async ({ client, out }) => {
        const root = absolute(path);
        await client.getChildren(root);
        out(`${await client.deleteRecursive(root)} deleted`);
      }),
    );

  add('watch', 'print the changes of a znode and of its list of children until Ctrl-C')
    .argument('<path>')
    .option('-R, --recursive', 'of everything below too (needs a server that knows addWatch)')
    .option('--json', 'one JSON document a line')
    .action(async (path: string, options: { recursive?: true; json?: true }) =>
      withClient(async (context) => watchUntilInterrupted(context, absolute(path), options.recursive ? 'persistent-recursive' : 'persistent', options.json === true)),
    );

  add('sync', 'wait until the connected server has caught up with the leader')
    .argument('[path]', '', '/')
    .action(async (path: string) => withClient(async ({ client }) => client.sync(absolute(path))));

  add('getAcl', 'the ACL of a znode')
    .argument('<path>')
    .option('-s, --stat', 'the stat too')
    .option(...json)
    .action(async (path: string, options: { stat?: true; json?: true }) =>
      withClient(async ({ client, out }) => {
        const { acl, stat } = await client.getACL(absolute(path));
        if (options.json) out(JSON.stringify({ path: absolute(path), acl: acl.map(formatAcl), ...(options.stat ? { stat: jsonStat(stat) } : {}) }));
        else {
          for (const each of acl) out(formatAcl(each));
          if (options.stat) out(statTable(stat));
        }
      }),
    );

  add('setAcl', 'set the ACL of a znode')
    .argument('<path>')
    .argument('<acl>', 'scheme:id:perms, separated by commas')
    .option('-v, --version <n>', 'only if the ACL is at this version', number, -1)
    .option('-R, --recursive', 'everything below too; not atomic')
    .action(async (path: string, acl: string, options: { version: number; recursive?: true }) =>
      withClient(async ({ client }) => {
        const parsed = acls(acl);
        const paths = options.recursive ? await listRecursive(client, absolute(path)) : [absolute(path)];
        for (const each of paths) await client.setACL(each, parsed, options.version);
      }),
    );

  add('addauth', 'authenticate; of use in the shell (elsewhere: --auth)')
    .argument('<scheme>')
    .argument('<auth>')
    .action(async (scheme: string, auth: string) => withClient(async ({ client }) => client.addAuth(scheme, auth)));

  add('whoami', 'who the server takes this client for')
    .option(...json)
    .action(async (options: { json?: true }) =>
      withClient(async ({ client, out }) => {
        const ids = await client.whoAmI();
        if (options.json) out(JSON.stringify(ids));
        else for (const { scheme, id } of ids) out(`${scheme}: ${id}`);
      }),
    );

  add('session', 'this session, and the server it is on')
    .option(...json)
    .action(async (options: { json?: true }) =>
      withClient(async ({ client, out }) => {
        const id = `0x${client.session.id.toString(16)}`;
        const zxid = `0x${client.lastZxid.toString(16)}`;
        if (options.json) out(JSON.stringify({ session: id, timeoutMs: client.session.timeoutMs, server: client.server, state: client.state, lastZxid: zxid }));
        else out(`session ${id}, timeout ${client.session.timeoutMs} ms, server ${client.server}, ${client.state}, last zxid ${zxid}`);
      }),
    );

  for (const word of ['srvr', 'mntr', 'stat4', 'conf', 'cons', 'ruok', 'wchs', 'dump'] as const) {
    add(word, `what the connected server answers to ${word === 'stat4' ? 'stat' : word} (a four letter word; must be in its whitelist)`).action(async () =>
      withClient(async ({ client, out }) => {
        out((await fourLetterWord(client.server, word.slice(0, 4))).trimEnd());
      }),
    );
  }
  return commands;
}

function createMode(options: { ephemeral?: true; sequential?: true; container?: true; ttl?: number }): CreateMode {
  const { ephemeral, sequential, container, ttl } = options;
  if ((ephemeral ? 1 : 0) + (container ? 1 : 0) + (ttl === undefined ? 0 : 1) > 1) throw new CommanderError(2, 'drey.usage', '-e, -c and -t exclude each other');
  if (container) {
    if (sequential) throw new CommanderError(2, 'drey.usage', '-c and -s exclude each other');
    return 'container';
  }
  if (ttl !== undefined) return sequential ? 'persistent-sequential-with-ttl' : 'persistent-with-ttl';
  if (ephemeral) return sequential ? 'ephemeral-sequential' : 'ephemeral';
  return sequential ? 'persistent-sequential' : 'persistent';
}

function acls(text: string): Acl[] {
  try {
    return parseAcl(text);
  } catch (error) {
    throw new CommanderError(2, 'drey.usage', (error as Error).message);
  }
}

/** The path and all below it, parents first. */
export async function listRecursive(client: CoordClient, path: string): Promise<string[]> {
  const { children } = await client.getChildren(path);
  const below = await Promise.all(children.sort().map((child) => listRecursive(client, joinPath(path, child)).catch(() => [])));
  return [path, ...below.flat()];
}

function printEvent({ out }: ZkContext, event: WatchEvent): void {
  out(`${event.type} ${event.path}`);
}

async function watchUntilInterrupted(context: ZkContext, path: string, mode: AddWatchMode, asJson: boolean): Promise<void> {
  const { client, out } = context;
  const print = (event: WatchEvent): void => {
    const zxid = `0x${event.zxid.toString(16)}`;
    out(asJson ? JSON.stringify({ type: event.type, path: event.path, zxid }) : `${event.type} ${event.path}${event.zxid === 0 ? '' : ` zxid=${zxid}`}`);
  };
  const ended = new Promise<void>((resolve) => {
    client.onState((signal) => {
      if (asJson) out(JSON.stringify({ state: signal }));
      else out(`-- ${signal}`);
      if (signal === 'expired' || signal === 'closed' || signal === 'auth-failed') resolve();
    });
  });
  const handle = await client.addWatch(path, mode, print);
  await Promise.race([context.interrupted(), ended]);
  if (client.state === 'connected') await handle.remove();
}

/** The 4lw answer of the server that the client is on. */
export function fourLetterWord(server: string, word: string): Promise<string> {
  const colon = server.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connectTcp(Number(server.slice(colon + 1)), server.slice(0, colon), () => socket.write(word));
    socket.setTimeout(5000, () => socket.destroy(new Error(`${server} does not answer ${word}`)));
    socket.on('data', (data) => (answer += data.toString('utf8')));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

export { formatStat };
