/** What was generated from the contract. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { PYTHON, ROOT } from "./server.js";

function texts(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => name.endsWith(".ts")).sort();
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

test("it is what the contract generates: `make proto` was run after its last change", () => {
  const fresh = mkdtempSync(join(tmpdir(), "kgt-generated-"));
  try {
    execFileSync(PYTHON, [join(ROOT, "proto", "generate.py"), "--typescript", fresh]);
    assert.deepEqual(texts(join(ROOT, "clients", "typescript", "src", "gen")), texts(fresh));
  } finally {
    rmSync(fresh, { recursive: true });
  }
});
