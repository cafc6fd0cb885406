//// index.js
import { a } from "./a.js";
import { c } from "./c.js";
log("index", a(), c);
//// a.js
import { b } from "./b.js";
await new Promise((resolve) => later(2, resolve));
log("a", b);
export function a() { return "a hoisted" }
//// b.js
import { a } from "./a.js";
log("b", a());
await 0;
export const b = "b";
//// c.js
import { b } from "./b.js";
log("c waits for the whole cycle", b);
export const c = "c";
