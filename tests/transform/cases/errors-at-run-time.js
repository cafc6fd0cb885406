//// index.js
try { await import("./throws.js") } catch (error) { log(error.message) }
try { await import("./throws.js") } catch (error) { log(error.message) }
try { await import("./parent.js") } catch (error) { log(error.message) }
try { await import("./tdz.js") } catch (error) { log(error) }
throw new TypeError("main fails");
//// throws.js
log("runs once");
throw new Error("thrown");
//// parent.js
import "./throws.js";
log("never");
//// tdz.js
export const a = b;
export const b = 1;
