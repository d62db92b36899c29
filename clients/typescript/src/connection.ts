/** A connection to one server: its RPCs, and the calls over it. */

import { connect } from "node:net";
import { connect as connectSecurely } from "node:tls";

import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { type Access, checkAccess, type Tls } from "./access.js";
import { parseAddress } from "./address.js";
import { Calls } from "./calls.js";
import { PersonalizationService } from "./gen/kgt/v1/personalization_pb.js";

/** Opened by the first call, and again by the next one after it was lost. */
export class Connection {
  readonly calls: Calls;
  readonly rpc: Client<typeof PersonalizationService>;
  readonly #session: Http2SessionManager;

  /** Throws InvalidAddress and InvalidAccess. */
  constructor(address: string, access: Access) {
    const target = parseAddress(address);
    checkAccess(access, target);
    const baseUrl = `${access.tls === undefined ? "http" : "https"}://${target.host}`;
    this.calls = new Calls(access.token);
    this.#session = new Http2SessionManager(baseUrl, undefined, {
      ...secured(access.tls),
      ...throughSocket(target.socketPath, access.tls),
    });
    this.rpc = createClient(
      PersonalizationService,
      createGrpcTransport({ baseUrl, sessionManager: this.#session }),
    );
  }

  close(): void {
    this.calls.close();
    this.#session.abort();
  }
}

/** The client's side of TLS, by the names that Node.js has. */
function secured(tls: Tls = {}) {
  const { ca, certificate: cert, key } = tls;
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert, key }) };
}

/** How a socket in the file system is connected to. */
function throughSocket(path: string | undefined, tls: Tls | undefined) {
  if (path === undefined) {
    return {};
  }
  const createConnection = () =>
    tls === undefined
      ? connect(path)
      : connectSecurely({ path, servername: "localhost", ALPNProtocols: ["h2"], ...secured(tls) });
  return { createConnection };
}
