//// index.js
import common from "./common.cjs";
log(await Promise.all([1, 2, 3].map(common)));
//// common.cjs
const { AsyncLocalStorage, AsyncResource } = require("async_hooks");
const als = new AsyncLocalStorage();
module.exports = (n) => als.run(n, async () => {
  const resource = new AsyncResource("r");
  await new Promise((resolve) => later(n, resolve));
  if (als.getStore() !== n) log("WRONG");
  return await als.run("x", () => resource.runInAsyncScope(() => als.getStore()));
});
