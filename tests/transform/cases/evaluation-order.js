//// index.js
import "./a.js";
import "./b.js";
import { z } from "./dir/z.js";
log("index", z);
//// a.js
import "./c.js";
log("a");
//// b.js
import "./a.js";
import "./c.js";
log("b");
//// c.js
log("c");
//// dir/z.js
import { up } from "../up.js";
import "./y.js";
log("z");
export const z = up + 1;
//// dir/y.js
import "../c.js";
log("y");
//// up.js
log("up");
export const up = 1;
