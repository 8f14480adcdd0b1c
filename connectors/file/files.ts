/** What the file sink needs of a file system. Without another it is this machine's; the simulator has one that is slow, fails and forgets. */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';

export interface Files {
  /** With its parents; the first that was made. */
  mkdir(path: string): Promise<string | undefined>;
  readdir(path: string): Promise<string[]>;
  /** 'w': made, and emptied where it is there. */
  open(path: string, flags: 'r' | 'w'): Promise<OpenFile>;
  /** Over what is there. Rejects with ENOENT. */
  rename(from: string, to: string): Promise<void>;
  /** What is not there is no error. */
  rm(path: string): Promise<void>;
  /** In bytes; null: there is no such file. */
  size(path: string): Promise<number | null>;
}
export interface OpenFile {
  /** At its end. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was written, or the directory's entries, are durable when it resolves. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const nodeFiles: Files = {
  mkdir: (path) => mkdir(path, { recursive: true }),
  readdir: (path) => readdir(path),
  open: async (path, flags) => {
    const handle = await open(path, flags);
    return { write: (bytes) => handle.writeFile(bytes), sync: () => handle.sync(), close: () => handle.close() };
  },
  rename,
  rm: (path) => rm(path, { force: true }),
  size: async (path) => {
    try {
      return (await stat(path)).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  },
};
