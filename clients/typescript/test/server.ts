/** The real server in a process of its own, with the small graph and the model of its own tests. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The root of the repository, as seen from build/test. */
export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
export const PYTHON = process.env["PYTHON"] ?? join(ROOT, ".venv", "bin", "python");

const GRAPH = `head,relation,tail,weight
dog,Desires,meat,4
dog,Desires,bones,3
dog,AtLocation,kennel,4
`;

/** A running server. `stop` ends it and removes what it stored. */
export class Server {
  private constructor(
    readonly address: string,
    private readonly process: ChildProcess,
    private readonly folder: string,
  ) {}

  /** Start it with these arguments, and wait until it listens. */
  static async start(...settings: readonly string[]): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "kgt-typescript-"));
    const graph = join(folder, "graph.csv");
    writeFileSync(graph, GRAPH);
    const store = ["--data", folder, "--store", "sqlite"];
    const load = ["-m", "kgload", "triples", graph, ...store];
    execFileSync(PYTHON, load, { cwd: ROOT, stdio: "pipe" });
    const child = spawn(
      PYTHON,
      ["-m", "tests.rpc.fixed_server", ...store, "--address", "127.0.0.1:0", ...settings],
      { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] },
    );
    let log = "";
    child.stderr.on("data", (text: Buffer) => (log += text));
    for await (const line of createInterface({ input: child.stdout })) {
      const address = / listening on (\S+)$/.exec(line)?.[1];
      if (address !== undefined) {
        child.stdout.resume();
        return new Server(address, child, folder);
      }
    }
    rmSync(folder, { recursive: true });
    throw new Error(`the server did not start: ${log}`);
  }

  async stop(): Promise<void> {
    if (this.process.kill("SIGKILL")) {
      await once(this.process, "exit");
    }
    rmSync(this.folder, { recursive: true });
  }
}
