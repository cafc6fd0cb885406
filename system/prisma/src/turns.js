// SPDX-License-Identifier: Apache-2.0
// What one request, or one transaction, has of the pool. When its time is over, what still runs or waits for it is ended with the connection: weir's
// pool lets the statement go that waits, cancels the one that runs, and rolls back.
import { TransactionManager, TransactionManagerError } from "@prisma/client-engine-runtime";

import { tracing } from "./telemetry.js";

// What ends a transaction, as its manager says it: how it is then.
const ENDS = { COMMIT: "committed transaction", ROLLBACK: "transaction that was rolled back" };

// A connection, until it is given back: who has it longer (an interpreter whose transaction's time was over) can do nothing with it, as it is others'.
// Nor when the end of its transaction is asked for: what comes behind that in pg's queue would run in none, and without its being read only.
class Loan {
  #client;
  #onRelease;
  #end; // one of ENDS, when it was asked for

  constructor(client, rows, onRelease) {
    this.#client = client;
    this.#onRelease = onRelease;
    client.rows = rows;
    client.hasAnswered = false;
    client.on("error", Loan.#ignore); // who asks is told, too
  }

  static #ignore() {}

  get hasAnswered() {
    return this.#client.hasAnswered;
  }

  async query(config) {
    const end = Object.hasOwn(ENDS, config.text) ? ENDS[config.text] : undefined;
    if (this.#end !== undefined && (end === undefined || this.#client === undefined))
      throw new TransactionManagerError(`Transaction already closed: A query cannot be executed on a ${this.#end}.`);
    if (this.#client === undefined) throw new Error("the connection was given back");
    this.#end ??= end;
    return this.#client.query(config);
  }

  withdraw() {
    this.#client?.withdraw();
  }

  release(error) {
    const client = this.#client;
    if (client === undefined) return;
    this.#onRelease(this);
    this.#client = undefined;
    client.release(error ?? client.isBusy); // with an answer to come it is nobody's
    client.removeListener("error", Loan.#ignore);
  }

  end(error) {
    this.#client.giveUp(error);
  }

  // Of the adapter, for errors that it logs.
  on() {}
  removeListener() {}
}

export class Turn {
  #pool;
  #loans = new Set();
  #hasAnswered = false;
  #over; // the error that says why
  #ended = Promise.withResolvers();
  adapter;
  manager;
  rows; // whose those are that its statements have
  onFree; // told when nothing is lent any more

  constructor(pool, adapter, rows) {
    this.#pool = pool;
    this.rows = rows;
    this.#ended.promise.catch(() => {});
    this.adapter = Object.create(adapter, { client: { value: this } });
    this.manager = new TransactionManager({ driverAdapter: this.adapter, tracingHelper: tracing, provider: "postgresql" });
  }

  // Has the database answered anything?
  get hasBegun() {
    return this.#hasAnswered || [...this.#loans].some(({ hasAnswered }) => hasAnswered);
  }

  // Has it a connection?
  get isLent() {
    return this.#loans.size > 0;
  }

  withdraw() {
    for (const loan of this.#loans) loan.withdraw();
  }

  // The error; undefined: it is not.
  get over() {
    return this.#over;
  }

  // As pg's pool has it, for the adapter.
  async connect() {
    const loan = new Loan(await this.#pool.connect(), this.rows, (back) => this.#take(back));
    this.#loans.add(loan);
    if (this.#over === undefined) return loan;
    loan.release();
    throw this.#over;
  }

  async query(config) {
    const loan = await this.connect();
    let failed;
    try {
      return await loan.query(config);
    } catch (error) {
      failed = error;
      throw error;
    } finally {
      loan.release(failed);
    }
  }

  #take(loan) {
    this.#hasAnswered ||= loan.hasAnswered;
    this.#loans.delete(loan);
    if (this.#loans.size === 0) this.onFree?.();
  }

  // Resolves as run() does, unless it is ended before.
  race(run) {
    return Promise.race([run(), this.#ended.promise]);
  }

  end(error) {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#ended.reject(error);
    for (const loan of this.#loans) loan.end(error);
  }
}
