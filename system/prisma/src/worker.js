// SPDX-License-Identifier: Apache-2.0
// Answers Prisma's edge clients: Prisma 5 and 6 (json-protocol.js) and the plans of Prisma 7. The gateway has checked the
// api key, and says which it is.
import { createHash } from "node:crypto";
import { env as environment } from "cloudflare:workers";

import { checkSize, withRoom } from "./bodies.js";
import { CONNECTIONS_MAX, Database } from "./database.js";
import { Refusal, answerOf, invalidRequest, planAnswerOf, planError, tooLarge, unknownRequest, unserved } from "./errors.js";
import { textWithFloats, watchFloats } from "./floats.js";
import { Flights } from "./flights.js";
import { checkPlan, harden } from "./guards.js";
import { keepDigits, makesJson } from "./joins.js";
import { answerQuery } from "./json-protocol.js";
import { checkParts } from "./plans.js";
import { Results, strategyOf } from "./results.js";
import { rehearse } from "./rehearsal.js";
import { findSchema, grow, hasLearned, newSeed, uploadSchema } from "./schemas.js";
import { Telemetry, newId } from "./telemetry.js";

const CONNECTIONS = 20; // of a pool that says nothing of its size (weir dev)
const VERSION = /^\d+\.\d+\.\d+(?:-[\w.-]{1,40})?$/, // of a client
  PATH_LENGTH_MAX = 100; // that is told
const READS = /^(find|aggregate|groupBy|count)/;

let database, results, flights, limits;

// env: [prisma] of weir.toml, with its defaults filled in, and of the database's URL the schema, if it names one.
function begin(env) {
  const connections = env.POOL_SIZE ?? CONNECTIONS;
  limits = {
    queryMs: env.QUERY_MS,
    transactionMs: env.TRANSACTION_MS,
    transactions: env.TRANSACTIONS_MAX,
    keyTransactions: env.KEY_TRANSACTIONS_MAX || Math.max(1, Math.min(connections, CONNECTIONS_MAX) >> 1),
    connections,
    waitMs: Math.min(env.POOL_WAIT_MS || Infinity, env.QUERY_MS),
    responseBytes: env.RESPONSE_BYTES_MAX,
  };
  database = new Database(env.DATABASE.connectionString, env.SCHEMA, limits);
  results = new Results(env.CACHE_BYTES_MAX);
  flights = new Flights(2 * limits.queryMs); // {text, ownText: with what only who fetches it is told}, by all that may make a difference
}

function jsonOf(text) {
  let value;
  checkSize(text);
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw error instanceof SyntaxError ? invalidRequest("The body is not JSON.") : error; // or there was no memory for it
  }
  if (typeof value !== "object" || value === null) throw invalidRequest("The body is no JSON object.");
  return value;
}

// What JSON has no form for, in Prisma's: a function that looks at each value would take several times as long.
Object.defineProperty(BigInt.prototype, "toJSON", { value() { return this.toString(); } });
Object.defineProperty(Uint8Array.prototype, "toJSON", { value() { return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString("base64"); } });

const fits = (text) => text.length <= limits.responseBytes && (text.length * 3 <= limits.responseBytes || Buffer.byteLength(text) <= limits.responseBytes);

const texts = new WeakMap(); // of results that were measured before

function textOf(result) {
  const text = texts.get(result) ?? textWithFloats(result);
  if (!fits(text)) throw tooLarge(limits.responseBytes);
  return text;
}

// The result, where a response has room for it.
function measured(result) {
  texts.set(result, textOf(result));
  return result;
}

// What is told of a result goes with it where there is room for both: what was done is not to fail for it.
function withExtensions(text, extensions) {
  if (extensions === undefined) return text;
  const whole = `${text.slice(0, -1)},"extensions":${JSON.stringify(extensions)}}`;
  return fits(whole) ? whole : text;
}

function answer(text, status, storedMs, ray, signature) {
  return new Response(text, {
    headers: {
      "content-type": "application/json",
      "accelerate-cache-status": status,
      "last-modified": new Date(storedMs).toUTCString(),
      "cf-ray": `${ray}-WEIR`,
      ...(signature && { "accelerate-signature": signature }),
    },
  });
}

// What is asked of the database, and the answer with what is to be told of it: {result, extensions}.
async function told(headers, run) {
  const telemetry = new Telemetry(headers);
  const result = await telemetry.run(() => run(telemetry.onQuery));
  return { result, extensions: telemetry.extensions() };
}

