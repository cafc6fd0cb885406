//// index.js
#!/usr/bin/env node
import { x, /* { */ y as /* } */ z } from "./m.js" // trailing
import {
  f
} from "./m.js"; log("same line"); /* block
spans */ export let v = x; export const w = 1,
  u = 2
let i = 1; log(x< !--i, x < !--i);
log(x
 /* c */ . toString(), "import x from 'y'", /import("x")/.source, `export ${x} import("y")`);
var __w = 1, __i0 = 2, __f = 3, __c = 4; log(__w, __i0, __f, __c, f());
log({ x }.x, ({ x, z }).z, [x, , z].length, { "x": 1, x }, { import: 1, export: 2, default: x }.default);
const { default: dd } = { default: 5 }; log(dd);
export { v as default, w as "string name" };
if (x) { log((x)) } /**/ else { }
log(((x)), (f)(), ((f))(), (0, f)(), !f(), typeof f());
log(async () => { }, async x => x, function x() { }.name, class x { }.name);
var π = x, \u0061bc = 1; log(π, abc);
log("\u2028".length, 'a b'.length);
//// m.js
export let x = 3;
export let y = 4;
export let f = () => ++x && 0;
export const g = () => { y = 0; f = 0 }
