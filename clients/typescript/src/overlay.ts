/** How the lines of an export travel: several in a message, and a long one in pieces. */

import { create } from "@bufbuild/protobuf";

import {
  type ExportOverlayResponse,
  type ImportOverlayRequest,
  ImportOverlayRequestSchema,
} from "./gen/kgt/v1/personalization_pb.js";

/** How much text one message of an import carries. The server takes four times as much. */
const IMPORT_MESSAGE_BYTES = 1 << 20;
/** The longest piece of a line. A unit of UTF-16 takes at most three bytes of UTF-8. */
const IMPORT_PIECE_UNITS = IMPORT_MESSAGE_BYTES / 4;

/** What an import takes. */
export interface ImportArguments {
  /** At most 128 bytes. */
  readonly user: string;
  /** The lines of an export. */
  readonly lines: Iterable<string>;
  /** Add the import's net effect as new edits, also to an overlay that has edits. */
  readonly merge?: boolean;
  readonly requestId?: string;
}

/** The messages of an import. The first one names the user, and none is larger than 2 MiB. */
export async function* importMessages({
  user,
  lines,
  merge = false,
  requestId = "",
}: ImportArguments): AsyncGenerator<ImportOverlayRequest, void, undefined> {
  let message = create(ImportOverlayRequestSchema, { user, merge, requestId });
  let bytes = 0;
  for (const line of lines) {
    for (const { piece, continued } of pieces(line.replace(/\n+$/, ""))) {
      const pieceBytes = Buffer.byteLength(piece);
      const full = message.continued || bytes + pieceBytes > IMPORT_MESSAGE_BYTES;
      if (full && message.lines.length > 0) {
        yield message;
        message = create(ImportOverlayRequestSchema, { user });
        bytes = 0;
      }
      message.lines.push(piece);
      message.continued = continued;
      bytes += pieceBytes;
    }
  }
  yield message;
}

/** A line in pieces that each fit a message. Nearly every line is one piece. */
function* pieces(line: string): Generator<{ piece: string; continued: boolean }, void, undefined> {
  let start = 0;
  while (line.length - start > IMPORT_PIECE_UNITS) {
    const end = wholeCharacters(line, start + IMPORT_PIECE_UNITS);
    yield { piece: line.slice(start, end), continued: true };
    start = end;
  }
  yield { piece: line.slice(start), continued: false };
}

/** `end`, or one less where that would cut a character that takes two units of UTF-16. */
function wholeCharacters(line: string, end: number): number {
  return (line.codePointAt(end - 1) ?? 0) > 0xffff ? end - 1 : end;
}

/** The lines of an export. A line too long for one message arrives in several, joined here. */
export async function* wholeLines(
  messages: AsyncIterable<ExportOverlayResponse>,
): AsyncGenerator<string, void, undefined> {
  let begun = "";
  for await (const { line, continued } of messages) {
    begun += line;
    if (!continued) {
      yield begun;
      begun = "";
    }
  }
}
