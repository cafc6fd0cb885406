// SPDX-License-Identifier: Apache-2.0
// The database, through weir's pool: plans are run by Prisma's interpreter over its adapter for pg.
import { PrismaPg } from "@prisma/adapter-pg";
import { QueryInterpreter, TransactionManagerError, UserFacingError } from "@prisma/client-engine-runtime";
import { env } from "cloudflare:workers";
import pg from "pg";

import { Refusal, TOLD, tooLarge } from "./errors.js";
import { watchJson } from "./floats.js";
import { leavesState, reading } from "./guards.js";
import { makesJson } from "./joins.js";
import { LeastRecent } from "./least-recent.js";
import { Rows } from "./rows.js";
import { SharedSlots, Slots, SlotsByName } from "./slots.js";
import { tracing } from "./telemetry.js";
import { Turn } from "./turns.js";

export const CONNECTIONS_MAX = 64; // to the pool, where each costs a few hundred bytes
const KEY_WAITING_MAX = 100, // transactions of one key that wait for their turn, each with a request: others have some, too
  STATEMENTS_MAX = 1000, // texts with a prepared statement
  NAMED_LENGTH_MAX = 16384, // … of that length at most
  ROW_BYTES = 100, // besides its values
  ROWS_BYTES_MIN = 32 * 1024 * 1024, // of a request, more where responses may be larger: as objects they are five times as large
  QUERY_CANCELED = "57014",
  UNREACHED = "08001", // of weir's pool: the database itself says it of others alone
  NO_CONNECTION = ["57P03", "53300"], // in time, or at all: of weir's pool
  LOST = /^Client has encountered a connection error|^Connection terminated unexpectedly/, // of pg's
  TAKEN_AWAY = ["25P03", "25P04"], // a transaction, by the pool or by Postgres: it took too long
  WITHDRAWN = "canceling statement due to user request", // of the pool's, where it has waited; Postgres says which of its routines it was
  TIMED_OUT = "timeout exceeded when trying to connect", // of pg's
  GRACE_MS = 1000, // for Postgres to say that a statement took too long
  ROLLBACK_MS = 100, // for a transaction in which nothing runs when its time is over
  START_MS = 2000, // a list of statements waits so long for its connection, as with Prisma's own engine
  CLOSED_MAX = 100, // transactions of which one can be told how they ended
  GONE_MAX = 1000, // instances whose transactions may still be on their way when they have ended
  DETAIL_LENGTH_MAX = 4096; // of an error of the database's, which may be a client's text

const ISOLATION = {
  ReadUncommitted: "READ UNCOMMITTED",
  ReadCommitted: "READ COMMITTED",
  RepeatableRead: "REPEATABLE READ",
  Serializable: "SERIALIZABLE",
};

// Of the clients' name, or undefined; in Postgres's words.
function isolationOf(level) {
  if (level === undefined) return undefined;
  const isolation = ISOLATION[level] ?? level;
  if (!Object.values(ISOLATION).includes(isolation))
    throw new UserFacingError(`Invalid isolation level \`${level}\``, "P2023", { providedIsolationLevel: level });
  return isolation;
}

// A text always has the same name, so that the pool prepares it once for each of its connections. Who has a comment may have
// another one each time, and what is long is of many values, which will not come again. When there are too many of them, an era is over:
// names begin anew, and connections that have known older ones are not used again.
const names = new Map();
let era = 0;
function nameOf({ sql }) {
  if (sql === "" || sql.length > NAMED_LENGTH_MAX || sql.endsWith("*/")) return undefined;
  let name = names.get(sql);
  if (name !== undefined) return name;
  if (names.size === STATEMENTS_MAX) {
    names.clear();
    era++;
  }
  names.set(sql, (name = `prisma_${era}_${names.size}`));
  return name;
}

// Types that the adapter has not, or reads wrongly.
const NAMES = 1003, TEXTS = 1009, MONEY = 790, MONEYS = 791;

// As the database's lc_monetary has it: -$1,234.50, (1.234,50 €), ¥1,234.
function decimalOf(money) {
  const [, units, fraction] = /^(.*?)(?:[.,](\d{1,2}))?\D*$/.exec(money);
  return `${/[-(]/.test(money) ? "-" : ""}${units.replace(/\D/g, "")}${fraction === undefined ? "" : `.${fraction}`}`;
}

