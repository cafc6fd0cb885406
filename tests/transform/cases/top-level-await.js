//// index.js
import { one } from "./one.js";
import { two } from "./two.js";
import { sync } from "./sync.js";
log("index", one, two, sync);
for await (const x of [Promise.resolve("p"), "q"]) log(x);
const late = await new Promise((resolve) => later(2, () => resolve("late")));
log(late);
export { late };
//// one.js
log("one starts");
export const one = await new Promise((resolve) => later(3, () => resolve(1)));
log("one ends");
//// two.js
log("two starts");
await 0
export let two = 2;
log("two ends");
//// sync.js
import "./two.js";
log("sync after two");
export const sync = true;
