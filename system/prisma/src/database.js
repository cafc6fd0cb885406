// SPDX-License-Identifier: Apache-2.0
// The database, through weir's pool: plans are run by Prisma's interpreter over its adapter for pg.
import { PrismaPg } from "@prisma/adapter-pg";
import { QueryInterpreter, TransactionManager, UserFacingError, noopTracingHelper } from "@prisma/client-engine-runtime";

import { Refusal } from "./errors.js";

const CONNECTIONS_MAX = 64, // to the pool, where each costs a few hundred bytes
  STATEMENTS_MAX = 1000; // texts with a prepared statement

const ISOLATION = {
  ReadUncommitted: "READ UNCOMMITTED",
  ReadCommitted: "READ COMMITTED",
  RepeatableRead: "REPEATABLE READ",
  Serializable: "SERIALIZABLE",
};

// A text always has the same name, so that the pool prepares it once for each of its connections.
const names = new Map();
function nameOf({ sql }) {
  let name = names.get(sql);
  if (name === undefined && names.size < STATEMENTS_MAX) names.set(sql, (name = `prisma_${names.size}`));
  return name;
}

// The adapter leaves out Postgres's detail of an error, which names the fields of a constraint.
function keepDetail(adapter) {
  const queryable = Object.getPrototypeOf(Object.getPrototypeOf(adapter)), { onError } = queryable;
  queryable.onError = function (error) {
    try {
      onError.call(this, error);
    } catch (told) {
      if (error.detail !== undefined && told.cause !== undefined) told.cause.detail = error.detail;
      throw told;
    }
  };
}

// limits: {queryMs, transactionMs, transactions}: what clients may not exceed.
export class Database {
  #adapter;
  #transactions;
  #limits;
  #open = new Map(); // id of an interactive transaction => whose (the key's id) and until when

  constructor(url, schema, limits) {
    this.#limits = limits;
    this.schema = schema;
    this.connecting = new PrismaPg(
      { connectionString: url, max: CONNECTIONS_MAX, idleTimeoutMillis: 10000, connectionTimeoutMillis: 30000 },
      { schema, statementNameGenerator: nameOf },
    ).connect();
  }

  async ready() {
    if (this.#adapter !== undefined) return this;
    this.#adapter = await this.connecting;
    keepDetail(this.#adapter);
    this.#transactions ??= new TransactionManager({
      driverAdapter: this.#adapter,
      transactionOptions: { maxWait: 2000, timeout: 5000 },
      tracingHelper: noopTracingHelper,
      provider: "postgresql",
    });
    return this;
  }

  connectionInfo() {
    return { provider: "postgres", connectionInfo: this.#adapter.getConnectionInfo() };
  }

  // transaction: id of an interactive one, or undefined. onQuery: told of each statement, or undefined.
  async run(plan, scope, transaction, onQuery) {
    const queryable =
      transaction === undefined ? this.#adapter : await this.#transactions.getTransaction({ id: transaction }, "query");
    const interpreter = QueryInterpreter.forSql({
      onQuery,
      tracingHelper: noopTracingHelper,
      provider: "postgresql",
      connectionInfo: this.#adapter.getConnectionInfo(),
    });
    const transactionManager =
      transaction === undefined ? { enabled: true, manager: this.#transactions } : { enabled: false };
    return this.#inTime(interpreter.run(plan, { queryable, transactionManager, scope }));
  }

  async #inTime(result) {
    let timer;
    const late = new Promise((_, reject) => {
      const { queryMs } = this.#limits;
      timer = setTimeout(
        () => reject(new Refusal(422, "P6004", `The query took longer than ${queryMs} ms, which is the limit here.`)),
        queryMs,
      );
    });
    try {
      return await Promise.race([result, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  // key: whose transaction it is. A transaction ends by itself after its timeout.
  async start({ maxWait = 2000, timeout = 5000, isolationLevel }, key) {
    const isolation = isolationLevel === undefined ? undefined : ISOLATION[isolationLevel] ?? isolationLevel;
    if (isolation !== undefined && !Object.values(ISOLATION).includes(isolation))
      throw new UserFacingError(`Invalid isolation level \`${isolationLevel}\``, "P2023", { providedIsolationLevel: isolationLevel });
    this.#forgetLate();
    if (this.#open.size >= this.#limits.transactions)
      throw new Refusal(429, "P2028", `Transaction API error: ${this.#limits.transactions} interactive transactions are open, which is the limit here.`);
    const limit = Math.min(Math.max(1, Number(timeout) || 0), this.#limits.transactionMs);
    const { id } = await this.#transactions.startTransaction({
      maxWait: Math.min(Math.max(1, Number(maxWait) || 0), this.#limits.transactionMs),
      timeout: limit,
      isolationLevel: isolation,
    });
    this.#open.set(id, { key, until: Date.now() + limit });
    return id;
  }

  #forgetLate() {
    const now = Date.now();
    for (const [id, { until }] of this.#open) if (until < now) this.#open.delete(id);
  }

  // Another key's transaction is none.
  #check(id, key) {
    const known = this.#open.get(id);
    if (known !== undefined && known.key !== key) throw new UserFacingError("Transaction API error: Transaction not found.", "P2028");
  }

  async runIn(id, key, plan, scope, onQuery) {
    this.#check(id, key);
    return this.run(plan, scope, id, onQuery);
  }

  async end(id, key, how) {
    this.#check(id, key);
    this.#open.delete(id);
    if (how === "commit") await this.#transactions.commitTransaction(id);
    else await this.#transactions.rollbackTransaction(id);
  }

  // A transaction around a batch.
  async transact(isolationLevel, run) {
    const { id } = await this.#transactions.startTransaction({
      maxWait: 2000,
      timeout: this.#limits.queryMs,
      isolationLevel: isolationLevel === undefined ? undefined : ISOLATION[isolationLevel] ?? isolationLevel,
    });
    try {
      const result = await run(id);
      await this.#transactions.commitTransaction(id);
      return result;
    } catch (error) {
      await this.#transactions.rollbackTransaction(id).catch(() => {});
      throw error;
    }
  }
}