const textsOf = pg.types.getTypeParser(TEXTS);
const decimalsOf = (money) => (Array.isArray(money) ? money.map(decimalsOf) : money && decimalOf(money));
const OWN_PARSERS = { [MONEY]: decimalOf, [MONEYS]: (text) => decimalsOf(textsOf(text)) };
const withOwnParsers = (types) => ({ getTypeParser: (oid, format) => (format === "text" && OWN_PARSERS[oid]) || types.getTypeParser(oid, format) });

const tooMuch = () => new Refusal(413, "P6009", "The rows of one request are more than this endpoint has memory for: select less, or page through them.");

// A setting that nobody reads: the pool sees that the session has one, and with E that it is none of those that it carries from one session to
// another. A SELECT would decide what a transaction sees, before it has locked anything.
const KEEP_SESSION = "SET weir.session = E''";

// One statement at a time, as Prisma's own engine has it. Keys share connections: one whose session may have been changed, or has been as the
// database says, is not used again when it is given back (pg-pool counts its uses there). Where it may have been, weir's pool is asked to keep the
// session for this connection alone, and cleans it when that has ended.
class Client extends pg.Client {
  #counted; // the rows of the statement that is under way
  #config;
  #makesJson = false; // any of its statements
  #era = era;
  rows = new Rows(); // whose they are: of who has it
  hasAnswered = false; // since somebody has it: it is set to false then

