/** The defaults and the errors, compared with the Python client's. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { RETRIES } from "../src/calls.js";
import * as errors from "../src/errors.js";
import { DEFAULT_ADDRESS, DEFAULT_TIMEOUT_MS } from "../src/index.js";
import { PYTHON, ROOT } from "./server.js";

const TELL = `
import json
from kgt import errors
from kgt.addresses import DEFAULT_ADDRESS
from kgt.client import DEFAULT_TIMEOUT_S, connection

retries = json.loads(connection._SERVICE_CONFIG)["methodConfig"][0]["retryPolicy"]
kinds = [kind.__name__ for kind in [errors.CallError, *errors.CallError.__subclasses__()]]
told = {"address": DEFAULT_ADDRESS, "timeout_s": DEFAULT_TIMEOUT_S, "retries": retries}
print(json.dumps({**told, "errors": kinds}))
`;

const python = JSON.parse(execFileSync(PYTHON, ["-c", TELL], { cwd: ROOT, encoding: "utf8" }));

test("address, deadline and retries are the Python client's", () => {
  assert.equal(DEFAULT_ADDRESS, python.address);
  assert.equal(DEFAULT_TIMEOUT_MS, python.timeout_s * 1000);
  assert.deepEqual(python.retries, {
    maxAttempts: RETRIES.mostAttempts,
    initialBackoff: `${RETRIES.firstPauseMs / 1000}s`,
    maxBackoff: `${RETRIES.longestPauseMs / 1000}s`,
    backoffMultiplier: RETRIES.pauseFactor,
    retryableStatusCodes: ["UNAVAILABLE"],
  });
});

test("there are the same errors", () => {
  const kinds = Object.keys(errors).filter((name) => name !== "typedError");
  assert.deepEqual(kinds.sort(), python.errors.sort());
});
