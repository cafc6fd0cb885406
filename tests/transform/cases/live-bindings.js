//// index.js
import fallback, { count, increment, reset as again, state } from "./counter.js";
import * as counter from "./counter.js";
log(count, state.n);
increment();
increment()
log(count, counter.count, typeof count, { count }, [count], `${count}`);
again(40)
;[1].forEach(() => increment())
log(count, fallback, counter.default)
const { x = count, ...rest } = { y: count };
log(x, rest);
{
  const count = "shadowed";
  log(count, (() => count)(), { count });
}
for (const count of [1, 2]) log(count);
function inner(count, other = () => count) { return [count, other()]; }
log(inner(9));
(function increment() { log(typeof increment, increment.name) })();
try { count = 5 } catch (error) { log(error) }
try { count++ } catch (error) { log(error) }
try { ({ count } = { count: 1 }) } catch (error) { log(error) }
try { [count] = [1] } catch (error) { log(error) }
try { for (count of [1]); } catch (error) { log(error) }
try { ({ count = 4 } = {}) } catch (error) { log(error) }
try { counter.count = 5 } catch (error) { log(error) }
try { delete counter.count } catch (error) { log(error) }
log(count);
log("count" in counter, Object.keys(counter), Reflect.ownKeys(counter).length, String(counter))
log(Object.getPrototypeOf(counter), Object.isFrozen(Object.keys(counter)), Object.isExtensible(counter))
export { count, counter }
//// counter.js
export let count = 0;
export const state = { n: 1 };
export function increment() { count++; return this }
export function reset(to) { count = to }
let fallback = "first";
export default fallback;
fallback = "second";
