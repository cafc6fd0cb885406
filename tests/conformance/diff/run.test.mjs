// SPDX-License-Identifier: Apache-2.0
// The same worker and the same requests on weir and on workerd. A case is one file of cases/ (see ../README.md).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { readCases, startWeir, startWorkerd } from "./servers.mjs";

// Not compared. Everything else is, content-length and the order of set-cookie included.
const ignoredHeaders = {
  date: "the time; workerd alone sends none, Cloudflare's edge adds it",
  connection: "of the connection, not of the answer",
  "keep-alive": "of the connection, not of the answer",
  "transfer-encoding": "framing: the bytes that it carries are compared",
};

// V8 and JavaScriptCore write stacks differently, and ours has other files.
const withoutStack = (message) => message.replace(/\n\s+at .*/g, "");

const textOf = (body) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return body.toString("hex");
  }
};

// → an answer as flat parts, each of which may differ for a reason
function parts({ status, headers, body, broken = false, logs }) {
  const result = { status, broken, body: textOf(body) };
  for (const [name, value] of headers) if (!(name in ignoredHeaders)) (result[`header ${name}`] ??= []).push(value);
  result.logs = logs.map(({ level, message }) => `${level}: ${withoutStack(message)}`);
  return result;
}

const cases = await readCases();
let weir;
before(async () => (weir = await startWeir(cases)));
after(() => weir.stop());

describe("weir answers as workerd does", { concurrency: 2 }, () => {
  for (const one of cases) {
    test(one.name, async (context) => {
      const workerd = await startWorkerd(one), ours = weir.talk(one);
      try {
        for (const request of one.requests) {
          const [right, left] = await Promise.all([workerd.talk.ask(request), ours.ask(request)]);
          await context.test(`${request.method ?? "GET"} ${request.path}`, () => compare(parts(left), parts(right), request));
        }
      } finally {
        await workerd.stop();
      }
    });
  }
});

function compare(ours, theirs, { status = 200, differs = {} }) {
  assert.equal(theirs.status, status, `workerd answered ${theirs.status}, not what the case says: ${theirs.body}`);
  if ("body" in differs) delete ours["header content-length"], delete theirs["header content-length"];
  for (const [part, reason] of Object.entries(differs)) {
    assert.notDeepEqual(ours[part], theirs[part], `${part} is the same by now; it was to differ: ${reason}`);
    delete ours[part];
    delete theirs[part];
  }
  assert.deepEqual(ours, theirs);
}
