/** How a client says who it is, and what it does not say in the clear. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
  type CallError,
  Cancelled,
  type ClientOptions,
  DeadlineExceeded,
  InvalidAccess,
  KgtClient,
  PermissionDenied,
  Unauthenticated,
  Unavailable,
} from "../src/index.js";
import { collected, ScriptedServer } from "./scripted.js";
import { PYTHON, ROOT, Server } from "./server.js";

const MAKE_KEYS = `
import json, sys
from pathlib import Path
from testbed.keys import LOOPBACK, Authority, Issuer, key_set, replaced

folder, issuer, authority = Path(sys.argv[1]), Issuer(), Authority()
roots = str(replaced(folder / "ca.crt", authority.certificate))
keys = str(replaced(folder / "keys.json", key_set(issuer)))
certificate, key = map(str, authority.issue("kgt", LOOPBACK).written(folder, "server"))
client = authority.issue("a client")
print(json.dumps({
    "settings": [
        "--auth", "jwt", "--auth-keys", keys,
        "--auth-issuer", issuer.name, "--auth-audience", issuer.audience,
        "--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", roots,
    ],
    "tls": {
        "ca": authority.certificate.decode(),
        "certificate": client.certificate.decode(),
        "key": client.key.decode(),
    },
    "alice": issuer.token("alice"),
    "bob": issuer.token("bob"),
    "expired": issuer.token("alice", exp=1),
}))
`;
const user = "alice";
const query = "What does a dog enjoy?";
const FISH = { head: "dog", relation: "likes", tail: "fish" };

const folder = mkdtempSync(join(tmpdir(), "kgt-access-"));
const made = JSON.parse(
  execFileSync(PYTHON, ["-c", MAKE_KEYS, folder], { cwd: ROOT, encoding: "utf8" }),
);
const clients: KgtClient[] = [];
let server: Server;
let scripted: ScriptedServer;

before(async () => {
  server = await Server.start(...made.settings);
  scripted = await ScriptedServer.start();
});

after(async () => {
  clients.forEach((client) => client.close());
  scripted.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

function client(options: ClientOptions, address = server.address): KgtClient {
  const kgt = new KgtClient(address, { timeoutMs: 20_000, ...options });
  clients.push(kgt);
  return kgt;
}

async function refused(
  calling: Promise<unknown>,
  kind: typeof CallError,
  reason: string,
): Promise<void> {
  await assert.rejects(calling, (error) => {
    assert.ok(error instanceof kind);
    assert.equal(error.reason, reason);
    return true;
  });
}

test("a token is renewed while the client is in use", async () => {
  let token = made.alice;
  const kgt = client({ token: async () => token, tls: made.tls });
  assert.equal((await kgt.answer({ user, query })).text, "meat");
  await kgt.editFacts({ user, add: [FISH] });
  const lines = (await collected(kgt.exportOverlay({ user }))).map((message) => message.line);
  token = made.bob;
  assert.equal((await kgt.importOverlay({ user: "bob", lines })).revision, 1n);
  const [first] = await collected(kgt.streamAnswer({ user: "bob", query }));
  assert.equal(first?.part.case, "evidence");
  await refused(kgt.within(10_000).listFacts({ user }), PermissionDenied, "NOT_THIS_USER");
  token = made.expired;
  await refused(kgt.listFacts({ user }), Unauthenticated, "TOKEN_EXPIRED");
  await refused(collected(kgt.exportOverlay({ user })), Unauthenticated, "TOKEN_EXPIRED");
});

test("who has no token is told so", async () => {
  const kgt = client({ tls: made.tls });
  await refused(kgt.listFacts({ user }), Unauthenticated, "TOKEN_MISSING");
});

test("both sides must know the other's authority", async () => {
  const { ca, ...own } = made.tls;
  for (const tls of [{ ca }, own]) {
    const kgt = client({ token: made.alice, tls, timeoutMs: 2000 });
    await assert.rejects(kgt.listFacts({ user }), Unavailable);
  }
});

test("TLS goes through a socket in the file system, too", async () => {
  const port = Number(server.address.split(":").at(-1));
  const forwarding = createServer((socket) => {
    const onward = connect(port, "127.0.0.1");
    socket.pipe(onward).pipe(socket);
  });
  const path = join(folder, "kgt.sock");
  forwarding.listen(path);
  await once(forwarding, "listening");
  const kgt = client({ token: made.alice, tls: made.tls }, `unix:${path}`);
  assert.equal((await kgt.answer({ user, query, atRevision: 0n })).text, "meat");
  kgt.close();
  forwarding.close();
});

test("every attempt of a call carries the token, which is asked for once", async () => {
  let asked = 0;
  const kgt = client({ token: () => `${(asked += 1)}` }, scripted.address);
  scripted.failures = 1;
  await kgt.answer({ user, query });
  await collected(kgt.streamAnswer({ user, query }));
  const sent = scripted.calls.map((call) => call.authorization);
  assert.deepEqual(sent, ["Bearer 1", "Bearer 1", "Bearer 2"]);
});

test("a call ends with what its token's function throws, or before it gives one", async () => {
  const failing = () => Promise.reject(new RangeError("no token today"));
  await assert.rejects(client({ token: failing }).listFacts({ user }), /no token today/);
  const kgt = client({ token: () => new Promise<string>(() => undefined) });
  await assert.rejects(kgt.within(50).listFacts({ user }), DeadlineExceeded);
  await assert.rejects(collected(kgt.within(50).exportOverlay({ user })), DeadlineExceeded);
  const cancelling = new AbortController();
  const calling = kgt.listFacts({ user }, { signal: cancelling.signal });
  cancelling.abort();
  await assert.rejects(calling, Cancelled);
});

test("what would be unsafe or half is refused", () => {
  const { certificate, key } = made.tls;
  for (const [address, options] of [
    ["kgt.example.org:50051", { token: "secret" }],
    ["192.0.2.1:50051", { token: () => "secret" }],
    ["127.0.0.1:1", { tls: { certificate } }],
    ["127.0.0.1:1", { tls: { key } }],
  ] as const) {
    assert.throws(() => new KgtClient(address, options), InvalidAccess);
  }
  client({ token: "secret", tls: {} }, "kgt.example.org:50051");
});
