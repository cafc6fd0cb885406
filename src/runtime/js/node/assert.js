// SPDX-License-Identifier: Apache-2.0
// node:assert.

import { deepEqual as same } from "./deep-equal.js";
import { codeError, invalidArgType, requireFunction } from "./errors.js";
import { inspect } from "./inspect.js";
import { isPromise, isRegExp } from "./types.js";

export class AssertionError extends Error {
  // generated: used when there is no message, and says more than the operator could.
  constructor({ message, generated, actual, expected, operator, stackStartFn }) {
    super(`${message ?? generated ?? explain(operator, actual, expected)}`);
    this.name = "AssertionError";
    this.code = "ERR_ASSERTION";
    this.generatedMessage = message === undefined;
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    Error.captureStackTrace?.(this, stackStartFn);
  }
}

const titles = {
  __proto__: null,
  strictEqual: "Expected values to be strictly equal:",
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  deepEqual: "Expected values to be loosely deep-equal:",
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
};

function explain(operator, actual, expected) {
  const a = inspect(actual, { depth: 1000, sorted: true });
  const e = inspect(expected, { depth: 1000, sorted: true });
  if (operator === "==" || operator === "!=") return `${a} ${operator} ${e}`;
  const title = titles[operator] ?? "Failed";
  if (operator?.startsWith("not")) return `${title}${e.includes("\n") ? "\n\n" : " "}${e}`;
  if (!a.includes("\n") && !e.includes("\n") && a.length + e.length < 72) return `${title}\n\n${a} !== ${e}\n`;
  const left = a.split("\n");
  const right = e.split("\n");
  const lines = [...left.filter((line) => !right.includes(line)).map((line) => `+ ${line}`), ...right.filter((line) => !left.includes(line)).map((line) => `- ${line}`)];
  return `${title}\n+ actual - expected\n\n${lines.slice(0, 50).join("\n")}\n`;
}

function check(passed, fields) {
  if (passed) return;
  if (fields.message instanceof Error) throw fields.message;
  throw new AssertionError(fields);
}

function assert(...args) {
  ok(...args);
}

export function ok(...args) {
  const [value, message] = args;
  if (args.length === 0) {
    throw new AssertionError({ generated: "No value argument passed to `assert.ok()`", actual: value, expected: true, operator: "==", stackStartFn: ok });
  }
  check(value, {
    message,
    generated: "The expression evaluated to a falsy value",
    actual: value,
    expected: true,
    operator: "==",
    stackStartFn: ok,
  });
}

const loose = (a, b) => a == b || (a !== a && b !== b);
const comparison = (operator, passes) =>
  function compare(actual, expected, message) {
    if (arguments.length < 2) {
      throw codeError(TypeError, "ERR_MISSING_ARGS", 'The "actual" and "expected" arguments must be specified');
    }
    check(passes(actual, expected), { message, actual, expected, operator, stackStartFn: compare });
  };

export const equal = comparison("==", loose);
export const notEqual = comparison("!=", (a, b) => !loose(a, b));
export const strictEqual = comparison("strictEqual", Object.is);
export const notStrictEqual = comparison("notStrictEqual", (a, b) => !Object.is(a, b));
export const deepEqual = comparison("deepEqual", (a, b) => same(a, b, false));
export const notDeepEqual = comparison("notDeepEqual", (a, b) => !same(a, b, false));
export const deepStrictEqual = comparison("deepStrictEqual", (a, b) => same(a, b, true));
export const notDeepStrictEqual = comparison("notDeepStrictEqual", (a, b) => !same(a, b, true));

export function fail(message) {
  if (message instanceof Error) throw message;
  throw new AssertionError({ message, generated: "Failed", operator: "fail", stackStartFn: fail });
}

export function ifError(error) {
  if (error === null || error === undefined) return;
  const text = typeof error === "object" && typeof error.message === "string" ? error.message || error.constructor?.name : inspect(error);
  throw new AssertionError({ message: `ifError got unwanted exception: ${text}`, actual: error, expected: null, operator: "ifError", stackStartFn: ifError });
}

function requireRegExp(value) {
  if (!isRegExp(value)) throw invalidArgType("regexp", "RegExp", value);
}

export function match(string, regexp, message) {
  requireRegExp(regexp);
  check(typeof string === "string" && regexp.test(string), {
    message,
    generated: `The input did not match the regular expression ${regexp}. Input:\n\n${inspect(string)}\n`,
    actual: string,
    expected: regexp,
    operator: "match",
    stackStartFn: match,
  });
}

export function doesNotMatch(string, regexp, message) {
  requireRegExp(regexp);
  check(typeof string === "string" && !regexp.test(string), {
    message,
    generated: `The input was expected to not match the regular expression ${regexp}. Input:\n\n${inspect(string)}\n`,
    actual: string,
    expected: regexp,
    operator: "doesNotMatch",
    stackStartFn: doesNotMatch,
  });
}