  constructor(config) {
    super(config);
    this.#config = config;
    const { stream } = this.connection;
    stream._listen = () => this.#listen(stream);
    this.connection.on("parameterStatus", () => this._connected && this.useUp());
    this.once("end", () => this.#forget());
  }

  // pg keeps the callback for as long as the connection, and with it all that asked for its first statement, and the rows.
  connect(callback) {
    let waiting = callback;
    return super.connect((error, client) => {
      const told = waiting;
      waiting = undefined;
      told?.(error, client);
    });
  }

  // In the place of pg-cloudflare's: hands on to the parser, which puts a row together before it tells of it, what there is room for.
  async #listen(stream) {
    for (;;) {
      const { done, value } = await stream._cfReader.read();
      if (done || stream.destroyed) return;
      this.#count(value.byteLength);
      await this.#counted?.room(this);
      if (stream.destroyed) return;
      if (this.#counted?.areTooMany) return this.giveUp(tooMuch());
      stream.emit("data", Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    }
  }

  // What Postgres says while nothing is asked of it is nobody's.
  #count(bytes) {
    if (this.readyForQuery) return;
    this.#counted ??= this.rows;
    this.#counted.begin(this);
    this.#counted.add(bytes);
  }

  // Does it run a statement, or is one to follow?
  get isBusy() {
    return Boolean(this.activeQuery) || this.queryQueue.length > 0;
  }

  // Closes it, without a goodbye: nobody wants any more what was asked.
  giveUp(error) {
    if (this.connection.stream.destroyed) return;
    this.#forget();
    this.connection.stream.destroy();
    this._handleErrorEvent(error);
  }

  // Asks that what it runs is cancelled: what runs, Postgres ends, and what waits for a connection of weir's pool, the pool.
  withdraw() {
    if (!this.activeQuery) return;
    this.useUp(); // it may come too late, and is to be nobody else's
    const other = new pg.Client(this.#config);
    other.connection.on("error", () => {}); // then it is given up
    other.cancel(this, this.activeQuery);
  }

  // Not to be lent again: the pool counts its uses there.
  useUp() {
    this._poolUseCount = Infinity;
  }

  #forget() {
    this.#counted?.end(this);
    this.#counted = undefined;
  }

  _handleRowDescription(message) {
    for (const field of message.fields) if (field.dataTypeID === NAMES) field.dataTypeID = TEXTS;
    super._handleRowDescription(message);
  }

  _handleDataRow(message) {
    this.#count(ROW_BYTES);
    if (this.#makesJson) watchJson(message.fields);
    super._handleDataRow(message);
  }

  _handleReadyForQuery(message) {
    this.#forget();
    this.isWithin = message.status !== "I"; // a transaction
    this.hasAnswered = true;
    super._handleReadyForQuery(message);
  }

  _handleErrorMessage(message) {
    message.detail = message.detail?.slice(0, DETAIL_LENGTH_MAX);
    super._handleErrorMessage(message);
  }

  query(config, ...rest) {
    const sql = typeof config === "string" ? config : config?.text;
    this.#makesJson ||= typeof sql === "string" && makesJson(sql);
    if (this.#era !== era) this.useUp();
    if (typeof sql === "string" && leavesState(sql)) {
      this.useUp();
      super.query(KEEP_SESSION, () => {});
    }
    if (typeof config === "object" && config !== null && typeof config.submit !== "function") config = { ...config, queryMode: "extended", types: withOwnParsers(config.types ?? pg.types) };
    return super.query(config, ...rest);
  }
}

// Of the startup message, where spaces part one option from the next. The adapter takes what the database says for UTC, and writes dates
// without a zone. The schema is for raw queries.
const optionsOf = (schema) =>
  `-c TimeZone=UTC${schema === undefined ? "" : ` -c search_path=${`"${schema.replaceAll('"', '""')}"`.replace(/[\\\s]/g, "\\$&")}`}`;

const statement = (sql) => ({ sql, args: [], argTypes: [] });

// A raw query's lists have elements of a type.
const UNTELLABLE = /^Cannot serialize value of type object as /;
function listOfLists() {
  const message = "A list of lists has no form in Prisma's protocol: select it as text or jsonb.";
  return new UserFacingError(`Raw query failed. Code: \`N/A\`. Message: \`${message}\``, "P2010", { code: "N/A", message });
}

// Of a transaction or a connection, by others, or of one that could not be made: what Prisma calls it, or undefined.
function endOf({ message, cause, meta }) {
  const { originalCode, originalMessage, [TOLD]: told } = meta?.driverAdapterError?.cause ?? cause ?? {};
  if (originalCode === UNREACHED && told?.routine === undefined) return new UserFacingError(`Can't reach database server: ${originalMessage}`, "P1001");
  if (TAKEN_AWAY.includes(originalCode)) return new UserFacingError(`Transaction API error: Transaction already closed: ${originalMessage}.`, "P2028");
  return LOST.test(message) ? new UserFacingError("Server has closed the connection.", "P1017") : undefined;
}

// A plan that does nothing but fail with that error, for the interpreter to say what it is to a user: it is asked for queries
// alone, and COMMIT is none.
const commitPlan = {
  type: "execute",
  args: { type: "templateSql", fragments: [{ type: "stringChunk", chunk: "COMMIT" }], args: [], argTypes: [], placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: false },
};

async function explained(error) {
  const end = endOf(error);
  if (end !== undefined || error.name !== "DriverAdapterError") return end ?? error;
  const fail = async () => {
    throw error;
  };
  try {
    const interpreter = QueryInterpreter.forSql({ tracingHelper: tracing, provider: "postgresql", connectionInfo: {} });
    await interpreter.run(commitPlan, { queryable: { provider: "postgres", adapterName: "weir", queryRaw: fail, executeRaw: fail }, transactionManager: { enabled: false }, scope: {} });
  } catch (told) {
    return told;
  }
  return error;
}

// The adapter leaves out what names the fields of a constraint, and which of Postgres's routines said so.
function keepTold(adapter) {
  const queryable = Object.getPrototypeOf(Object.getPrototypeOf(adapter)), { onError } = queryable;
  queryable.onError = function (error) {
    try {
      onError.call(this, error);
    } catch (told) {
      if (told.name === "DriverAdapterError") told.cause[TOLD] ??= { detail: error.detail, column: error.column, routine: error.routine };
      throw told;
    }
  };
}

// Of a key: says how many this instance has, to be told how many all gateways' have.
async function openOfAll(key, count) {
  const response = await fetch(`http://transactions.weir/${key}/${count}`, { method: "PUT" });
  if (response.status === 404) return count; // the key was revoked: its transactions are the last
  if (!response.ok) throw new Error(`the transactions of key ${key} are not counted: status ${response.status}`);
  return Number(await response.text());
}

// As the manager of transactions says it, which may still wait for what runs, or know it no more.
const expired = (timeout, timeTaken) =>
  new TransactionManagerError(
    `A query cannot be executed on an expired transaction. The timeout for this transaction was ${timeout} ms, however ${timeTaken} ms passed since the start of the transaction. Consider increasing the interactive transaction timeout or doing less work in the transaction.`,
    { operation: "query", timeout, timeTaken },
  );
const notFound = () =>
  new TransactionManagerError("Transaction not found. Transaction ID is invalid, refers to an old closed transaction Prisma doesn't have information about anymore, or was obtained before disconnecting.");

const notEnded = () =>
  new TransactionManagerError("Transaction already closed: It was rolled back, as the end of a transaction that is nested in it has not come.");

// ID~2 is the first that is nested in ID, ID~3 one in that.
const outermost = (id) => id?.split("~", 1)[0];
const levelOf = (id) => Number(id.split("~")[1] ?? 1);

// limits: {queryMs, transactionMs, transactions, connections, waitMs, responseBytes}: what clients may not exceed; connections to the database, and how
// long one is waited for.
export class Database {
  #pool;
  #adapter;
  #connecting;
  #limits;
  #open = new Map(); // id of an interactive transaction => {id, key: whose, turn, running: so many queries, timer: when it is over}
  #closed = new LeastRecent(CLOSED_MAX); // the same
  #gone = new LeastRecent(GONE_MAX); // instances that have ended => true
  #revoked = new LeastRecent(GONE_MAX); // keys => when
  #slots; // of interactive transactions, of all keys
  #keySlots = new SlotsByName((key, max, isShared) => // … of one
    isShared ? new SharedSlots(max, KEY_WAITING_MAX, (count) => openOfAll(key, count)) : new Slots(max, KEY_WAITING_MAX));

  // schema: of tables that the client's schema gives none; undefined: public.
  constructor(url, schema, limits) {
    this.#limits = limits;
    Rows.limit(Math.max(ROWS_BYTES_MIN, 2 * limits.responseBytes));
    this.#slots = new Slots(limits.transactions);
    this.#pool = new pg.Pool({
      Client, connectionString: url, max: CONNECTIONS_MAX, maxUses: Number.MAX_SAFE_INTEGER, idleTimeoutMillis: 10000, connectionTimeoutMillis: limits.queryMs, // who waits longer is not there any more
      statement_timeout: limits.queryMs, // Postgres stops the statement itself
      options: optionsOf(schema),
    });
    // Somebody's BEGIN: what others would write in it, with an answer that says so, would be lost.
    this.#pool.on("release", (_, client) => client.isWithin && client.useUp());
    this.#connecting = this.#connect(new PrismaPg(this.#pool, { schema, statementNameGenerator: nameOf }));
  }

