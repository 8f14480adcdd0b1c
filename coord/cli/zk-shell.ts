/** The shell of `drey zk`: the same commands line by line, with history, and completion of commands and paths. */
import { Command, CommanderError } from 'commander';
import { createInterface } from 'node:readline';
import { DreyError } from '../base/errors.ts';
import { joinPath, type CoordClient } from '../client/index.ts';
import { zkCommands, type ZkContext } from './zk-commands.ts';

export async function runShell(context: ZkContext, server: string): Promise<void> {
  const { client, out } = context;
  const names = [...zkCommands(async () => undefined).map((command) => command.name()), 'help', 'quit'];
  const isTerminal = process.stdin.isTTY === true;
  const shell = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stdout } : {}),
    prompt: `${server}> `,
    historySize: 1000,
    completer: (line: string, done: (error: Error | null, result: [string[], string]) => void) => {
      complete(client, names, line).then((result) => done(null, result), () => done(null, [[], line]));
    },
  });
  const prompt = (): void => {
    if (isTerminal) shell.prompt();
  };
  const unsubscribe = client.onState((signal) => {
    out(`-- ${signal}`);
    if (signal === 'expired' || signal === 'auth-failed') shell.close();
  });
  // Ctrl-C ends the running command; at the prompt it clears the line.
  let interrupt: (() => void) | null = null;
  shell.on('SIGINT', () => {
    if (interrupt !== null) interrupt();
    else {
      shell.write(null, { ctrl: true, name: 'u' });
      prompt();
    }
  });
  const own: ZkContext = { ...context, interrupted: () => new Promise((resolve) => (interrupt = resolve)) };
  prompt();
  for await (const line of shell) {
    const words = splitWords(line);
    if (words === null) out('a quote is not closed');
    else if (words[0] === 'quit' || words[0] === 'exit') break;
    else if (words.length > 0) {
      // A failed line fails the shell only where it runs a script.
      const good = await runLine(words, own);
      if (!good && !isTerminal) {
        process.exitCode = 1;
        break;
      }
      interrupt = null;
    }
    prompt();
  }
  unsubscribe();
  shell.close();
}

async function runLine(words: readonly string[], context: ZkContext): Promise<boolean> {
  // Made anew for each line: commander keeps the options of the last one.
  const program = new Command('zk').exitOverride().helpCommand(true).configureOutput({
    writeOut: (text) => context.out(text.trimEnd()), writeErr: (text) => context.out(text.trimEnd()),
  });
  for (const command of zkCommands((run) => run(context))) {
    command.exitOverride().configureOutput({ writeOut: (text) => context.out(text.trimEnd()), writeErr: (text) => context.out(text.trimEnd()) });
    program.addCommand(command);
  }
  try {
    await program.parseAsync(words, { from: 'user' });
    return true;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.code === 'drey.usage') context.out(error.message);
      return error.exitCode === 0;
    }
    if (!(error instanceof DreyError)) throw error;
    context.out(error.message);
    return false;
  }
}

/** Words as a POSIX shell cuts them: quotes, and a backslash outside single quotes. null: a quote is not closed. */
export function splitWords(line: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i] as string;
    if (quote !== '') {
      if (c === quote) quote = '';
      else if (c === '\\' && quote === '"' && i + 1 < line.length) word += line[++i] as string;
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word ??= '';
    } else if (c === '\\' && i + 1 < line.length) {
      word = (word ?? '') + (line[++i] as string);
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + c;
    }
  }
  if (quote !== '') return null;
  if (word !== null) words.push(word);
  return words;
}

async function complete(client: CoordClient, names: readonly string[], line: string): Promise<[string[], string]> {
  const start = line.lastIndexOf(' ') + 1;
  const word = line.slice(start);
  if (start === 0) return [names.filter((name) => name.startsWith(word)).map((name) => `${name} `), word];
  if (!word.startsWith('/')) return [[], word];
  const slash = word.lastIndexOf('/');
  const parent = slash === 0 ? '/' : word.slice(0, slash);
  const { children } = await client.getChildren(parent);
  return [children.sort().map((child) => joinPath(parent, child)).filter((path) => path.startsWith(word)), word];
}
