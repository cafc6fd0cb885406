// SPDX-License-Identifier: Apache-2.0
// The answers that are ours because the worker has none: what they tell, and in which format.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withGateway } from "./lib.mjs";

const build = `the project does not build:
✘ [ERROR] Expected ")" but found "}"

    src/index.js:2:51:
      2 │ export default <b>

`;
const latin1 = (text) => Buffer.from(text).toString("latin1");
const json = async (gateway, path = "/a") => JSON.parse(Buffer.from((await gateway.get(path, "Accept: application/json\r\n")).body, "latin1").toString()).error;

test("an error of several lines: the first is the heading, the rest keeps its lines", () =>
  withGateway({ mode: "dev", worker: { bundle: null, failed: build } }, async (gateway) => {
    const html = (await gateway.get("/a", "Accept: text/html\r\n")).body;
    assert.match(html, /<title>Error: The project does not build<\/title>/);
    assert.match(html, /<h1 class="message">Expected &quot;\)&quot; but found &quot;}&quot;<\/h1>/);
    assert.ok(html.includes(latin1("<pre>    src/index.js:2:51:\n      2 │ export default &lt;b&gt;</pre>")), html);
    const { request_id, ...rest } = await json(gateway);
    assert.match(request_id, /^[0-9a-f]{16}$/);
    assert.deepEqual(rest, {
      code: null,
      title: "The project does not build",
      message: 'Expected ")" but found "}"',
      stack: "    src/index.js:2:51:\n      2 │ export default <b>",
    });
    const text = (await gateway.get("/a")).body;
    assert.ok(text.startsWith('The project does not build\nExpected ")" but found "}"\n    src/index.js:2:51:\n'), text);
  }));

test("an error of the global scope has its own title and number", () =>
  withGateway({ mode: "dev", spawn_fails: true }, async (gateway) => {
    for (let i = 0; i < 2; i++) {
      const { code, title, message, stack } = await json(gateway);
      assert.deepEqual([code, title, message, stack], [10021, "The worker does not start", "SyntaxError: no such thing", "    at src/index.ts:1:1"]);
    }
    assert.match((await gateway.get("/a", "Accept: text/html\r\n")).body, /<title>Error 10021: The worker does not start<\/title>/);
  }));

test("titles and numbers at request time", () =>
  withGateway({ worker: { limits: { wall_ms: 200 } } }, async (gateway) => {
    assert.deepEqual(Object.keys(await json(gateway, "/error")), ["code", "title", "request_id"], "production tells no details");
    const told = async (path) => {
      const { code, title } = await json(gateway, path);
      return [code, title];
    };
    assert.deepEqual(await told("/error"), [1101, "The worker threw an exception"]);
    assert.deepEqual(await told("/never"), [1101, "The worker threw an exception"]);
    assert.deepEqual(await told("/cpu"), [1102, "The worker exceeded its resource limits"]);
    assert.deepEqual(await told("/silent"), [null, "The worker did not answer in time"]);
    assert.deepEqual(await told("/crash"), [1101, "The worker's process ended"]);
  }));

test("the format is the one that the client likes best", () =>
  withGateway({}, async (gateway) => {
    const cases = [
      ["", "text/plain"],
      ["*/*", "text/plain"],
      ["text/html", "text/html"],
      ["TEXT/HTML", "text/html"],
      ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"],
      ["application/json", "application/json"],
      ["application/json, text/plain, */*", "application/json"],
      ["application/problem+json", "application/json"],
      ["application/vnd.api+json;version=1", "application/json"],
      ["application/*", "application/json"],
      ["text/html;q=0.1, application/json", "application/json"],
      ["text/html;q=0.8, application/json;q=0.9", "application/json"],
      ["text/html; level=1; q=0.9, application/json;q=0.899", "text/html"],
      ["text/html;Q=0.5, */*;q=0.4", "text/html"],
      ["text/html;q=0, */*", "text/plain"],
      ["text/html;q=0", "text/plain"],
      ["application/json;q=0, text/html;q=0.001", "text/html"],
      ["text/*, text/plain;q=0.1, application/json;q=0.5", "application/json"],
      ["*/*, application/json;q=0.5", "text/plain"],
      ["image/png", "text/plain"],
      ["application/jsonp, x-text/html", "text/plain"],
      [";q=1,,", "text/plain"],
    ];
    for (const [accept, type] of cases) {
      const { headers } = await gateway.get("/error", accept && `Accept: ${accept}\r\n`);
      assert.equal(headers["content-type"], `${type}; charset=utf-8`, accept);
    }
  }));
