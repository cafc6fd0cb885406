//// index.js
export * from "./a.js";
export * as ns from "./b.js";
export { x as "a string", default as d } from "./b.js";
import { "odd name" as odd, both } from "./a.js";
import * as all from "./index.js";
import { viaStar, viaNamed } from "./star.js";
log(odd, both, Object.keys(all), all.ns.x, all["a string"], all.d);
log(Object.keys(viaStar), viaNamed);
export { odd };
export { both as other };
//// a.js
const value = 1;
export { value as "odd name", value as both };
export default "not exported by star";
export let changes = 1;
//// b.js
export const x = "x of b";
export default "default of b";
export const both = "b's";
//// star.js
import * as viaStar from "./a.js";
import { both as viaNamed } from "./hop.js";
export { viaStar, viaNamed };
//// hop.js
export * from "./a.js";
export * from "./again.js";
//// again.js
export { both } from "./a.js";