// run(onQuery): the result. isRead: whether it may be kept. keyOf(): what it is of.
async function throughCache(request, keyOf, isRead, who, ctx, run) {
  const ray = request.headers.get("cf-ray") ?? newId();
  const strategy = isRead ? strategyOf(request.headers) : undefined, cacheKey = strategy && keyOf();
  const fetchIt = async () => {
    const { age } = results, { result, extensions } = await told(request.headers, run);
    const text = textOf(result);
    if (strategy !== undefined && result.errors === undefined) results.store(cacheKey, text, strategy.tags, age);
    return { text, ownText: withExtensions(text, extensions) };
  };
  if (strategy === undefined) return answer((await fetchIt()).ownText, "none", Date.now(), ray);
  const signature = createHash("sha256").update(cacheKey).digest("hex");
  const name = `${results.age} ${who.readOnly} ${JSON.stringify(strategy.tags)} ${cacheKey}`;
  const found = results.find(cacheKey, strategy);
  if (found === undefined) {
    const late = () => new Refusal(422, "P6004", "The query, which somebody else has asked before, takes longer than it may.");
    const others = flights.join(name, late);
    return answer(others === undefined ? (await flights.begin(name, fetchIt)).ownText : (await others).text, "miss", Date.now(), ray, signature);
  }
  if (found.status === "swr" && !flights.has(name)) ctx.waitUntil(flights.begin(name, fetchIt).catch((error) => console.error(error)));
  return answer(found.text, found.status, found.storedMs, ray, signature);
}

// Clients of 5 and 6 have it in their paths, those of 7 where these have a hash.
const versionOf = ({ headers }, [first]) => [first, headers.get("prisma-engine-hash")].find((text) => VERSION.test(text));

// ---- Prisma 5 and 6 ----

function checkVersion(version) {
  const major = Number(/^(\d+)\./.exec(version)?.[1] ?? NaN);
  if (major === 5 || major === 6) return;
  throw unserved(version);
}

