/** The commands of `drey zk`, the same on the command line and in the shell. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { connect as connectTcp } from 'node:net';
import { DreyError } from '../base/errors.ts';
import { CoordError, isCoordError, joinPath, OPEN_ACL } from '../client/index.ts';
import type { Acl, AddWatchMode, CoordClient, CreateMode, WatchEvent } from '../client/index.ts';
import { formatAcl, formatData, jsonData, jsonStat, parseAcl, statTable } from './zk-format.ts';

export interface ZkContext {
  readonly client: CoordClient;
  out(line: string): void;
  interrupted(): Promise<void>;
}

/** Runs a command's body with a connected client. */
export type WithClient = (run: (context: ZkContext) => Promise<void>) => Promise<void>;

const rooted = (path: string): string => {
  if (!path.startsWith('/')) throw new InvalidArgumentError('A path begins with /.');
  return path;
};
const absolute = (path: string): string => (path === '/' ? path : rooted(path).replace(/(?<=.)\/+$/, ''));
const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Not a whole number.');
  return value;
};
const acls = (text: string): Acl[] => {
  try {
    return parseAcl(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
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
    .argument('[path]', '', absolute, '/')
    .option('-R, --recursive', 'everything below, one path a line')
    .option('-s, --stat', 'the stat too')
    .option('-w, --watch', 'wait for the next change of the list, and print it')
    .option(...json)
    .action(async (path: string, options: { recursive?: true; stat?: true; watch?: true; json?: true }) =>
      withClient(async (context) => {
        const { client, out } = context;
        if (options.recursive) {
          const all = await listRecursive(client, path);
          if (options.json) out(JSON.stringify(all));
          else for (const each of all) out(each);
          return;
        }
        let fired: (event: WatchEvent) => void = () => undefined;
        const event = new Promise<WatchEvent>((resolve) => (fired = resolve));
        const { children, stat } = await client.getChildren(path, options.watch ? { watch: fired } : {});
        children.sort();
        if (options.json) out(JSON.stringify({ path, children, ...(options.stat ? { stat: jsonStat(stat) } : {}) }));
        else {
          for (const child of children) out(child);
          if (options.stat) out(statTable(stat));
        }
        if (options.watch) await Promise.race([event.then((each) => printEvent(context, each)), context.interrupted()]);
      }),
    );

  add('get', 'the data of a znode')
    .argument('<path>', '', absolute)
    .option('-s, --stat', 'the stat too')
    .option('-w, --watch', 'wait for the next change, and print it')
    .option(...json)
    .action(async (path: string, options: { stat?: true; watch?: true; json?: true }) =>
      withClient(async (context) => {
        const { client, out } = context;
        let fired: (event: WatchEvent) => void = () => undefined;
        const event = new Promise<WatchEvent>((resolve) => (fired = resolve));
        const { data, stat } = await client.getData(path, options.watch ? { watch: fired } : {});
        if (options.json) out(JSON.stringify({ path, data: jsonData(data), ...(options.stat ? { stat: jsonStat(stat) } : {}) }));
        else {
          out(formatData(data));
          if (options.stat) out(statTable(stat));
        }
        if (options.watch) await Promise.race([event.then((each) => printEvent(context, each)), context.interrupted()]);
      }),
    );

  add('stat', 'the stat of a znode')
    .argument('<path>', '', absolute)
    .option(...json)
    .action(async (path: string, options: { json?: true }) =>
      withClient(async ({ client, out }) => {
        const stat = await client.exists(path);
        if (stat === null) throw new CoordError('NONODE', path);
        out(options.json ? JSON.stringify({ path, ...jsonStat(stat) }) : statTable(stat));
      }),
    );

  add('set', 'set the data of a znode')
    .argument('<path>', '', absolute)
    .argument('<data>')
    .option('-v, --version <n>', 'only if it is at this version', number, -1)
    .option('-s, --stat', 'print the new stat')
    .option(...json)
    .action(async (path: string, data: string, options: { version: number; stat?: true; json?: true }) =>
      withClient(async ({ client, out }) => {
        const stat = await client.setData(path, data, options.version);
        if (options.json) out(JSON.stringify({ path, stat: jsonStat(stat) }));
        else if (options.stat) out(statTable(stat));
      }),
    );

  add('create', 'create a znode, and print its path')
    .argument('<path>', '', rooted)
    .argument('[data]')
    .argument('[acl]', 'scheme:id:perms, separated by commas; world:anyone:cdrwa by default', acls)
    .option('-e, --ephemeral', 'ends with this session: of use in the shell')
    .option('-s, --sequential', 'ten digits after the name')
    .option('-c, --container', 'removed by the server some time after its last child')
    .option('-t, --ttl <ms>', 'removed by the server when unchanged for this long', number)
    .option('-p, --parents', 'create missing parents')
    .option(...json)
    .action(async (path: string, data: string | undefined, acl: Acl[] | undefined, options: { ephemeral?: true; sequential?: true; container?: true; ttl?: number; parents?: true; json?: true }) =>
      withClient(async ({ client, out }) => {
        const mode = createMode(options);
        const target = options.sequential && path.endsWith('/') ? path : absolute(path);
        if (options.parents && target.lastIndexOf('/') > 0) await client.ensurePath(target.slice(0, target.lastIndexOf('/')));
        const created = await client.createWithStat(target, data ?? null, {
          mode, acl: acl ?? OPEN_ACL, ...(options.ttl === undefined ? {} : { ttlMs: options.ttl }),
        });
        out(options.json ? JSON.stringify({ path: created.path, stat: jsonStat(created.stat) }) : created.path);
      }),
    );

  add('delete', 'delete a znode without children')
    .argument('<path>', '', absolute)
    .option('-v, --version <n>', 'only if it is at this version', number, -1)
    .action(async (path: string, options: { version: number }) => withClient(async ({ client }) => client.delete(path, options.version)));

  add('deleteall', 'delete a znode and everything below; not atomic')
    .argument('<path>', '', absolute)
    .action(async (path: string) =>
      withClient(async ({ client, out }) => {
        await client.getChildren(path);
        out(`${await client.deleteRecursive(path)} deleted`);
      }),
    );

  add('watch', 'print the changes of a znode and of its list of children until Ctrl-C')
    .argument('<path>', '', absolute)
    .option('-R, --recursive', 'of everything below too (needs a server that knows addWatch)')
    .option('--json', 'one JSON document a line')
    .action(async (path: string, options: { recursive?: true; json?: true }) =>
      withClient(async (context) => watchUntilInterrupted(context, path, options.recursive ? 'persistent-recursive' : 'persistent', options.json === true)),
    );

  add('sync', 'wait until the connected server has caught up with the leader')
    .argument('[path]', '', absolute, '/')
    .action(async (path: string) => withClient(async ({ client }) => client.sync(path)));

  add('getAcl', 'the ACL of a znode')
    .argument('<path>', '', absolute)
    .option('-s, --stat', 'the stat too')
    .option(...json)
    .action(async (path: string, options: { stat?: true; json?: true }) =>
      withClient(async ({ client, out }) => {
        const { acl, stat } = await client.getACL(path);
        if (options.json) out(JSON.stringify({ path, acl: acl.map(formatAcl), ...(options.stat ? { stat: jsonStat(stat) } : {}) }));
        else {
          for (const each of acl) out(formatAcl(each));
          if (options.stat) out(statTable(stat));
        }
      }),
    );

  add('setAcl', 'set the ACL of a znode')
    .argument('<path>', '', absolute)
    .argument('<acl>', 'scheme:id:perms, separated by commas', acls)
    .option('-v, --version <n>', 'only if the ACL is at this version', number, -1)
    .option('-R, --recursive', 'everything below too; not atomic')
    .action(async (path: string, acl: Acl[], options: { version: number; recursive?: true }) =>
      withClient(async ({ client }) => {
        const paths = options.recursive ? await listRecursive(client, path) : [path];
        for (const each of paths) await client.setACL(each, acl, options.version);
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

  for (const word of ['srvr', 'mntr', 'conf', 'cons', 'ruok', 'wchs', 'dump']) {
    add(word, `what the connected server answers to ${word} (must be in its 4lw.commands.whitelist; zk:// only)`).action(async () =>
      withClient(async ({ client, out }) => out((await fourLetterWord(client.server, word)).trimEnd())),
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

/** The path and all below it, parents first; what vanishes meanwhile is left out. */
async function listRecursive(client: CoordClient, path: string): Promise<string[]> {
  const { children } = await client.getChildren(path);
  const below = await Promise.all(children.sort().map(async (child) => {
    try {
      return await listRecursive(client, joinPath(path, child));
    } catch (error) {
      if (isCoordError(error, 'NONODE')) return [];
      throw error;
    }
  }));
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
  let unsubscribe: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    unsubscribe = client.onState((signal) => {
      if (asJson) out(JSON.stringify({ state: signal }));
      else out(`-- ${signal}`);
      if (signal === 'expired' || signal === 'closed' || signal === 'auth-failed') resolve();
    });
  });
  const handle = await client.addWatch(path, mode, print);
  await Promise.race([context.interrupted(), ended]);
  unsubscribe();
  if (client.state === 'connected') await handle.remove();
}

/** The 4lw answer of the server that the client is on. */
function fourLetterWord(server: string, word: string): Promise<string> {
  const colon = server.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connectTcp(Number(server.slice(colon + 1)), server.slice(0, colon), () => socket.write(word));
    const failed = (cause?: unknown): void => reject(new DreyError('COORD_NO_ANSWER', `${server} does not answer ${word}`, { cause }));
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('data', (data) => (answer += data.toString('utf8')));
    socket.on('error', failed);
    socket.on('close', () => (answer === '' ? failed() : resolve(answer)));
  });
}