  ready() {
    return this.#connecting;
  }

  async #connect(factory) {
    this.#adapter = await factory.connect();
    keepTold(this.#adapter);
  }

  // rows: of the request.
  #turn(rows) {
    return new Turn(this.#pool, this.#adapter, rows);
  }

  // What a request asks: run(context), for run() and transact(). Its rows are there until it has all of them.
  async asking(context, run) {
    const rows = this.#open.get(outermost(context.transaction))?.turn.rows ?? new Rows();
    rows.hold();
    try {
      return await run({ ...context, rows });
    } finally {
      rows.letGo();
    }
  }

  connectionInfo() {
    return { provider: "postgres", connectionInfo: this.#adapter.getConnectionInfo() };
  }

  // context: {who: {key, readOnly}, rows, and where there are: transaction: id of an interactive one, or of one nested in it, onQuery: told of each
  // statement, comments: an object of texts that statements carry}.
  async run(plan, scope, context) {
    const { who, transaction: id } = context;
    if (id !== undefined) return this.#runWithin(id, plan, scope, context);
    if (who.readOnly) return this.transact(undefined, context, (runPlan) => runPlan(plan, scope), this.#limits.queryMs + 2 * GRACE_MS);
    const turn = this.#turn(context.rows);
    return this.#inTime(turn, () => this.#run(plan, scope, context, turn));
  }

  // transaction: as the turn's manager has it; undefined: in none.
  async #run(plan, scope, { who, onQuery, comments }, turn, transaction) {
    const whole = transaction ?? turn.adapter;
    const queryable = who.readOnly ? reading(whole) : whole;
    const interpreter = QueryInterpreter.forSql({
      onQuery,
      tracingHelper: tracing,
      provider: "postgresql",
      connectionInfo: this.#adapter.getConnectionInfo(),
    });
    const transactionManager = transaction === undefined ? { enabled: true, manager: turn.manager } : { enabled: false };
    const sqlCommenter = comments === undefined ? undefined : { plugins: [() => comments], queryInfo: {} };
    const own = Object.assign(Object.create(null), scope); // a name that it has not is nothing that all objects inherit
    const { responseBytes: max } = this.#limits, response = { max, refusal: () => tooLarge(max), collect: () => env.collectGarbage() };
    return interpreter.run(plan, { queryable, transactionManager, scope: own, sqlCommenter, response });
  }

  // … of an interactive one. What has taken too long is not to be had back from it: it is over, too.
  async #runWithin(id, plan, scope, context) {
    const entry = this.#find(id, context.who.key), { turn } = entry;
    const transaction = await turn.manager.getTransaction(entry, "query");
    entry.running++;
    try {
      return await this.#inTime(turn, () => this.#run(plan, scope, context, turn, transaction));
    } finally {
      entry.running--;
      if (turn.over !== undefined) turn.manager.cancelAllTransactions(); // it, with those nested in it
    }
  }