// Where the client goes on, with its key: in the clear only on this machine, and only where it came so. (That is version 6 with
// prisma+postgres://localhost.) Version 5 insists on TLS, whatever a proxy in front has left of that.
function originOf({ protocol, hostname, host }, version) {
  const isLocal = /^(localhost|.*\.localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
  return `${protocol === "http:" && isLocal && !version.startsWith("5.") ? "http" : "https"}://${host}`;
}

// A transaction's id says which deployment has it, for requests of it to go there when there is a newer one.
const placedId = (id, { deployment }) => `${id}.${deployment}`;
const ownId = (id) => id.split(".")[0];

const transactionBody = (id, extensions, origin, hash) => ({ id, extensions: extensions ?? {}, "data-proxy": { endpoint: `${origin}/itx/${hash}/${id}` } });

async function queryOf(request, hash, transaction, version, who, ctx) {
  const text = await request.text(), body = jsonOf(text);
  const isRead = transaction === undefined && READS.test(body?.action ?? "");
  if (isRead) findSchema(hash);
  return throughCache(request, () => `${hash}\n${text}`, isRead, who, ctx, (onQuery) =>
    database.asking({ who, transaction, onQuery, version }, (context) => answerQuery(hash, body, database, { ...context, measured })));
}

async function answerJsonProtocol(request, url, path, who, ctx) {
  const [first, second, action, last] = path;
  if (first === "itx") {
    const hash = second, id = ownId(action ?? "");
    if (last === "graphql") return queryOf(request, hash, id, undefined, who, ctx);
    if (last !== "commit" && last !== "rollback") return undefined;
    const { extensions } = await told(request.headers, () => database.end(id, who, last));
    return Response.json({ extensions });
  }
  checkVersion(first);
  if (action === "graphql" && path.length === 3) return queryOf(request, second, undefined, first, who, ctx);
  if (action === "schema" && request.method === "PUT") {
    uploadSchema(second, await request.text(), database.connectionInfo().connectionInfo);
    return Response.json({});
  }
  if (action === "transaction" && last === "start") {
    const { max_wait: maxWait, timeout, isolation_level: isolationLevel } = jsonOf(await request.text());
    const { result: id, extensions } = await told(request.headers, () => database.start({ maxWait, timeout, isolationLevel }, who));
    return Response.json(transactionBody(placedId(id, who), extensions, originOf(url, first), second));
  }
  return undefined;
}

// ---- Prisma 7 ----

const isTexts = (object) =>
  typeof object === "object" && object !== null && !Array.isArray(object) && Object.values(object).every((value) => typeof value === "string");

async function planOf(request, transaction, who, ctx) {
  const text = await request.text(), body = jsonOf(text);
  if (typeof body?.plan !== "object" || body.plan === null) throw invalidRequest("The body has no plan.");
  const { comments, ...query } = body, { plan, params = {} } = query;
  checkPlan(plan, params);
  const version = versionOf(request, []);
  try {
    checkParts(plan);
  } catch (error) {
    throw planError(error, version);
  }
  if (comments !== undefined && !isTexts(comments)) throw invalidRequest("The body's comments are an object of texts.");
  const isRead = transaction === undefined && READS.test(body.operation ?? "");
  const keyOf = () => (comments === undefined ? text : JSON.stringify(query)); // what a statement carries along changes no result
  return throughCache(request, keyOf, isRead, who, ctx, async (onQuery) => {
    if (makesJson(text)) keepDigits(plan);
    try {
      return { data: await database.asking({ who, transaction, onQuery, comments }, (context) => database.run(plan, params, context)) };
    } catch (error) {
      throw planError(error, version);
    }
  });
}

async function answerPlans(request, path, who, ctx) {
  const [first, second, third] = path;
  if (first === "connection-info") return Response.json(database.connectionInfo());
  if (first === "query") return planOf(request, undefined, who, ctx);
  if (second === "start") {
    const { newTxId: outer, ...options } = jsonOf(await request.text());
    const begin = () => (outer === undefined ? database.start(options, who) : database.nest(ownId(String(outer)), who));
    const { result: id, extensions } = await told(request.headers, begin);
    return Response.json({ id: placedId(id, who), extensions });
  }
  const transaction = ownId(second ?? "");
  if (third === "query") return planOf(request, transaction, who, ctx);
  if (third !== "commit" && third !== "rollback") return undefined;
  const { extensions } = await told(request.headers, () => database.end(transaction, who, third));
  return Response.json({ extensions });
}

// ---- both ----

function invalidate(body, count) {
  const { tags } = body ?? {};
  if (tags !== "all" && !(Array.isArray(tags) && tags.every((tag) => typeof tag === "string")))
    throw invalidRequest('The body is {"tags": ["…"]} or {"tags": "all"}.');
  results.invalidate(tags, count);
}

const SEED_MS = 1000; // between two
let sownMs = 0;

// What instances to come shall know goes to the templates that they are forked from, which find it in SEED. It is as good
// without.
async function sow(seed) {
  const response = await fetch("http://seed.weir/", { method: "PUT", body: seed });
  if (!response.ok) console.warn(`what was learned is not kept: status ${response.status}`);
}

// What is made before the first request, every instance has from its beginning.
rehearse();
watchFloats();
begin(environment);
await database.ready();
if (environment.SEED !== undefined) grow(environment.SEED, database.connectionInfo().connectionInfo);
harden();

const notFound = (request, path) => unknownRequest(`${request.method} /${path.join("/").slice(0, PATH_LENGTH_MAX)}`, versionOf(request, path), 404);

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url), path = url.pathname.split("/").slice(1);
    const who = {
      key: request.headers.get("weir-prisma-key") ?? "",
      deployment: request.headers.get("weir-prisma-deployment"),
      caller: request.headers.get("weir-prisma-caller"), // the instance that it comes from, if it is one
      readOnly: request.headers.get("weir-prisma-access") === "read",
      transactions: Number(request.headers.get("weir-prisma-transactions") ?? limits.keyTransactions),
      isShared: request.headers.has("weir-prisma-gateways"), // the key's limits
    };
    const invalidates = request.headers.has("weir-prisma-invalidates"); // of a key that may, as the gateway sees it
    const invalidations = Number(request.headers.get("weir-prisma-invalidations") ?? 0); // with this one, if it is
    const isPlans = ["connection-info", "query", "transaction"].includes(path[0]);
    try {
      results.catchUp(invalidates ? invalidations - 1 : invalidations);
      if (invalidates) {
        invalidate(jsonOf(await request.text()), invalidations);
        return new Response(null, { headers: { "cf-ray": `${request.headers.get("cf-ray") ?? newId()}-WEIR` } });
      }
      if (path[0] === "invalidate") throw notFound(request, path);
      const bytes = Number(request.headers.get("weir-prisma-bytes") ?? 0);
      const answered = await withRoom(who.key, bytes, limits.queryMs, () =>
        isPlans ? answerPlans(request, path, who, ctx) : answerJsonProtocol(request, url, path, who, ctx));
      if (hasLearned() && Date.now() - sownMs >= SEED_MS) {
        sownMs = Date.now();
        ctx.waitUntil(sow(newSeed()).catch((error) => console.warn(error)));
      }
      if (answered === undefined) throw notFound(request, path);
      return answered;
    } catch (error) {
      return isPlans ? planAnswerOf(error) : answerOf(error);
    }
  },
  // What the gateway tells: "gone N", of an instance that has begun transactions, or "revoked KEY".
  scheduled({ cron }) {
    const [what, id] = cron.split(" ");
    if (what === "gone") database.forget(id);
    else database.revoke(id);
  },
};
