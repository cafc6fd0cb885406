//// index.js
import text from "./dir/page.txt";
import json, { default as again } from "./data.json" with { type: "json" };
import * as ns from "./data.json" with { type: "json" };
import { sep, join } from "node:path";
import * as path from "path";
log(text, json, again === json, ns.default === json, Object.keys(ns));
log(sep, join("a", "b"), path.sep, path.default.sep);
try { sep = 1 } catch (error) { log(error) }
export { sep as separator } from "node:path";
//// dir/page.txt
hello
//// data.json
{"n": 1}
//// expect
"hello\n" {"n":1} true true ["default"]
"/" "a/b" "/" "/"
TypeError
"done" ["separator"]