  // Where the database has not answered anything when the time is over, it is asked to stop: who says that it did tells whether it had begun.
  async #inTime(turn, run) {
    const { queryMs } = this.#limits, begunMs = performance.now();
    const refusal = () => new Refusal(422, "P6004", `The query took longer than ${queryMs} ms, which is the limit here.`);
    let timer = setTimeout(() => {
      if (turn.hasBegun || !turn.isLent) return turn.end(turn.hasBegun ? refusal() : this.#noConnection());
      turn.withdraw();
      timer = setTimeout(() => turn.end(refusal()), GRACE_MS);
    }, queryMs + GRACE_MS);
    try {
      return await turn.race(run);
    } catch (error) {
      if (turn.over !== undefined) throw turn.over;
      const end = this.#endOf(error);
      if (end !== undefined) throw end;
      if (UNTELLABLE.test(error.message)) throw listOfLists();
      const isLate = error.meta?.driverAdapterError?.cause?.originalCode === QUERY_CANCELED && performance.now() - begunMs >= queryMs / 2; // else somebody else cancelled it
      throw isLate ? refusal() : error;
    } finally {
      clearTimeout(timer);
    }
  }

  // … of one that was not had in time, too.
  #endOf(error) {
    const { originalCode: code, originalMessage: message, [TOLD]: told } = error.meta?.driverAdapterError?.cause ?? error.cause ?? {};
    const hasWaited = code === QUERY_CANCELED && told?.routine === undefined && message === WITHDRAWN;
    return hasWaited || NO_CONNECTION.includes(code) || error.message === TIMED_OUT ? this.#noConnection() : endOf(error);
  }

  #noConnection() {
    const { connections, waitMs } = this.#limits, timeout = Math.ceil(waitMs / 1000);
    const told = `Timed out fetching a new connection from the connection pool. More info: http://pris.ly/d/connection-pool (Current connection pool timeout: ${timeout}, connection limit: ${connections})`;
    return new UserFacingError(told, "P2024", { connection_limit: connections, timeout });
  }

  // A place among the open transactions of the key, and among all: gives it back when called. One key's crowd waits for
  // its own, so that there is room for others.
  async #place({ key, transactions, isShared }, waitMs) {
    const until = Date.now() + waitMs;
    const late = () =>
      new UserFacingError(`Transaction API error: Unable to start a transaction in the given time: ${transactions} of this api key, or ${this.#limits.transactions} of all, are open.`, "P2028");
    const giveBack = await this.#keySlots.take(key, waitMs, 1, transactions, isShared);
    if (giveBack === undefined) throw late();
    if (!(await this.#slots.take(Math.max(0, until - Date.now())))) {
      giveBack();
      throw late();
    }
    return () => {
      this.#slots.release();
      giveBack();
    };
  }

  // A transaction ends by itself after its timeout, whatever runs in it; its place is taken for as long as its connection.
  async start({ maxWait = START_MS, timeout = 5000, isolationLevel }, who) {
    const isolation = isolationOf(isolationLevel), begun = Date.now();
    const { transactionMs } = this.#limits, limit = Math.max(1, Number(timeout) || 0);
    if (limit > transactionMs) throw new Refusal(400, "P6005", `Invalid parameters: a transaction's timeout of ${limit} ms is more than the limit here, ${transactionMs} ms.`);
    const waitMs = Math.min(Math.max(1, Number(maxWait) || 0), transactionMs);
    const giveBack = await this.#place(who, waitMs), turn = this.#turn(new Rows());
    let id;
    try {
      ({ id } = await turn.manager.startTransaction({
        maxWait: Math.max(1, waitMs - (Date.now() - begun)),
        timeout: limit,
        isolationLevel: isolation,
      }));
    } catch (error) {
      turn.end(error); // it waits no longer
      giveBack();
      throw this.#endOf(error) ?? error;
    }
    const timer = setTimeout(() => turn.end(expired(limit, limit + ROLLBACK_MS)), limit + ROLLBACK_MS);
    const entry = { id, key: who.key, caller: who.caller, turn, running: 0, timer, isEnding: false };
    this.#open.set(id, entry);
    turn.onFree = () => {
      clearTimeout(timer);
      this.#open.delete(id);
      this.#closed.set(id, entry);
      giveBack();
    };
    if (this.#gone.get(who.caller) || this.#revoked.get(who.key) >= begun) turn.end(notFound());
    if (who.readOnly) await this.#makeReadOnly(id, turn);
    return id;
  }

  // An instance has ended: what it has left open nobody else can end.
  forget(caller) {
    this.#gone.set(caller, true);
    this.#endThose((entry) => entry.caller === caller);
  }

  // Whoever has it is not admitted any more to end what he has begun.
  revoke(key) {
    this.#revoked.set(key, Date.now());
    this.#endThose((entry) => entry.key === key);
  }

  #endThose(isOne) {
    for (const entry of this.#open.values()) if (isOne(entry) && !entry.isEnding) entry.turn.end(notFound());
  }

  // One within that one, by a savepoint.
  async nest(outer, who) {
    const { id, turn } = this.#find(outer, who.key);
    await this.#inTime(turn, async () => {
      try {
        await turn.manager.startTransaction({ newTxId: id, maxWait: START_MS, timeout: START_MS }); // its times are the outer one's
      } catch (error) {
        throw await explained(error);
      }
    });
    return `${id}~${turn.manager.transactions.get(id)?.depth}`;
  }

  // Another key's transaction is none. Those of transact() are nobody's.
  #find(id, key) {
    const outer = outermost(id), known = this.#open.get(outer) ?? this.#closed.get(outer);
    if (known === undefined || known.key !== key) throw notFound();
    return known;
  }

  // What a read-only key's transaction allows besides reading (settings, large objects) is never committed. Where ends of what
  // is nested more deeply than level were lost, that is rolled back, and with it what was to be committed around it.
  async #finish(id, { manager }, { readOnly }, how, level = 1) {
    const depth = () => manager.transactions.get(id)?.depth ?? 0, isLost = depth() > level;
    try {
      const left = how === "commit" ? 0 : level;
      while (isLost && depth() > left) await manager.rollbackTransaction(id);
      if (isLost && how === "commit") throw notEnded();
      await (how === "commit" && !readOnly ? manager.commitTransaction(id) : manager.rollbackTransaction(id));
    } catch (error) {
      throw await explained(error);
    }
  }

  // What has begun to be committed is not broken off, unless it takes as long as no query may.
  async end(id, who, how) {
    const entry = this.#find(id, who.key), { id: outer, turn, running, timer } = entry, level = levelOf(id);
    // It was ended before: who was not told that it is committed wants nothing of it, which only the one around it can still undo.
    if (turn.manager.transactions.get(outer)?.depth < level && how === "commit") throw notFound();
    if (running === 0 && level === 1) {
      clearTimeout(timer);
      entry.isEnding = true;
    }
    await this.#inTime(turn, () => this.#finish(outer, turn, who, how, level));
  }

  // One that is not, is none.
  async #makeReadOnly(id, { manager }) {
    try {
      const transaction = await manager.getTransaction({ id }, "query");
      // After the first query nobody can make it writable again, as long as it is this one (guards.js).
      await transaction.executeRaw(statement("SET TRANSACTION READ ONLY"));
      await transaction.queryRaw(statement("SELECT 1"));
      return transaction;
    } catch (error) {
      await manager.rollbackTransaction(id).catch(() => {});
      throw error;
    }
  }

  // A transaction around run(runPlan), as run() takes plans and scopes.
  async transact(isolationLevel, context, run, maxWait = START_MS) {
    const { who, rows } = context, turn = this.#turn(rows), timeout = this.#limits.queryMs + 2 * GRACE_MS;
    const transaction = { maxWait, timeout, isolationLevel: isolationOf(isolationLevel) };
    try {
      return await this.#inTime(turn, () => this.#transactIn(turn, transaction, context, run));
    } catch (error) {
      turn.end(error); // it waits no longer
      throw error;
    }
  }

  async #transactIn(turn, options, context, run) {
    const { manager } = turn, { id } = await manager.startTransaction(options);
    const transaction = context.who.readOnly ? await this.#makeReadOnly(id, turn) : await manager.getTransaction({ id }, "query");
    try {
      const result = await run((plan, scope) => this.#run(plan, scope, context, turn, transaction));
      await this.#finish(id, turn, context.who, "commit");
      return result;
    } catch (error) {
      await manager.rollbackTransaction(id).catch(() => {});
      throw error;
    }
  }
}
