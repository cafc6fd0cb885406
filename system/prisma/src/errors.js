// SPDX-License-Identifier: Apache-2.0
// Errors, in the forms in which Prisma's clients expect them.
import { UserFacingError } from "@prisma/client-engine-runtime";
import { env } from "cloudflare:workers";

// A known error in the answer to a request, by its HTTP status.
export class Refusal extends Error {
  constructor(status, code, message, meta = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.meta = meta;
  }
}

// What the compiler says of a query.
export class CompileError extends Error {
  constructor({ message, code, meta }) {
    super(message);
    this.code = code;
    this.meta = meta;
  }
}

export class Panic extends Error {}

// A body that the clients of Prisma 5 and 6 read as the error of that name (data proxy errors).
export class ProxyError extends Error {
  constructor(status, body) {
    super(JSON.stringify(body));
    this.status = status;
    this.body = body;
  }
}

export const schemaMissing = () => new ProxyError(404, { EngineNotStarted: { reason: "SchemaMissing" } });
export const invalidRequest = (reason) => new Refusal(400, "P6000", reason);
export const cannotStart = (msg, error_code) =>
  new ProxyError(400, { EngineNotStarted: { reason: { KnownEngineStartupError: { msg, error_code } } } });

// Which fields a unique constraint is about: from Postgres's detail, "Key (a, b)=(1, 2) already exists."
const uniqueFields = ({ detail, constraint }) => /^Key \((.+)\)=\(/.exec(detail ?? "")?.[1].split(", ") ?? constraint?.fields;

// What Prisma's own engine tells beside the message, by the error's code.
function metaOf({ code, message, meta }) {
  if (code === "P2025") return { cause: message.replace(/^An operation failed because .* not found\. /, ""), ...meta };
  const { driverAdapterError, table, ...rest } = meta;
  const cause = driverAdapterError?.cause;
  if (cause === undefined) return meta;
  const constraint = cause.constraint;
  switch (code) {
    case "P2000":
      return { column_name: cause.column, ...rest };
    case "P2002":
      return { target: uniqueFields(cause) ?? constraint?.index ?? null, ...rest };
    case "P2003":
      return { field_name: constraint?.index ?? constraint?.fields?.join(", ") ?? "foreign key", constraint: constraint?.index, ...rest };
    case "P2010":
      return { code: cause.originalCode, message: cause.originalMessage, ...rest };
    case "P2011":
      return { constraint: constraint?.fields ?? constraint?.index, ...rest };
    case "P2021":
      return { table: cause.table, ...rest };
    case "P2022":
      return { column: cause.column, ...rest };
    default:
      return rest;
  }
}

// As the clients of 5 and 6 know it: that of 7 names the constraint.
function messageOf({ code, message, meta }) {
  const fields = code === "P2002" ? uniqueFields(meta?.driverAdapterError?.cause ?? {}) : undefined;
  return fields === undefined ? message : `Unique constraint failed on the fields: (${fields.map((field) => `\`${field}\``).join(", ")})`;
}

// One entry of `errors` in an answer. index: of the query in its batch.
export function errorEntry(error, index) {
  const message = messageOf(error);
  const entry = { error: message, user_facing_error: { is_panic: false, message } };
  const told = entry.user_facing_error;
  if (error instanceof UserFacingError) {
    told.error_code = error.code;
    told.meta = metaOf(error);
  } else if (error instanceof CompileError && error.code !== undefined) {
    told.error_code = error.code;
    told.meta = error.meta;
  } else if (error instanceof Panic) {
    told.is_panic = true;
  } else if (!(error instanceof CompileError)) {
    console.error(error);
  }
  if (index !== undefined) told.batch_request_idx = index;
  return entry;
}

// What the engine throws where it has no room for what was asked. It is of the whole request, and would come again with it.
export function refusalOf(error) {
  if (!(error instanceof RangeError)) return error;
  if (error.message.startsWith("Out of memory")) {
    env.collectGarbage(); // or the next ones would find none either
    return new Refusal(503, "P6000", "The endpoint ran out of memory over its requests: ask for less at once.");
  }
  if (error.message.startsWith("Maximum call stack")) return new Refusal(400, "P6000", "The request is nested more deeply than this server takes.");
  return error;
}

// With a code, whatever it was: without one the clients of 5 and 6 ask again, and what has been written is written twice.
function known(error) {
  const told = refusalOf(error);
  if (told instanceof Refusal || told instanceof UserFacingError) return told;
  console.error(error);
  return new Refusal(500, "P6000", "The query could not be run: the server's log tells why.");
}

// The answer of the JSON protocol (5, 6) to what went wrong outside of queries.
export function answerOf(error) {
  if (error instanceof ProxyError) return Response.json(error.body, { status: error.status });
  const { status = 400, code, message } = known(error);
  return Response.json({ is_panic: false, message, error_code: code }, { status });
}

// As the adapter has it, without the detail that the database told besides (database.js).
function adapterMeta(meta) {
  const error = meta?.driverAdapterError;
  if (error?.cause?.detail === undefined) return meta;
  const { detail, ...cause } = error.cause;
  return { ...meta, driverAdapterError: { name: error.name, cause } };
}

// The same for clients that send plans (7).
export function planAnswerOf(error) {
  if (error instanceof ProxyError) return Response.json(error.body, { status: error.status });
  const { status, code, message, meta } = known(error);
  return Response.json({ code, error: message, meta: adapterMeta(meta) }, { status: status ?? (code === "P2028" ? 409 : 400) });
}
