/** The lines of an export, on their way. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";

import {
  ExportOverlayResponseSchema,
  ImportOverlayRequestSchema,
  wholeLines,
} from "../src/index.js";
import { importMessages } from "../src/overlay.js";
import { collected } from "./scripted.js";

const MIB = 1 << 20;
const LONE_SURROGATE = /\p{Surrogate}/u;
const IMPORTS = {
  "no line": [],
  "one line": ["{}"],
  "short lines": ["", "{}\n", "x".repeat(5)],
  "a long line of two bytes a character": ["é".repeat(3_000_000)],
  "characters of two units": ["🙂".repeat(700_000), "{}", "x".repeat(MIB)],
  "characters of two units, off by one": [`x${"🙂".repeat(700_000)}`],
  "lines as long as a piece": ["x".repeat(MIB / 4), "y".repeat(MIB / 4 + 1)],
};

for (const [what, lines] of Object.entries(IMPORTS)) {
  test(`an import of ${what} arrives whole in messages that fit`, async () => {
    const messages = await collected(importMessages({ user: "alice", lines }));
    const joined: string[] = [];
    let continued = false;
    for (const [index, sent] of messages.entries()) {
      assert.ok(toBinary(ImportOverlayRequestSchema, sent).length < 2 * MIB);
      assert.ok(index === 0 || sent.lines.length > 0);
      for (const line of sent.lines) {
        assert.ok(!LONE_SURROGATE.test(line));
        joined.push(continued ? joined.pop() + line : line);
        continued = false;
      }
      continued = sent.continued;
    }
    assert.ok(!continued);
    assert.deepEqual(
      joined,
      lines.map((line) => line.replace(/\n$/, "")),
    );
  });
}

test("an export's lines are put together", async () => {
  async function* messages() {
    for (const [line, continued] of [
      ["a", false],
      ["b", true],
      ["c", true],
      ["d", false],
      ["", false],
      ["cut", true],
    ] as const) {
      yield create(ExportOverlayResponseSchema, { line, continued });
    }
  }
  assert.deepEqual(await collected(wholeLines(messages())), ["a", "bcd", ""]);
});
