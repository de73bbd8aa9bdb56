import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// Compiled, this file is dist/test/readme.test.js.
const root = new URL("../../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? "");

test("the examples of the README pass the type check", async () => {
  assert(blocks.length > 0);
  // Inside the package, so that the examples resolve "@runsvc/client".
  const folder = new URL("dist/readme/", root);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [index, code] of blocks.entries()) writeFileSync(new URL(`example${index}.ts`, folder), code);
  // The base configuration excludes the output folder.
  const files = { include: ["*.ts"], exclude: [] };
  const config = { extends: "../../tsconfig.json", compilerOptions: { noEmit: true }, ...files };
  writeFileSync(new URL("tsconfig.json", folder), JSON.stringify(config));
  const tsc = fileURLToPath(new URL("node_modules/.bin/tsc", root));
  await promisify(execFile)(tsc, ["--project", fileURLToPath(folder)]).catch((error) =>
    assert.fail(error.stdout),
  );
});

for (const name of ["executor", "worker"]) {
  test(`the README contains the ${name} example`, () => {
    const example = readFileSync(new URL(`example/${name}.ts`, root), "utf8");
    assert(blocks.includes(example));
  });
}
