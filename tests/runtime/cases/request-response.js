// SPDX-License-Identifier: Apache-2.0
//// driver
test("status and statusText", () => {
  equal([new Response().status, new Response("", { status: 404 }).statusText], [200, ""]);
  const response = new Response("x", { status: 201, statusText: "Made", headers: { a: "b" } });
  const copy = new Response("y", response);
  equal([copy.status, copy.statusText, copy.headers.get("a"), copy.ok], [201, "Made", "b", true]);
  ok(copy.headers !== response.headers);
  for (const status of [0, 199, 600, NaN, "x", 101]) throws(() => new Response(null, { status }), /^RangeError/);
  throws(() => new Response(null, { statusText: "a\nb" }), /^TypeError/);
});
test("answers without a body", async () => {
  for (const status of [204, 205, 304]) {
    throws(() => new Response("x", { status }), /^TypeError: Response with null body status/);
    equal([new Response(null, { status }).status, new Response("", { status }).body], [status, null]);
  }
});
test("Response.json, error, redirect", async () => {
  const json = Response.json({ a: 1 }, { status: 201, headers: { "content-type": "x/y" } });
  equal([json.status, json.headers.get("content-type"), await json.text()], [201, "x/y", '{"a":1}']);
  equal(Response.json(1).headers.get("content-type"), "application/json");
  throws(() => Response.json(undefined), /^TypeError/);
  const error = Response.error();
  equal([error.status, error.type, error.ok], [0, "error", false]);
  const redirect = Response.redirect("http://a/b c", 301);
  equal([redirect.status, redirect.headers.get("location")], [301, "http://a/b%20c"]);
  throws(() => redirect.headers.set("a", "b"), /immutable/);
  throws(() => Response.redirect("/x"), /^TypeError: Unable to parse URL/);
  throws(() => Response.redirect("http://a/", 200), /^RangeError/);
});
test("a request's parts", () => {
  const request = new Request("HTTP://A/b/../c?x#y", { method: "post", body: "q", headers: { h: "v" }, redirect: "manual", cf: { a: 1 } });
  equal([request.url, request.method, request.headers.get("h"), request.redirect, request.cf.a], ["http://a/c?x#y", "POST", "v", "manual", 1]);
  equal(request.headers.get("content-type"), "text/plain;charset=UTF-8");
  equal(new Request("http://a", { method: "patch" }).method, "PATCH");
  for (const url of ["foo", "", "/x"]) throws(() => new Request(url), /^TypeError: Invalid URL/);
  for (const method of ["connect", "a b", ""]) throws(() => new Request("http://a", { method }), /^TypeError: Invalid HTTP method/);
  throws(() => new Request("http://a", { body: "x" }), /GET or HEAD method cannot have a body/);
  throws(() => new Request("http://a", { signal: {} }), /signal/);
  throws(() => new Request("http://a", { redirect: "x" }), /^TypeError: Invalid redirect/);
  throws(() => new Request(), /^TypeError/);
});
test("a request made of another takes its body along", async () => {
  const first = new Request("http://a", { method: "POST", body: "x", headers: { q: "r" } });
  const second = new Request(first);
  equal([first.bodyUsed, second.bodyUsed, second.headers.get("q"), await second.text()], [true, false, "r", "x"]);
  throws(() => new Request(second), /^TypeError/);
  equal(await new Request(second, { body: "y" }).text(), "y");
  throws(() => new Request(new Request("http://a", { method: "POST", body: "x" }), { method: "GET" }), /cannot have a body/);
  const moved = new Request("http://b", new Request("http://a", { method: "PUT", body: "x" }));
  equal([moved.url, moved.method, await moved.text()], ["http://b/", "PUT", "x"]);
});
test("signals follow", () => {
  const controller = new AbortController();
  const request = new Request("http://a", { signal: controller.signal });
  const clone = request.clone(), later = new Request(request);
  controller.abort(new Error("enough"));
  equal([request.signal.aborted, clone.signal.aborted, later.signal.reason.message], [true, true, "enough"]);
  equal(new Request("http://a").signal.aborted, false);
});
