import type { Random } from "../ledger/history.ts";

type FileNode = { readonly kind: "file"; data: Buffer; durable: Buffer };
type Directory = { readonly kind: "directory"; entries: Map<string, FileNode | Directory>; durable: Map<string, FileNode | Directory> };

/** A file or directory that a program has open. */
export type OpenFile = {
  size(): number;
  content(): Buffer;
  /** Throws ENOSPC on a full disk; with `random` some of the bytes may have been written then. */
  append(bytes: Buffer, random?: Random): void;
  truncate(size: number): void;
  /** What is there now outlives a power failure. */
  sync(): void;
};

/**
 * The disk of one host. What a program wrote outlives its death; a power failure takes what was not synced, files and names
 * alike, in part or as a whole.
 */
export class Disk {
  full = false;
  #root: Directory = directory();

  open(path: string, flags: string): OpenFile {
    const found = this.#find(path);
    if (found?.kind === "directory") return openDirectory(found);
    if (found === undefined && flags === "r") throw missing(path);
    const file = found ?? this.#create(path);
    if (flags === "w") file.data = Buffer.alloc(0);
    return openFile(file, this);
  }

  read(path: string): Buffer {
    const found = this.#find(path);
    if (found?.kind !== "file") throw missing(path);
    return found.data;
  }

  list(path: string): string[] {
    return [...this.#directory(path).entries.keys()];
  }

  makeDirectory(path: string, recursive: boolean): void {
    const names = namesOf(path);
    let at = this.#root;
    for (const [index, name] of names.entries()) {
      const next = at.entries.get(name);
      const isLast = index === names.length - 1;
      if (next?.kind === "directory") {
        if (isLast && !recursive) throw failure("EEXIST", path);
        at = next;
        continue;
      }
      if (next !== undefined || (!recursive && !isLast)) throw missing(path);
      const made = directory();
      at.entries.set(name, made);
      at = made;
    }
  }

  rename(from: string, to: string): void {
    const node = this.#find(from);
    if (node === undefined) throw missing(from);
    this.#parent(from).entries.delete(lastName(from));
    this.#parent(to).entries.set(lastName(to), node);
  }

  /** Also a whole directory; nothing happens when there is none. */
  remove(path: string): void {
    if (this.#find(path) !== undefined) this.#parent(path).entries.delete(lastName(path));
  }

  powerFailure(random: Random): void {
    this.#root = survivor(this.#root, random);
  }

  #create(path: string): FileNode {
    const file: FileNode = { kind: "file", data: Buffer.alloc(0), durable: Buffer.alloc(0) };
    this.#parent(path).entries.set(lastName(path), file);
    return file;
  }

  #find(path: string): FileNode | Directory | undefined {
    let at: FileNode | Directory | undefined = this.#root;
    for (const name of namesOf(path)) at = at?.kind === "directory" ? at.entries.get(name) : undefined;
    return at;
  }

  #directory(path: string): Directory {
    const found = this.#find(path);
    if (found?.kind !== "directory") throw missing(path);
    return found;
  }

  #parent(path: string): Directory {
    return this.#directory(path.slice(0, path.lastIndexOf("/")));
  }
}

function openFile(file: FileNode, disk: Disk): OpenFile {
  return {
    size: () => file.data.length,
    content: () => file.data,
    append: (bytes, random) => {
      const written = disk.full && bytes.length > 0 ? bytes.subarray(0, random?.below(bytes.length) ?? 0) : bytes;
      file.data = file.data.length === 0 ? Buffer.from(written) : Buffer.concat([file.data, written]);
      if (written.length < bytes.length) throw failure("ENOSPC", "no space left");
    },
    truncate: (size) => {
      file.data = file.data.subarray(0, size);
    },
    sync: () => {
      file.durable = file.data;
    },
  };
}

function openDirectory(found: Directory): OpenFile {
  const refuse = (): never => {
    throw failure("EISDIR", "a directory");
  };
  return {
    size: refuse,
    content: refuse,
    append: refuse,
    truncate: refuse,
    sync: () => {
      found.durable = new Map(found.entries);
    },
  };
}

function survivor(node: Directory, random: Random): Directory {
  const kept = random.chance(0.5) ? node.durable : node.entries;
  const entries = new Map<string, FileNode | Directory>();
  for (const [name, child] of kept) {
    if (child.kind === "directory") entries.set(name, survivor(child, random));
    else {
      const data = survivingBytes(child, random);
      entries.set(name, { kind: "file", data, durable: data });
    }
  }
  return { kind: "directory", entries, durable: new Map(entries) };
}

function survivingBytes({ data, durable }: FileNode, random: Random): Buffer {
  const isAppended = data.length > durable.length && data.subarray(0, durable.length).equals(durable);
  if (isAppended) return data.subarray(0, durable.length + random.below(data.length - durable.length + 1));
  return random.chance(0.5) ? data : durable;
}

function directory(): Directory {
  return { kind: "directory", entries: new Map(), durable: new Map() };
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function missing(path: string): Error {
  return failure("ENOENT", path);
}

function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
