/** The client over a real channel: deadlines, request ids, retries, typed errors, cancellation. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, describe, test } from "node:test";

import { Code, ConnectError } from "@connectrpc/connect";

import { RETRIES } from "../src/calls.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../src/gen/google/rpc/error_details_pb.js";
import * as kgtClient from "../src/index.js";
import { type CallError, DEFAULT_TIMEOUT_MS, KgtClient } from "../src/index.js";
import { collected, ScriptedServer } from "./scripted.js";

const SHORT_MS = 20_000;
const user = "alice";
const query = "What does a dog enjoy?";
const HOW = {
  personalize: (kgt, id) => kgt.personalize({ user, query, answer: "fish", ...id }),
  learn: (kgt, id) => kgt.learn({ user, text: "I like jazz.", ...id }),
  answer: (kgt) => kgt.answer({ user, query }),
  streamAnswer: (kgt) => collected(kgt.streamAnswer({ user, query })),
  retrieve: (kgt) => kgt.retrieve({ user, query }),
  getNeighborhood: (kgt) => kgt.getNeighborhood({ user, concept: "dog" }),
  listFacts: (kgt) => kgt.listFacts({ user }),
  editFacts: (kgt, id) =>
    kgt.editFacts({ user, add: [{ head: "dog", relation: "likes", tail: "fish" }], ...id }),
  listEdits: (kgt) => kgt.listEdits({ user }),
  revertEdit: (kgt, id) => kgt.revertEdit({ user, editId: "e", ...id }),
  exportOverlay: (kgt) => collected(kgt.exportOverlay({ user })),
  importOverlay: (kgt, id) => kgt.importOverlay({ user, lines: ["{}"].values(), ...id }),
  eraseUser: (kgt, id) => kgt.eraseUser({ user, ...id }),
} satisfies Record<string, (kgt: KgtClient, id?: { requestId: string }) => Promise<unknown>>;
type Method = keyof typeof HOW;
const RPCS = kgtClient.PersonalizationService.methods;
const ALL = RPCS.map((rpc) => rpc.localName as Method);
const WRITES = RPCS.filter((rpc) => "requestId" in rpc.input.field).map(
  (rpc) => rpc.localName as Method,
);
const STREAMS = ["streamAnswer", "exportOverlay"] as const;

let server: ScriptedServer;
let kgt: KgtClient;

beforeEach(async () => {
  server = await ScriptedServer.start();
  kgt = new KgtClient(server.address);
});

afterEach(() => {
  kgt.close();
  server.close();
});

function call(method: Method, client = kgt, id?: { requestId: string }): Promise<unknown> {
  return HOW[method](client, id);
}

async function failure(calling: Promise<unknown>): Promise<CallError> {
  const reason = await calling.then(
    () => assert.fail("the call succeeded"),
    (error: unknown) => error,
  );
  assert.ok(reason instanceof kgtClient.CallError);
  return reason;
}

describe("methods", () => {
  test("every RPC is a method of its name and there are no others", () => {
    const ours = ["constructor", "within", "close", "one", "stream"];
    const methods = Object.getOwnPropertyNames(KgtClient.prototype);
    assert.deepEqual(methods.filter((name) => !ours.includes(name)).sort(), ALL.toSorted());
    assert.deepEqual(Object.keys(HOW).sort(), ALL.toSorted());
  });

  test("each method calls its RPC and returns its message", async () => {
    for (const rpc of RPCS) {
      const answered = await call(rpc.localName as Method);
      const [message] = Array.isArray(answered) ? answered : [answered];
      assert.equal(message.$typeName, rpc.output.typeName);
      assert.equal(server.calls.at(-1)?.method, rpc.localName);
      assert.equal(server.calls.at(-1)?.messages[0]?.user, user);
    }
  });

  test("what is left out is not sent", async () => {
    await kgt.answer({ user, query });
    const [sent] = server.calls[0]?.messages ?? [];
    assert.ok(sent && !Object.hasOwn(sent, "minRevision") && !Object.hasOwn(sent, "maxTokens"));
    await kgt.answer({ user, query, minRevision: 0n });
    const [other] = server.calls[1]?.messages ?? [];
    assert.ok(other && "minRevision" in other);
    assert.equal(other.minRevision, 0n);
  });
});

describe("deadlines", () => {
  test("every call has one", async () => {
    for (const method of ALL) {
      await call(method);
      const { timeoutMs = 0 } = server.calls.at(-1) ?? {};
      assert.ok(SHORT_MS < timeoutMs && timeoutMs <= DEFAULT_TIMEOUT_MS, `${timeoutMs}`);
    }
  });

  test("within is another one over the same connection", async () => {
    for (const method of ALL) {
      await call(method, kgt.within(SHORT_MS));
      const { timeoutMs = 0 } = server.calls.at(-1) ?? {};
      assert.ok(0 < timeoutMs && timeoutMs <= SHORT_MS, `${timeoutMs}`);
    }
    assert.equal(kgt.timeoutMs, DEFAULT_TIMEOUT_MS);
    kgt.close();
    assert.ok((await failure(call("answer", kgt.within(SHORT_MS)))) instanceof kgtClient.Cancelled);
  });

  test("a deadline as long as can be is sent as gRPC can", async () => {
    await call("answer", kgt.within(Number.MAX_SAFE_INTEGER));
    const { timeoutMs = 0 } = server.calls[0] ?? {};
    assert.ok(99_000_000 < timeoutMs && timeoutMs <= 99_999_999, `${timeoutMs}`);
  });

  test("a call that is not answered in time ends", async () => {
    server.hangs = true;
    for (const method of ["answer", "streamAnswer", "personalize"] as const) {
      const error = await failure(call(method, kgt.within(200)));
      assert.ok(error instanceof kgtClient.DeadlineExceeded, error.name);
    }
    const late = await failure(call("answer", kgt.within(0)));
    assert.ok(late instanceof kgtClient.DeadlineExceeded);
  });

  test("a retry that would come after the deadline is not waited for", async () => {
    server.failures = 1;
    server.failure = new ConnectError("soon", Code.Unavailable, {
      "grpc-retry-pushback-ms": String(2 * SHORT_MS),
    });
    const error = await failure(call("answer", kgt.within(SHORT_MS)));
    assert.ok(error instanceof kgtClient.Unavailable);
    assert.equal(server.calls.length, 1);
  });
});

describe("request ids and retries", () => {
  test("a request id is made up for each write", async () => {
    for (const method of WRITES) {
      server.calls.length = 0;
      await call(method);
      await call(method);
      await call(method, kgt, { requestId: "mine" });
      const [first, second, third] = server.calls.map((seen) => seen.messages[0]?.requestId);
      assert.ok(first && second && first !== second);
      assert.equal(third, "mine");
    }
  });

  test("a call is retried, a write with the same request id", async () => {
    for (const method of ALL) {
      server.calls.length = 0;
      server.failures = RETRIES.mostAttempts - 1;
      await call(method);
      assert.equal(server.calls.length, RETRIES.mostAttempts);
      for (const seen of server.calls) {
        assert.deepEqual(seen.messages, server.calls[0]?.messages);
      }
    }
  });

  test("retries end", async () => {
    server.failures = RETRIES.mostAttempts;
    assert.ok((await failure(call("answer"))) instanceof kgtClient.Unavailable);
    assert.equal(server.calls.length, RETRIES.mostAttempts);
  });

  test("a server that says not to retry is believed", async () => {
    server.failures = 1;
    server.failure = new ConnectError("no", Code.Unavailable, { "grpc-retry-pushback-ms": "-1" });
    assert.ok((await failure(call("answer"))) instanceof kgtClient.Unavailable);
    assert.equal(server.calls.length, 1);
  });

  test("a stream is not retried after its first message", async () => {
    server.messagesBefore = 1;
    for (const method of STREAMS) {
      server.failures = 1;
      server.calls.length = 0;
      const stream = kgt[method]({ user, query });
      assert.equal((await stream.next()).done, false);
      assert.ok((await failure(stream.next())) instanceof kgtClient.Unavailable);
      assert.equal(server.calls.length, 1);
    }
  });

  test("each other status is its own error and is not retried", async () => {
    const codes = Object.values(Code).filter((code) => typeof code === "number");
    for (const code of codes.filter((other) => other !== Code.Unavailable)) {
      server.failures = 1;
      server.calls.length = 0;
      server.failure = new ConnectError("as the test says", code);
      const error = await failure(call("answer"));
      const name = code === Code.Canceled ? "Cancelled" : Code[code];
      assert.equal(error.name, name in kgtClient ? name : "ServerFailure");
      assert.equal(error.message, "as the test says");
      assert.equal(server.calls.length, 1);
    }
  });

  test("a server that is not there is unavailable", async () => {
    const gone = await ScriptedServer.start();
    const addresses = [gone.address, "unix:/nowhere/kgt.sock"];
    gone.close();
    const calling = addresses.map(async (address) => {
      const client = new KgtClient(address, { timeoutMs: 2000 });
      assert.ok((await failure(call("answer", client))) instanceof kgtClient.Unavailable);
      client.close();
    });
    await Promise.all(calling);
  });
});

describe("errors and cancellation", () => {
  test("an error tells what the server packed into it", async () => {
    server.failures = 1;
    server.failure = new ConnectError("busy", Code.ResourceExhausted, undefined, [
      { desc: ErrorInfoSchema, value: { reason: "BUSY", metadata: { tokens: "7" } } },
      {
        desc: BadRequestSchema,
        value: { fieldViolations: [{ field: "query", description: "is empty" }] },
      },
      {
        desc: QuotaFailureSchema,
        value: { violations: [{ subject: "user", description: "user_facts: 2" }] },
      },
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
    ]);
    const error = await failure(call("streamAnswer"));
    assert.ok(error instanceof kgtClient.ResourceExhausted);
    assert.deepEqual(
      [error.reason, error.metadata, error.fields, error.quotas, error.retryAfterMs],
      ["BUSY", { tokens: "7" }, { query: "is empty" }, { user: "user_facts: 2" }, 1500],
    );
  });

  test("a signal cancels a call, also one that waits for its next attempt", async () => {
    server.hangs = true;
    for (const wait of [false, true]) {
      const cancelling = new AbortController();
      if (wait) {
        server.hangs = false;
        server.failures = 1;
        server.failure = new ConnectError("later", Code.Unavailable, {
          "grpc-retry-pushback-ms": String(SHORT_MS),
        });
      }
      const calling = failure(kgt.answer({ user, query }, { signal: cancelling.signal }));
      while (server.calls.length < (wait ? 2 : 1)) {
        await new Promise(setImmediate);
      }
      cancelling.abort();
      assert.ok((await calling) instanceof kgtClient.Cancelled);
      const after = failure(kgt.answer({ user, query }, { signal: cancelling.signal }));
      assert.ok((await after) instanceof kgtClient.Cancelled);
    }
    assert.equal(server.calls.length, 2);
  });

  test("a stream whose reader stops is cancelled", async () => {
    server.messagesBefore = 1;
    server.hangs = true;
    for await (const _ of kgt.streamAnswer({ user, query })) {
      break;
    }
    const { ended } = server.calls[0] ?? assert.fail();
    if (!ended.aborted) {
      await once(ended, "abort");
    }
  });

  test("closing cancels the calls under way and those to come", async () => {
    server.hangs = true;
    const calling = ALL.map((method) => failure(call(method)));
    while (server.calls.length < ALL.length) {
      await new Promise(setImmediate);
    }
    kgt.close();
    for (const error of await Promise.all(calling)) {
      assert.ok(error instanceof kgtClient.Cancelled, error.name);
    }
    assert.ok((await failure(call("answer"))) instanceof kgtClient.Cancelled);
  });
});
