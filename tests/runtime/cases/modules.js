// SPDX-License-Identifier: Apache-2.0
//// index.js
import text from "./page.txt";
import data from "./data.bin";
import json from "./value.json";
import common, { named } from "./common.cjs";
import { count, increment } from "./counter.js";
import wasm from "./add.wasm";

const awaited = await Promise.resolve("awaited");
const lazy = () => import("./lazy.js");

export default {
  async fetch(request) {
    increment();
    const name = new URL(request.url).searchParams.get("name");
    const found = name && (await import(name).then((m) => m.default, (error) => `${error.name}: ${error.message}`));
    return Response.json([
      text, data.byteLength, json.a, common.named, named, count, awaited, (await lazy()).default,
      import.meta.url, new WebAssembly.Instance(wasm).exports.add(2, 3), (await WebAssembly.instantiate(wasm)).exports.add(1, 1), found,
    ]);
  },
};
//// counter.js
export let count = 0;
export function increment() { count++; }
//// lazy.js
export default "lazy";
//// common.cjs
exports.named = "common";
//// page.txt
text
//// data.bin
abc
//// value.json
{"a": 1}
//// add.wasm
%00asm%01%00%00%00%01%07%01%60%02%7f%7f%01%7f%03%02%01%00%07%07%01%03add%00%00%0a%09%01%07%00%20%00%20%01j%0b
//// driver
equal(await gateway.boot(bundle), "", "boot");
const get = async (query = "") => JSON.parse((await gateway.request(`http://host/${query}`)).body);
test("every kind of module", async () => {
  equal(await get(), ["text\n", 4, 1, "common", "common", 1, "awaited", "lazy", "file:///index.js", 5, 2, null]);
});
test("bindings live on", async () => {
  equal((await get())[5], 2);
});
test("import() of a name that is known only now", async () => {
  equal((await get("?name=./lazy.js")).at(-1), "lazy");
  match((await get("?name=./missing.js")).at(-1), /^Error: No such module "\.\/missing\.js"/);
});
