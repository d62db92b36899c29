/** The README's example, run as it stands there. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { DEFAULT_ADDRESS } from "../src/index.js";
import { ROOT, Server } from "./server.js";

test("the example in the README prints what was learned, and ends", async () => {
  const readme = readFileSync(join(ROOT, "clients", "typescript", "README.md"), "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? assert.fail("no example");
  assert.ok(example.includes(DEFAULT_ADDRESS));
  // In the package's folder, so that its name leads to what was built.
  const file = fileURLToPath(new URL("example.mjs", import.meta.url));
  const server = await Server.start();
  try {
    writeFileSync(file, example.replace(DEFAULT_ADDRESS, server.address));
    const printed = execFileSync(process.execPath, [file], { encoding: "utf8" });
    const [answer, ...context] = printed.split("\n");
    assert.equal(answer, "vegetables");
    assert.match(context.join("\n"), /dog likes vegetables/);
  } finally {
    await server.stop();
    rmSync(file, { force: true });
  }
});
