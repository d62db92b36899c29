/** The client with the whole service. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import {
  Aborted,
  AlreadyExists,
  DEFAULT_ADDRESS,
  EditKind,
  InvalidArgument,
  KgtClient,
  NotFound,
  Unavailable,
  wholeLines,
} from "../src/index.js";
import { LossyLink } from "./lossy.js";
import { collected } from "./scripted.js";
import { ROOT, Server } from "./server.js";

const ENJOY = "What does a dog enjoy?";
const FEED = "What should I feed my dog?";
const FISH = { head: "dog", relation: "likes", tail: "fish" };

let server: Server;
let kgt: KgtClient;

before(async () => {
  server = await Server.start();
  kgt = new KgtClient(server.address, { timeoutMs: 20_000 });
});

after(async () => {
  kgt.close();
  await server.stop();
});

test("a correction takes effect for its user, travels, and is undone", async () => {
  const user = "anna";
  const corrected = await kgt.personalize({ user, query: ENJOY, answer: "vegetables" });
  assert.ok(corrected.converged && corrected.edit);
  assert.equal((await kgt.answer({ user, query: FEED })).text, "vegetables");
  assert.equal((await kgt.answer({ user: "bob", query: FEED })).text, "meat");
  assert.match((await kgt.retrieve({ user, query: FEED })).context, /vegetables/);

  const facts = await kgt.listFacts({ user });
  assert.deepEqual(
    facts.facts.map((fact) => fact.triple?.tail).sort(),
    ["meat", "vegetables"],
  );
  const seen = await kgt.getNeighborhood({ user, concept: "dog" });
  assert.ok(seen.triples.some((viewed) => viewed.triple?.tail === "vegetables"));

  const lines = await collected(wholeLines(kgt.exportOverlay({ user })));
  const imported = await kgt.importOverlay({ user: "carol", lines });
  assert.deepEqual([imported.importedEdits, imported.revision], [1, 1n]);
  assert.equal((await kgt.answer({ user: "carol", query: FEED })).text, "vegetables");

  const reverted = await kgt.revertEdit({ user, editId: corrected.edit.id });
  assert.equal(reverted.edit?.revision, 2n);
  assert.equal((await kgt.answer({ user, query: FEED, minRevision: 2n })).text, "meat");
  assert.equal((await kgt.answer({ user, query: FEED, atRevision: 1n })).text, "vegetables");
  const { edits } = await kgt.listEdits({ user });
  assert.deepEqual(
    edits.map((edit) => edit.kind),
    [EditKind.REVERT, EditKind.PERSONALIZE],
  );
  assert.equal((await kgt.eraseUser({ user })).edits, 2);
  assert.deepEqual((await kgt.listEdits({ user })).edits, []);
});

test("what a user says is learned", async () => {
  const learned = await kgt.learn({ user: "dora", text: "My dog is named Luna." });
  assert.deepEqual(
    learned.facts.map((fact) => fact.triple?.tail),
    ["Luna"],
  );
});

test("an answer streams its evidence, its text and its totals", async () => {
  const parts = await collected(kgt.streamAnswer({ user: "erin", query: ENJOY }));
  assert.deepEqual([parts.at(0)?.part.case, parts.at(-1)?.part.case], ["evidence", "totals"]);
  const text = parts.map(({ part }) => (part.case === "text" ? part.value : "")).join("");
  assert.equal(text, "meat");
});

test("a stream whose reader stops keeps no timer", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  await kgt.answer({ user: "erin", query: ENJOY });
  const before = timers();
  for (const messagesToRead of [1, 2]) {
    let read = 0;
    for await (const _ of kgt.streamAnswer({ user: "erin", query: ENJOY })) {
      read += 1;
      if (read === messagesToRead) break;
    }
  }
  assert.equal(timers(), before);
});

test("the service's errors name reason and field", async () => {
  const user = "frank";
  await assert.rejects(kgt.answer({ user, query: "" }), (error) => {
    assert.ok(error instanceof InvalidArgument);
    assert.equal(error.reason, "INVALID_FIELD");
    assert.deepEqual(Object.keys(error.fields), ["query"]);
    return true;
  });
  await assert.rejects(kgt.revertEdit({ user, editId: "e" }), (error) => {
    assert.ok(error instanceof NotFound);
    assert.deepEqual([error.reason, error.fields], ["UNKNOWN_EDIT", {}]);
    return true;
  });
  await kgt.editFacts({ user, add: [FISH], requestId: "once" });
  const hats = { user, add: [{ ...FISH, tail: "hats" }] };
  await assert.rejects(kgt.editFacts({ ...hats, requestId: "once" }), AlreadyExists);
  await assert.rejects(kgt.editFacts({ ...hats, expectedRevision: 0n }), (error) => {
    assert.ok(error instanceof Aborted);
    assert.deepEqual(error.metadata, { expected_revision: "0", revision: "1" });
    return true;
  });
  await assert.rejects(kgt.answer({ user, query: ENJOY, minRevision: 9n }), Unavailable);
});

for (const [how, cut] of [
  ["reset", (socket: Socket) => socket.resetAndDestroy()],
  ["ended", (socket: Socket) => socket.end()],
] as const) {
  test(`a write whose response was lost when the connection was ${how} is made once`, async () => {
    const user = `grace ${how}`;
    const link = await LossyLink.to(server.address, 2, cut);
    const client = new KgtClient(link.address, { timeoutMs: 20_000 });
    const written = await client.editFacts({ user, add: [FISH] });
    assert.equal(link.lost, 2);
    // The same write under another id would have found nothing left to change.
    const { edits } = await client.listEdits({ user });
    assert.deepEqual([written.edit?.id], edits.map((edit) => edit.id));
    client.close();
    link.close();
  });
}

test("an import whose response was lost is made once", async () => {
  await kgt.editFacts({ user: "heidi", add: [FISH] });
  const lines = await collected(wholeLines(kgt.exportOverlay({ user: "heidi" })));
  const link = await LossyLink.to(server.address, 1, (socket) => socket.resetAndDestroy());
  const client = new KgtClient(link.address, { timeoutMs: 20_000 });
  const imported = await client.importOverlay({ user: "ivan", lines: lines.values() });
  assert.deepEqual([link.lost, imported.revision], [1, 1n]);
  client.close();
  link.close();
});

test("texts come back as they were sent, in any script", async () => {
  const user = "Ωμέγα 🐕";
  for (const tail of ["草莓", "crème brûlée", "🐕‍🦺 und 🦴", "שלום", "मछली", "<b>&amp;</b>"]) {
    await kgt.editFacts({ user, add: [{ ...FISH, tail }] });
    const { facts } = await kgt.listFacts({ user });
    assert.equal(facts[0]?.triple?.tail, tail);
  }
  const lines = await collected(wholeLines(kgt.exportOverlay({ user })));
  assert.equal((await kgt.importOverlay({ user: "שני", lines })).importedEdits, 6);
});

test("the example in the README prints what was learned, and ends", () => {
  const readme = readFileSync(join(ROOT, "clients", "typescript", "README.md"), "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? assert.fail("no example");
  assert.ok(example.includes(DEFAULT_ADDRESS));
  // In the package's folder, so that its name leads to what was built.
  const file = fileURLToPath(new URL("example.mjs", import.meta.url));
  try {
    writeFileSync(file, example.replace(DEFAULT_ADDRESS, server.address));
    const printed = execFileSync(process.execPath, [file], { encoding: "utf8" });
    const [answer, ...context] = printed.split("\n");
    assert.equal(answer, "vegetables");
    assert.match(context.join("\n"), /dog likes vegetables/);
  } finally {
    rmSync(file, { force: true });
  }
});
