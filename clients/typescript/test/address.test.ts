/** Which addresses name a server, and which do not. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseAddress } from "../src/address.js";
import { InvalidAddress, KgtClient } from "../src/index.js";

test("an address is the origin of the requests", () => {
  for (const [address, origin] of [
    ["127.0.0.1:50051", "http://127.0.0.1:50051"],
    ["localhost:80", "http://localhost"],
    ["[::1]:50051", "http://[::1]:50051"],
    ["dns:///kgt.internal:50051", "http://kgt.internal:50051"],
    ["0.0.0.0:50051", "http://127.0.0.1:50051"],
    ["[::]:50051", "http://[::1]:50051"],
  ] as const) {
    assert.deepEqual(parseAddress(address), { origin });
  }
  assert.equal(parseAddress("unix:/run/kgt.sock").socketPath, "/run/kgt.sock");
});

test("what is no address is refused before anything is called", () => {
  for (const address of [
    "",
    "localhost",
    "http://localhost:50051",
    "localhost:50051/path",
    "user@localhost:50051",
    "::1:50051",
    "[::1:50051",
    "localhost:65536",
    "localhost:0",
    "localhost:５０",
    "1.2.3.4.5:50051",
    "256.0.0.1:50051",
    "unix:",
    "unix:/",
  ]) {
    assert.throws(() => new KgtClient(address), InvalidAddress, address);
  }
});
