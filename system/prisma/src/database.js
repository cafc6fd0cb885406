// SPDX-License-Identifier: Apache-2.0
// The database, through weir's pool: plans are run by Prisma's interpreter over its adapter for pg.
import { PrismaPg } from "@prisma/adapter-pg";
import { QueryInterpreter, TransactionManager, UserFacingError } from "@prisma/client-engine-runtime";
import pg from "pg";

import { Refusal, TOLD } from "./errors.js";
import { watchJson } from "./floats.js";
import { leavesState, reading } from "./guards.js";
import { makesJson } from "./joins.js";
import { SharedSlots, Slots, SlotsByName } from "./slots.js";
import { tracing } from "./telemetry.js";

const CONNECTIONS_MAX = 64, // to the pool, where each costs a few hundred bytes
  KEY_WAITING_MAX = 100, // transactions of one key that wait for their turn, each with a request: others have some, too
  STATEMENTS_MAX = 1000, // texts with a prepared statement
  NAMED_LENGTH_MAX = 16384, // … of that length at most
  ROW_BYTES = 100, // besides its values
  ROWS_BYTES_MIN = 32 * 1024 * 1024, // of all statements under way, more where responses may be larger: as objects they are five times as large
  AT_ONCE = 4, // of that: who needs more waits for who began before
  FEW = 32, // … unless it is less than this part
  QUERY_CANCELED = "57014",
  NO_CONNECTION = ["57P03", "53300"], // in time, or at all: of weir's pool
  LOST = /^Client has encountered a connection error|^Connection terminated unexpectedly/, // of pg's
  TAKEN_AWAY = ["25P03", "25P04"], // a transaction, by the pool or by Postgres: it took too long
  TIMED_OUT = "timeout exceeded when trying to connect", // of pg's
  GRACE_MS = 1000; // for Postgres to say that a statement took too long

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

// One statement at a time, as Prisma's own engine has it. Keys share connections: one whose session may have been changed is
// not used again when it is given back (pg-pool counts its uses there). Rows have so much memory together: where there is no more, only who
// began first goes on, and who has few; and a statement whose rows do not end is given up.
class Client extends pg.Client {
  static rowsBytesMax = ROWS_BYTES_MIN;
  static #allRowsBytes = 0;
  static #withRows = new Set(); // in the order in which they began
  static #paused = []; // functions that let them look again
  #rowsBytes = 0;
  #makesJson = false; // any of its statements
  #era = era;

  constructor(config) {
    super(config);
    const { stream } = this.connection;
    stream._listen = () => this.#listen(stream);
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
      if (done) return;
      this.#count(value.byteLength);
      Client.#withRows.add(this);
      while (this.#waits()) await new Promise((lookAgain) => Client.#paused.push(lookAgain));
      if (stream.destroyed) return;
      if (this.#isTooMuch()) return this.#giveUp(stream);
      stream.emit("data", Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    }
  }

  #count(bytes) {
    this.#rowsBytes += bytes;
    Client.#allRowsBytes += bytes;
  }

  // Is there too little room for all, and is it one of those that fill it?
  #waits() {
    const max = Client.rowsBytesMax, [first] = Client.#withRows;
    return Client.#allRowsBytes > max / AT_ONCE && this.#rowsBytes > max / FEW && this.#rowsBytes <= max && first !== this;
  }

