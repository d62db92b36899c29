/** Addresses of servers: `host:port`, with an IPv6 host in brackets, or `unix:PATH`. */

import { BlockList, isIP } from "node:net";

export const DEFAULT_ADDRESS = "127.0.0.1:50051";

const UNIX = "unix:";
const HOST_AND_PORT = /^(?:dns:\/\/\/)?((?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})$/;
/** A server may listen on every interface. For a client, that means loopback. */
const LOOPBACK: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "[::]": "[::1]" };

const LOOPBACK_ADDRESSES = new BlockList();
LOOPBACK_ADDRESSES.addSubnet("127.0.0.0", 8);
LOOPBACK_ADDRESSES.addAddress("::1", "ipv6");

/** The text is not the address of a server. */
export class InvalidAddress extends Error {
  override readonly name = "InvalidAddress";
}

/** Where a client connects to. */
export interface Target {
  /** Host and port. A socket in the file system has them too, for the requests. */
  readonly host: string;
  /** Whether only this machine can reach it. */
  readonly isLoopback: boolean;
  readonly socketPath?: string;
}

/** Read the address that a client connects to. Throws InvalidAddress. */
export function parseAddress(address: string): Target {
  if (address.startsWith(UNIX)) {
    const socketPath = address.slice(UNIX.length);
    if (/^\/*$/.test(socketPath)) {
      throw new InvalidAddress("the address is unix: and the path of a socket");
    }
    return { host: "localhost", isLoopback: true, socketPath };
  }
  const hostAndPort = HOST_AND_PORT.exec(address)?.[1];
  if (hostAndPort === undefined || !URL.canParse(`http://${hostAndPort}`)) {
    throw new InvalidAddress(`the address is host:port, such as ${DEFAULT_ADDRESS}`);
  }
  const url = new URL(`http://${hostAndPort}`);
  if (url.port === "0") {
    throw new InvalidAddress(
      "port 0 makes a server choose a free port: name the port that it chose",
    );
  }
  url.hostname = LOOPBACK[url.hostname] ?? url.hostname;
  // A URL leaves out the port that is usual for it.
  const host = `${url.hostname}:${url.port || "80"}`;
  return { host, isLoopback: isLoopback(url.hostname) };
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, "");
  const version = isIP(host);
  return version === 0
    ? host === "localhost"
    : LOOPBACK_ADDRESSES.check(host, version === 6 ? "ipv6" : "ipv4");
}
