//// index.js
import common from "./common.cjs";
import * as ns from "./common.cjs";
import { named } from "./common.cjs";
log(common.named, named, common.sum, ns.default === common, Object.keys(common));
common.load().then((m) => log(m.value));
//// common.cjs
"use strict";
const other = require("./other.cjs");
exports.named = "named";
exports.sum = other(1, 2);
exports.strict = (function () { return this === undefined })();
exports.self = this === exports;
exports.load = () => import("./esm.js");
log(typeof module, typeof __filename, module.exports === exports, require("./cycle.cjs").partial);
//// other.cjs
module.exports = function (a, b) { return a + b + arguments.length };
function sloppy() { return typeof this } log(sloppy());
//// cycle.cjs
exports.partial = Object.keys(require("./common.cjs"));
//// esm.js
export const value = "from esm";