// Is the error what was expected: nothing given, a class, a pattern, an object of properties, a test.
function checkThrown(error, expected, message, operator) {
  if (expected === undefined) return;
  const fields = { actual: error, expected, operator, stackStartFn: operator === "throws" ? throws : rejects };
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Error.prototype.isPrototypeOf(expected.prototype) || expected === Error) {
      const generated = `The error is expected to be an instance of "${expected.name}". Received ${inspect(error)}`;
      check(false, { ...fields, message, generated });
    }
    check(expected.call({}, error) === true, {
      ...fields,
      message,
      generated: `The ${expected.name ? `"${expected.name}" ` : ""}validation function is expected to return "true". Received ${inspect(expected.call({}, error))}`,
    });
    return;
  }
  if (isRegExp(expected)) {
    check(expected.test(String(error)), {
      ...fields,
      message,
      generated: `The input did not match the regular expression ${expected}. Input:\n\n${inspect(String(error))}\n`,
    });
    return;
  }
  if (typeof expected !== "object" || expected === null) {
    throw invalidArgType("expected", ["Function", "Error", "RegExp", "Object"], expected);
  }
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push("name", "message");
  for (const key of keys) {
    const wanted = expected[key];
    const passes =
      isRegExp(wanted) && typeof error?.[key] === "string" ? wanted.test(error[key]) : key in Object(error) && same(error[key], wanted, true);
    if (!passes) check(false, { ...fields, message, generated: explain("deepStrictEqual", pick(error, keys), pick(expected, keys)) });
  }
}

const pick = (object, keys) => Object.fromEntries(keys.map((key) => [key, object?.[key]]));

function missing(kind, expected, message, operator, stackStartFn) {
  const text = typeof expected === "string" ? expected : message;
  const name = typeof expected === "function" && expected.name ? ` (${expected.name})` : "";
  throw text instanceof Error
    ? text
    : new AssertionError({ message: `Missing expected ${kind}${name}${text ? `: ${text}` : "."}`, actual: undefined, expected, operator, stackStartFn });
}

export function throws(callback, expected, message) {
  requireFunction(callback, "fn");
  let thrown;
  try {
    callback();
  } catch (error) {
    thrown = { error };
  }
  if (!thrown) missing("exception", expected, message, "throws", throws);
  checkThrown(thrown.error, typeof expected === "string" ? undefined : expected, message, "throws");
}

export function doesNotThrow(callback, expected, message) {
  requireFunction(callback, "fn");
  try {
    callback();
  } catch (error) {
    unwanted(error, expected, message, "doesNotThrow", "exception");
  }
}

function unwanted(error, expected, message, operator, kind) {
  if (typeof expected === "function" && !(error instanceof expected)) throw error;
  const text = typeof expected === "string" ? expected : message;
  throw new AssertionError({
    message: `Got unwanted ${kind}${text ? `: ${text}` : "."}\nActual message: "${error?.message}"`,
    actual: error,
    expected,
    operator,
  });
}

async function settle(promise) {
  const given = typeof promise === "function" ? promise() : promise;
  if (!isPromise(given) && typeof given?.then !== "function") {
    if (typeof promise === "function") {
      throw codeError(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected instance of Promise to be returned from the "promiseFn" function but got ${typeof given}.`);
    }
    throw invalidArgType("promiseFn", ["Function", "Promise"], promise);
  }
  try {
    await given;
    return undefined;
  } catch (error) {
    return { error };
  }
}

export async function rejects(promise, expected, message) {
  const rejected = await settle(promise);
  if (!rejected) missing("rejection", expected, message, "rejects", rejects);
  checkThrown(rejected.error, typeof expected === "string" ? undefined : expected, message, "rejects");
}

export async function doesNotReject(promise, expected, message) {
  const rejected = await settle(promise);
  if (rejected) unwanted(rejected.error, expected, message, "doesNotReject", "rejection");
}

function strictAssert(...args) {
  ok(...args);
}

Object.assign(assert, {
  AssertionError,
  deepEqual,
  deepStrictEqual,
  doesNotMatch,
  doesNotReject,
  doesNotThrow,
  equal,
  fail,
  ifError,
  match,
  notDeepEqual,
  notDeepStrictEqual,
  notEqual,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
  throws,
});
export const strict = Object.assign(strictAssert, assert, {
  equal: strictEqual,
  notEqual: notStrictEqual,
  deepEqual: deepStrictEqual,
  notDeepEqual: notDeepStrictEqual,
});
assert.strict = strict;
strict.strict = strict;

export default assert;
