/** Which addresses name a server, and which do not. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseAddress } from "../src/address.js";
import { InvalidAddress, KgtClient } from "../src/index.js";

test("an address is a host and a port, on this machine or not", () => {
  for (const [address, host, isLoopback] of [
    ["127.0.0.1:50051", "127.0.0.1:50051", true],
    ["127.1.2.3:50051", "127.1.2.3:50051", true],
    ["localhost:80", "localhost:80", true],
    ["localhost:443", "localhost:443", true],
    ["LOCALHOST.:50051", "localhost.:50051", true],
    ["[::1]:50051", "[::1]:50051", true],
    ["[::ffff:127.0.0.1]:50051", "[::ffff:7f00:1]:50051", true],
    ["dns:///kgt.internal:50051", "kgt.internal:50051", false],
    ["localhost.example.org:50051", "localhost.example.org:50051", false],
    ["192.0.2.1:50051", "192.0.2.1:50051", false],
    ["[::ffff:192.0.2.1]:50051", "[::ffff:c000:201]:50051", false],
    ["0.0.0.0:50051", "127.0.0.1:50051", true],
    ["[::]:50051", "[::1]:50051", true],
    ["unix:/run/kgt.sock", "localhost", true],
  ] as const) {
    const target = parseAddress(address);
    assert.deepEqual([target.host, target.isLoopback], [host, isLoopback]);
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
