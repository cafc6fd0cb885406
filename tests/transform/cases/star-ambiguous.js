//// index.js
import * as m from "./m.js";
log(Object.keys(m), m.same, "clash" in m);
//// m.js
export * from "./a.js";
export * from "./b.js";
export * from "./m.js";
export const own = "own";
//// a.js
export const clash = 1, own = 2;
export { same } from "./c.js";
//// b.js
export const clash = 3;
export { same } from "./c.js";
//// c.js
export let same = "same";
