/** What a client proves who it is with, and how it knows the server: a token, and TLS. */

import type { Target } from "./address.js";

/** A token, or what returns one. A function is asked at every call, so tokens can be renewed. */
export type Token = string | (() => string | Promise<string>);

/** Certificates or a key, in PEM. */
export type Pem = string | Buffer;

/** With these, even without any of them, a connection uses TLS. */
export interface Tls {
  /** The authorities that the server's certificate is from: those of Node.js if left out. */
  readonly ca?: Pem;
  /** The client's own certificate, where the server asks for one. */
  readonly certificate?: Pem;
  /** The private key of `certificate`. */
  readonly key?: Pem;
}

/** What proves who calls. */
export interface Access {
  readonly token?: Token | undefined;
  readonly tls?: Tls | undefined;
}

/** A token or a certificate cannot be used like this. */
export class InvalidAccess extends Error {
  override readonly name = "InvalidAccess";
}

/** Refuses half of a certificate, and a token that would go over a network in the clear. */
export function checkAccess({ token, tls }: Access, target: Target): void {
  if ((tls?.certificate === undefined) !== (tls?.key === undefined)) {
    throw new InvalidAccess("a client's certificate and its key belong together: give both");
  }
  if (token !== undefined && tls === undefined && !target.isLoopback) {
    throw new InvalidAccess(
      `a token is not sent to ${target.host} in the clear: give tls, with the authorities of the` +
        " server's certificate as ca",
    );
  }
}
