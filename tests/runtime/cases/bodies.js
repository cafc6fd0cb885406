// SPDX-License-Identifier: Apache-2.0
//// driver
const encode = (text) => new TextEncoder().encode(text);
const streamOf = (...chunks) =>
  new ReadableStream({
    pull(controller) {
      if (chunks.length === 0) controller.close();
      else controller.enqueue(encode(chunks.shift()));
    },
  });
const types = async (init) => {
  const response = new Response(init);
  return [response.headers.get("content-type"), await response.text()];
};

test("each kind of body has its type and its text", async () => {
  equal(await types("a\u00e9"), ["text/plain;charset=UTF-8", "a\u00e9"]);
  equal(await types(encode("ab")), [null, "ab"]);
  equal(await types(encode("xaby").buffer.slice(1, 3)), [null, "ab"]);
  equal(await types(new DataView(encode("ab").buffer)), [null, "ab"]);
  equal(await types(new URLSearchParams("a=b c")), ["application/x-www-form-urlencoded;charset=UTF-8", "a=b+c"]);
  equal(await types(new Blob(["x"], { type: "a/b" })), ["a/b", "x"]);
  equal(await types(streamOf("a", "b")), [null, "ab"]);
  equal(await types((async function* () { yield encode("a"); yield encode("b"); })()), [null, "ab"]);
  equal(await types(5), ["text/plain;charset=UTF-8", "5"]);
  equal(await types(null), [null, ""]);
  equal(await types(undefined), [null, ""]);
});
test("every way of reading", async () => {
  const make = [() => new Response('{"a":[1]}'), () => new Response(encode('{"a":[1]}')), () => new Response(streamOf('{"a"', ":[1]}"))];
  for (const response of make) {
    equal(await response().json(), { a: [1] });
    equal(await response().text(), '{"a":[1]}');
    equal((await response().arrayBuffer()).byteLength, 9);
    equal((await response().bytes()) instanceof Uint8Array, true);
    equal(await (await response().blob()).text(), '{"a":[1]}');
  }
});
test("text is decoded as UTF-8, a byte order mark goes", async () => {
  equal(await new Response(new Uint8Array([0xef, 0xbb, 0xbf, 65, 0xff])).text(), "A\ufffd");
  equal(await new Response("\ufeffA\ud800").text(), "A\ufffd");
});
test("a body can be read once", async () => {
  for (const response of [new Response("a"), new Response(encode("a")), new Response(streamOf("a"))]) {
    equal(response.bodyUsed, false);
    await response.text();
    equal(response.bodyUsed, true);
    await rejects(response.text(), /^TypeError: Body has already been used/);
    throws(() => response.clone(), /^TypeError/);
  }
  const empty = new Response(null);
  equal([await empty.text(), await empty.text(), empty.bodyUsed, empty.body], ["", "", false, null]);
});
test("a locked body cannot be read", async () => {
  const response = new Response("a");
  response.body.getReader();
  equal(response.bodyUsed, false);
  await rejects(response.text(), /^TypeError: This ReadableStream is currently locked to a reader/);
});
test("clones have the same content and memory of their own", async () => {
  for (const response of [new Response("ab"), new Response(encode("ab")), new Response(streamOf("a", "b"))]) {
    const clone = response.clone();
    const bytes = await response.bytes();
    bytes.fill(0);
    equal(await clone.text(), "ab");
  }
});
test("a body that is changed after it was given stays as it was", async () => {
  const bytes = encode("ab"), response = new Response(bytes);
  bytes.fill(65);
  equal(await response.text(), "ab");
});
test("body is a stream, always the same", async () => {
  const response = new Response("ab");
  ok(response.body === response.body);
  equal(response.body instanceof ReadableStream, true);
  const read = [];
  for await (const chunk of response.body) read.push(...chunk);
  equal(read, [97, 98]);
  equal(response.bodyUsed, true);
});
test("JSON errors reject", async () => {
  await rejects(new Response("{").json(), /^SyntaxError/);
  await rejects(new Response(encode("{")).json(), /^SyntaxError/);
  await rejects(new Response(null).json(), /^SyntaxError/);
});
test("forms", async () => {
  const form = new FormData();
  form.append("a", "1");
  form.append("f", new File(["content"], "name.txt", { type: "text/plain" }));
  const back = await new Response(form).formData();
  equal(back.get("a"), "1");
  equal([back.get("f").name, await back.get("f").text()], ["name.txt", "content"]);
  equal([...(await new Response(new URLSearchParams("a=b&a=c d")).formData())], [["a", "b"], ["a", "c d"]]);
  await rejects(new Response("x").formData(), /Unrecognized Content-Type header value/);
  await rejects(new Response(encode("x")).formData(), /requires a Content-Type header/);
});
test("streams that fail, or give no bytes, reject", async () => {
  const failing = new ReadableStream({ start: (controller) => controller.error(new RangeError("boo")) });
  await rejects(new Response(failing).text(), /^RangeError: boo/);
  const strings = new ReadableStream({ start: (controller) => controller.enqueue("text") });
  await rejects(new Response(strings).text(), /^TypeError/);
});
test("methods work on their own objects alone", async () => {
  await rejects(Response.prototype.text.call({}), /^TypeError: Illegal invocation/);
  await rejects(Request.prototype.json.call(new Response("{}")), /^TypeError: Illegal invocation/);
});
