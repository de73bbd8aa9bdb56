import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Code, RunError, RunStatus, StatusEvent } from "@runsvc/client";
import { TokenFile } from "../src/credential.js";
import { clientOf } from "./support/server.js";

/** A file in a folder of the test. */
function newFile(test: TestContext, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), "runsvc-"));
  test.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "token");
  writeFileSync(path, content);
  return path;
}

test("a token file is read again when it has changed", (test) => {
  const path = newFile(test, " first\n");
  const file = new TokenFile(path);
  assert.equal(file.token(), "first");
  renameSync(newFile(test, "other"), path);
  assert.equal(file.token(), "other");
  writeFileSync(path, "third-token");
  assert.equal(file.token(), "third-token");
});

test("the last token is kept while the file cannot be read", (test) => {
  const path = newFile(test, "first");
  const file = new TokenFile(path);
  assert.equal(file.token(), "first");
  for (const content of ["", "two tokens"]) {
    writeFileSync(path, content);
    assert.equal(file.token(), "first");
  }
  rmSync(path);
  assert.equal(file.token(), "first");
  assert.equal(file.isRenewedAfter("first"), false);
  writeFileSync(path, "again");
  assert.equal(file.isRenewedAfter("first"), true);
});

/** A server that refuses the first tokens, and the tokens that it received. */
function refusing(refusals: number, onCall = () => {}) {
  const tokens: (string | null)[] = [];
  const check = ({ requestHeader }: HandlerContext) => {
    onCall();
    tokens.push(requestHeader.get("authorization"));
    if (tokens.length <= refusals) throw new ConnectError("", Code.Unauthenticated, { "x-request-id": "q" });
  };
  const run = { runId: "r", status: RunStatus.RUNNING };
  const answers = {
    create: (_: unknown, context: HandlerContext) => {
      check(context);
      return { run };
    },
    async *streamStatus({ afterRevision }: { afterRevision?: bigint }, context: HandlerContext) {
      check(context);
      const revision = (afterRevision ?? 0n) + 1n;
      yield { event: StatusEvent.CHANGED, revision, run };
      if (revision < 3n) throw new ConnectError("", Code.Unauthenticated);
    },
  };
  return { tokens, answers };
}

function numbered(): () => string {
  let number = 0;
  return () => String(number++);
}

const isRefusal = (error: unknown) => {
  assert(error instanceof RunError);
  assert.deepEqual([error.code, error.requestId], [Code.Unauthenticated, "q"]);
  assert.match(error.message, /\(request id q\)$/);
  return true;
};

test("a call whose token is refused is repeated once with another", async (test) => {
  const { answers, tokens } = refusing(1);
  const { client } = await clientOf(test, answers, { token: numbered() });
  await client.create({ threadId: "t" });
  assert.deepEqual(tokens, ["Bearer 0", "Bearer 1"]);
});

test("a call whose new token is refused too fails", async (test) => {
  const { answers, tokens } = refusing(2);
  const next = numbered();
  const { client } = await clientOf(test, answers, { token: async () => next() });
  await assert.rejects(client.create({ threadId: "t" }), isRefusal);
  assert.deepEqual(tokens, ["Bearer 0", "Bearer 1"]);
});

test("a call is not repeated with the token that was refused", async (test) => {
  const { answers, tokens } = refusing(2);
  const { client } = await clientOf(test, answers, { token: async () => "t" });
  await assert.rejects(client.create({ threadId: "t" }), isRefusal);
  await assert.rejects(client.watch({ runId: "r" }).next(), isRefusal);
  assert.deepEqual(tokens, ["Bearer t", "Bearer t"]);
});

test("a call with a token by value is not repeated", async (test) => {
  const { answers, tokens } = refusing(1);
  const { client } = await clientOf(test, answers, { token: "t" });
  await assert.rejects(client.create({ threadId: "t" }), isRefusal);
  assert.equal(tokens.length, 1);
});

test("a call is repeated if the token file holds another token", async (test) => {
  const path = newFile(test, "old");
  let content = "old";
  const { answers, tokens } = refusing(2, () => writeFileSync(path, content));
  const { client } = await clientOf(test, answers, { tokenFile: path });
  await assert.rejects(client.create({ threadId: "t" }), isRefusal);
  content = "new";
  await client.create({ threadId: "t" });
  assert.deepEqual(tokens, ["Bearer old", "Bearer old", "Bearer new"]);
});

test("a token file that was never readable fails the call", async (test) => {
  const { answers } = refusing(0);
  const { client } = await clientOf(test, answers, { tokenFile: "/nowhere/token" });
  await assert.rejects(
    client.create({ threadId: "t" }),
    /Unauthenticated: there is no token: .*\/nowhere\/token/,
  );
});

test("a watch whose token has expired resumes with another at its position", async (test) => {
  const { answers, tokens } = refusing(1);
  const { client } = await clientOf(test, answers, { token: numbered() });
  const revisions = [];
  for await (const { revision } of client.watch({ runId: "r" })) revisions.push(revision);
  assert.deepEqual(revisions, [1n, 2n, 3n]);
  assert.equal(tokens.length, 4);
});

test("a watch whose new token is refused too fails", async (test) => {
  const { answers, tokens } = refusing(2);
  const { client } = await clientOf(test, answers, { token: numbered() });
  await assert.rejects(client.watch({ runId: "r" }).next(), isRefusal);
  assert.equal(tokens.length, 2);
});

test("a view of an owner sends it with calls and watches", async (test) => {
  const owners: (string | null)[] = [];
  const note = ({ requestHeader }: HandlerContext) => owners.push(requestHeader.get("runsvc-owner"));
  const { client } = await clientOf(test, {
    get: (_, context) => {
      note(context);
      return { run: {} };
    },
    // biome-ignore lint/correctness/useYield: the stream is empty
    async *streamStatus(_, context) {
      note(context);
    },
  });
  const ada = client.forOwner("ada");
  await ada.get("r");
  await ada.watch({ runId: "r" }).next();
  await ada.stub.get({ runId: "r" });
  await ada.forOwner("").get("r");
  ada.close();
  await client.get("r");
  assert.deepEqual(owners, ["ada", "ada", "ada", "", null]);
  assert.throws(() => client.forOwner("a\nb"), RangeError);
});
