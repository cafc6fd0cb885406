// SPDX-License-Identifier: Apache-2.0
// URLs that are put together from what the parser has to tell apart, beside Node's: most go the short way (parseFast), the others
// the standard's.
//// node
const choices = [
  ["http:", "https:", "ws:", "postgres:", "postgresql:", "prisma+postgres:", "file:", "mysql:", "x-1:", "1x:"],
  ["//", "//", "//", "//", "/", ""],
  ["", "", "", "user@", "user:pass@", ":pass@", "u%40x:p%2Fw!$&@", "us er:pa'ss@", "u:p:q@", "u;v=w:[@", "@"],
  ["localhost", "db.example.com", "127.0.0.1", "127.1", "1.2.3.4", "a.b.", "a..b", "xn--a", "x-y.z", "UPPER.example", "[::1]", "host_name", "0x7f", ""],
  ["", "", ":5432", ":80", ":443", ":0", ":05", ":65536", ":x", ":"],
  ["", "/", "/app", "/a/../b", "/a/./b", "/%2e/b", "/a b", "/ü", "/a;b=c@d:e", "/a'b\"c", "\\a", "/.", "/x%20y/"],
  ["", "", "?", "?sslmode=disable", "?a=b&c='d'", "?q={}|^`[]", "?a b", "?x?y/z", "?<>"],
  ["", "", "", "", "#", "#frag", "#a b"],
];
let state = 2026;
const next = (count) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % 65521 % count;
export const parts = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash", "origin"];
export default () => {
  const all = {};
  for (let i = 0; i < 6000; i++) {
    const text = choices.map((list) => list[next(list.length)]).join("");
    all[text] = URL.canParse(text) ? parts.map((part) => new URL(text)[part]) : null;
  }
  return { all, parts };
};
//// driver
test("as Node parses them", () => {
  const wrong = [];
  let valid = 0;
  for (const [text, expected] of Object.entries(given.all)) {
    const actual = URL.canParse(text) ? given.parts.map((part) => new URL(text)[part]) : null;
    if (JSON.stringify(actual) !== JSON.stringify(expected)) wrong.push(`${text}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
    if (expected !== null) valid++;
  }
  equal(wrong.slice(0, 10), []);
  ok(valid > 1000, `${valid} valid ones`);
});