  #isTooMuch() {
    const max = Client.rowsBytesMax;
    return this.#rowsBytes > max;
  }

  #giveUp(stream) {
    this.#forget();
    stream.destroy();
    this._handleErrorEvent(new Refusal(413, "P6009", "The rows of one statement are more than this endpoint has memory for: select less, or page through them."));
  }

  #forget() {
    this.#count(-this.#rowsBytes);
    Client.#withRows.delete(this);
    for (const lookAgain of Client.#paused.splice(0)) lookAgain();
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
    super._handleReadyForQuery(message);
  }

  query(config, ...rest) {
    const sql = typeof config === "string" ? config : config?.text;
    this.#makesJson ||= typeof sql === "string" && makesJson(sql);
    if (this.#era !== era || (typeof sql === "string" && leavesState(sql))) this._poolUseCount = Infinity;
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

// Of a transaction or a connection, by others: what Prisma calls it, or undefined.
function endOf({ message, cause, meta }) {
  const { originalCode, originalMessage } = meta?.driverAdapterError?.cause ?? cause ?? {};
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

// After the first query of a transaction nobody can make it writable again, as long as it is this one (guards.js).
async function makeReadOnly(queryable) {
  await queryable.executeRaw(statement("SET TRANSACTION READ ONLY"));
  await queryable.queryRaw(statement("SELECT 1"));
}

// The adapter leaves out what names the fields of a constraint.
function keepTold(adapter) {
  const queryable = Object.getPrototypeOf(Object.getPrototypeOf(adapter)), { onError } = queryable;
  queryable.onError = function (error) {
    try {
      onError.call(this, error);
    } catch (told) {
      if (told.name === "DriverAdapterError") told.cause[TOLD] = { detail: error.detail, column: error.column };
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

// limits: {queryMs, transactionMs, transactions, connections, responseBytes}: what clients may not exceed; connections to the database.
export class Database {
  #adapter;
  #transactions;
  #connecting;
  #limits;
  #open = new Map(); // id of an interactive transaction => {key: whose, over: gives its place back, once}
  #slots; // of interactive transactions, of all keys
  #keySlots = new SlotsByName((key, max, isShared) => // … of one
    isShared ? new SharedSlots(max, KEY_WAITING_MAX, (count) => openOfAll(key, count)) : new Slots(max, KEY_WAITING_MAX));

  // schema: of tables that the client's schema gives none; undefined: public.
  constructor(url, schema, limits) {
    this.#limits = limits;
    Client.rowsBytesMax = Math.max(ROWS_BYTES_MIN, 2 * limits.responseBytes);
    this.#slots = new Slots(limits.transactions);
    const pool = new pg.Pool({
      Client, connectionString: url, max: CONNECTIONS_MAX, maxUses: Number.MAX_SAFE_INTEGER, idleTimeoutMillis: 10000, connectionTimeoutMillis: limits.queryMs, // who waits longer is not there any more
      statement_timeout: limits.queryMs, // Postgres stops the statement itself
      options: optionsOf(schema),
    });
    // Somebody's BEGIN: what others would write in it, with an answer that says so, would be lost.
    pool.on("release", (_, client) => client.isWithin && (client._poolUseCount = Infinity));
    this.#connecting = this.#connect(new PrismaPg(pool, { schema, statementNameGenerator: nameOf }));
  }

  ready() {
    return this.#connecting;
  }

  async #connect(factory) {
    this.#adapter = await factory.connect();
    keepTold(this.#adapter);
    this.#transactions = new TransactionManager({
      driverAdapter: this.#adapter,
      transactionOptions: { maxWait: 2000, timeout: 5000 },
      tracingHelper: tracing,
      provider: "postgresql",
    });
  }

  connectionInfo() {
    return { provider: "postgres", connectionInfo: this.#adapter.getConnectionInfo() };
  }

  // context: {who: {key, readOnly}, and where there are: transaction: id of an interactive one, onQuery: told of each
  // statement, comments: an object of texts that statements carry}.
  async run(plan, scope, context) {
    const { who, transaction } = context;
    if (transaction !== undefined) this.#check(transaction, who.key);
    else if (who.readOnly) return this.transact(undefined, context, (runPlan) => runPlan(plan, scope));
    return this.#run(plan, scope, context);
  }

  async #run(plan, scope, { who, transaction, onQuery, comments }) {
    const whole = transaction === undefined ? this.#adapter : await this.#transactions.getTransaction({ id: transaction }, "query");
    const queryable = who.readOnly ? reading(whole) : whole;
    const interpreter = QueryInterpreter.forSql({
      onQuery,
      tracingHelper: tracing,
      provider: "postgresql",
      connectionInfo: this.#adapter.getConnectionInfo(),
    });
    const transactionManager =
      transaction === undefined ? { enabled: true, manager: this.#transactions } : { enabled: false };
    const sqlCommenter = comments === undefined ? undefined : { plugins: [() => comments], queryInfo: {} };
    return this.#inTime(interpreter.run(plan, { queryable, transactionManager, scope, sqlCommenter }));
  }

  async #inTime(result) {
    const { queryMs } = this.#limits, begunMs = performance.now();
    const refusal = () => new Refusal(422, "P6004", `The query took longer than ${queryMs} ms, which is the limit here.`);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(refusal()), queryMs + GRACE_MS);
    });
    try {
      return await Promise.race([result, late]);
    } catch (error) {
      const code = error.meta?.driverAdapterError?.cause?.originalCode;
      if (NO_CONNECTION.includes(code) || error.message === TIMED_OUT) throw this.#noConnection();
      const end = endOf(error);
      if (end !== undefined) throw end;
      if (UNTELLABLE.test(error.message)) throw listOfLists();
      const isLate = code === QUERY_CANCELED && performance.now() - begunMs >= queryMs / 2; // else somebody else cancelled it
      throw isLate ? refusal() : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #noConnection() {
    const { connections } = this.#limits;
    return new UserFacingError(`Timed out fetching a new connection from the connection pool (connection limit: ${connections}).`, "P2024", { connection_limit: connections });
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

  // A transaction ends by itself after its timeout.
  async start({ maxWait = 2000, timeout = 5000, isolationLevel }, who) {
    const isolation = isolationOf(isolationLevel), begun = Date.now();
    const { transactionMs } = this.#limits, limit = Math.max(1, Number(timeout) || 0);
    if (limit > transactionMs) throw new Refusal(400, "P6005", `Invalid parameters: a transaction's timeout of ${limit} ms is more than the limit here, ${transactionMs} ms.`);
    const waitMs = Math.min(Math.max(1, Number(maxWait) || 0), transactionMs);
    const giveBack = await this.#place(who, waitMs);
    let over = giveBack;
    try {
      const { id } = await this.#transactions.startTransaction({
        maxWait: Math.max(1, waitMs - (Date.now() - begun)),
        timeout: limit,
        isolationLevel: isolation,
      });
      over = () => {
        clearTimeout(timer);
        if (this.#open.delete(id)) giveBack();
      };
      const timer = setTimeout(over, limit);
      this.#open.set(id, { key: who.key, over });
      if (who.readOnly) await this.#makeReadOnly(id);
      return id;
    } catch (error) {
      over();
      throw error;
    }
  }

  // Another key's transaction is none. Those of transact() are nobody's.
  #check(id, key) {
    const known = this.#open.get(id);
    if (known !== undefined && known.key !== key) throw new UserFacingError("Transaction API error: Transaction not found.", "P2028");
  }

  // What a read-only key's transaction allows besides reading (settings, large objects) is never committed.
  async #finish(id, { readOnly }, how) {
    try {
      await (how === "commit" && !readOnly ? this.#transactions.commitTransaction(id) : this.#transactions.rollbackTransaction(id));
    } catch (error) {
      throw await explained(error);
    }
  }

  async end(id, who, how) {
    this.#check(id, who.key);
    const known = this.#open.get(id);
    try {
      await this.#finish(id, who, how);
    } finally {
      known?.over();
    }
  }

  // One that is not, is none.
  async #makeReadOnly(id) {
    try {
      await makeReadOnly(await this.#transactions.getTransaction({ id }, "query"));
    } catch (error) {
      await this.#transactions.rollbackTransaction(id).catch(() => {});
      throw error;
    }
  }

  // A transaction around run(runPlan), as run() takes plans and scopes.
  async transact(isolationLevel, context, run) {
    const { who } = context;
    const { id } = await this.#transactions.startTransaction({
      maxWait: 2000,
      timeout: this.#limits.queryMs,
      isolationLevel: isolationOf(isolationLevel),
    });
    try {
      if (who.readOnly) await makeReadOnly(await this.#transactions.getTransaction({ id }, "query"));
      const result = await run((plan, scope) => this.#run(plan, scope, { ...context, transaction: id }));
      await this.#finish(id, who, "commit");
      return result;
    } catch (error) {
      await this.#transactions.rollbackTransaction(id).catch(() => {});
      throw error;
    }
  }
}
