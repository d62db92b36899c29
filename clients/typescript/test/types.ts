/** What the compiler lets a caller write. It is compiled with the tests, and never run. */

import { type AnswerResponse, KgtClient } from "../src/index.js";

export async function asTheCompilerSeesTheClient(kgt: KgtClient): Promise<AnswerResponse> {
  const user = "alice";
  const query = "What does a dog enjoy?";
  // @ts-expect-error: a query is needed
  await kgt.answer({ user });
  // @ts-expect-error: there is no such field
  await kgt.answer({ user, query, question: query });
  // @ts-expect-error: a revision is a bigint
  await kgt.answer({ user, query, minRevision: 3 });
  // @ts-expect-error: the pieces of a line are the client's business
  await kgt.importOverlay({ user, lines: ["{}"], continued: true });
  await kgt.personalize({ user, query, answer: "fish", options: { k: 3 }, relations: ["likes"] });
  for await (const { part } of kgt.streamAnswer({ user, query })) {
    if (part.case === "text") part.value satisfies string;
  }
  // @ts-expect-error: a file's token is read by a function
  new KgtClient("unix:/run/kgt.sock", { token: new URL("file:///run/token") });
  new KgtClient("unix:/run/kgt.sock", { token: async () => "token", tls: {} }).close();
  return kgt.within(1000).answer({ user, query, subject: undefined, minRevision: 3n });
}
