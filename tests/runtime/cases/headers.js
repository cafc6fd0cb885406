// SPDX-License-Identifier: Apache-2.0
//// driver
const pairs = (headers) => [...headers].map((pair) => pair.join("=")).join("&");

test("names are case-insensitive and iterate sorted, values combined", () => {
  const headers = new Headers([["b", "1"], ["a", "2"], ["B", " 3 "]]);
  equal(pairs(headers), "a=2&b=1, 3");
  equal(headers.get("B"), "1, 3");
  equal([headers.has("A"), headers.has("c"), headers.get("c")], [true, false, null]);
});
test("set replaces all values in place, delete removes all", () => {
  const headers = new Headers([["a", "1"], ["b", "2"], ["a", "3"]]);
  headers.set("A", "4");
  equal(pairs(headers), "a=4&b=2");
  headers.append("a", "5");
  headers.delete("a");
  equal(pairs(headers), "b=2");
});
test("Set-Cookie values stay apart", () => {
  const headers = new Headers([["set-cookie", "a=1"], ["x", "y"], ["Set-Cookie", "b=2"]]);
  equal(headers.getSetCookie(), ["a=1", "b=2"]);
  equal(headers.getAll("set-cookie"), ["a=1", "b=2"]);
  equal(pairs(headers), "set-cookie=a=1&set-cookie=b=2&x=y");
  equal(new Headers(headers).getSetCookie(), ["a=1", "b=2"]);
  throws(() => headers.getAll("x"), /getAll\(\) can only be used with the header name "Set-Cookie"/);
});
test("iteration is live", () => {
  const headers = new Headers({ a: 1, b: 2, c: 3 }), seen = [];
  for (const [name] of headers) {
    seen.push(name);
    headers.delete("b");
  }
  equal(seen, ["a", "c"]);
});
test("entries cannot be used to change the headers", () => {
  const headers = new Headers({ a: "1" });
  for (const pair of headers) pair[1] = "changed";
  equal([...headers.values()], ["1"]);
});
test("a record, a map, pairs and other headers", () => {
  equal(pairs(new Headers({ a: 1, b: null })), "a=1&b=null");
  equal(pairs(new Headers(new Map([["a", "b"]]))), "a=b");
  equal(pairs(new Headers(new Headers({ a: "b" }))), "a=b");
  const source = new Headers({ a: "b" }), copy = new Headers(source);
  copy.set("a", "c");
  equal(source.get("a"), "b");
});
test("what is no header is refused", () => {
  throws(() => new Headers({ "a b": "c" }), /^TypeError: Invalid header name/);
  throws(() => new Headers({ "": "c" }), /^TypeError/);
  throws(() => new Headers({ a: "b\nc" }), /^TypeError: Invalid header value/);
  throws(() => new Headers({ a: "b\0c" }), /^TypeError: Invalid header value/);
  throws(() => new Headers({ a: "\u20ac" }), /^TypeError/);
  throws(() => new Headers(null), /^TypeError/);
  throws(() => new Headers("a"), /^TypeError/);
  throws(() => new Headers([["a"]]), /exactly two elements/);
  throws(() => new Headers().get("a b"), /Invalid header name/);
  throws(() => new Headers().set("a"), /parameter 2/);
  throws(() => Headers.prototype.get.call({}, "a"), /^TypeError/);
});
test("blanks around a value go, others stay", () => {
  equal(new Headers({ a: " \t\r\n x  y \r\n" }).get("a"), "x  y");
  equal(new Headers({ a: "\u00e9\u0001" }).get("a"), "\u00e9\u0001");
});
test("a name is checked every time, not only when it is new", () => {
  for (let i = 0; i < 3; i++) throws(() => new Headers().get("no good"), /Invalid header name/);
});
test("forEach", () => {
  const seen = [], self = {};
  new Headers({ b: 1, a: 2 }).forEach(function (value, name, headers) {
    seen.push(value, name, headers instanceof Headers, this === self);
  }, self);
  equal(seen, ["2", "a", true, true, "1", "b", true, true]);
});
