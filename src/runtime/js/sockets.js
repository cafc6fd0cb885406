// SPDX-License-Identifier: Apache-2.0
// The module "cloudflare:sockets":
// https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/

import {
  Error,
  Number,
  NumberIsInteger,
  Set,
  SetAdd,
  SetHas,
  String,
  StringIndexOf,
  StringLastIndexOf,
  StringSlice,
  StringSplit,
  StringStartsWith,
  StringToLowerCase,
  TypeError,
  markHandled,
  promiseReject,
  promiseResolve,
  promiseWithResolvers,
} from "./primordials.js";
import { native } from "./native.js";
import { Exchange, TARGET_BROKER, TARGET_POOL } from "./exchanges.js";
import { NativeSource, createWritable, streamFromSource } from "./streams.js";
import { closeQueuedOrInFlight, writableClose, writableImpl } from "./streams/writable.js";
import { bytesOf, defineInterface, illegalConstructor, isBufferSource, isObject } from "./webidl.js";
import { current, requireRequest } from "./context.js";
import { BodySink } from "./sink.js";

// As in src/messages/http_frames.h.
const HAS_BODY = 2, TLS = 64, SOCKET = 256;

const databases = new Set();

// Connections to host go to the pool.
export function declareDatabase(host) {
  SetAdd.call(databases, host);
}

// As in src/messages/http_frames.h.
const HOST_MAX = 253;

// Visible ASCII, as the broker takes it. Other scripts' names have an ASCII form.
const isHostName = (text) => text.length <= HOST_MAX && /^[!-~]+$/.test(text);

// ---- one connection; startTls() hands it on from one Socket to the next ----

const lost = () => new Error("Network connection lost.");
const spokeInClear = () => new Error("The server sent bytes in the clear before TLS began.");

class Connection extends Exchange {
  socket = undefined; // its SocketState
  clear = undefined; // the one before startTls()
  over = undefined; // an error: its request is over
  securing = false; // startTls() was called, and TLS is not there yet
  left = 1; // credit

  onResponse(status, block, url, redirects, inline, fin) {
    const info = { remoteAddress: undefined, localAddress: undefined };
    let secure = false;
    const lines = StringSplit.call(block, "\n");
    for (let i = 0; i < lines.length; i++) {
      const colon = StringIndexOf.call(lines[i], ": ");
      if (colon < 0) continue;
      const name = StringSlice.call(lines[i], 0, colon), value = StringSlice.call(lines[i], colon + 2);
      if (name === "remote-address") info.remoteAddress = value;
      else if (name === "local-address") info.localAddress = value;
      else if (name === "secure-transport") secure = true;
    }
    if (secure) this.securing = false;
    if (this.clear !== undefined) this.clear.opened.resolve(info);
    if (secure) this.endClear();
    if (!this.securing) this.socket.opened.resolve(info);
    if (inline !== null || fin) this.onBody(inline, fin);
  }

  onBody(bytes, fin) {
    if (this.securing) {
      this.abort(bytes === null ? lost() : spokeInClear());
      return;
    }
    const { socket } = this;
    if (bytes !== null) socket.source.push(bytes);
    if (!fin) return;
    socket.source.close();
    socket.readEnded = true;
    if (!socket.allowHalfOpen) this.finish();
    else socket.maybeFinish();
  }

  onError(error) {
    this.end();
    this.refuse(error);
    this.socket.fail(error);
  }

  // What is not open by now never will be.
  refuse(error) {
    if (this.clear !== undefined) this.clear.opened.reject(error);
    this.endClear();
    this.socket.opened.reject(error);
  }

  // Not at once in startTls(): postgres.js is not ready for it there.
  endClear() {
    if (this.clear !== undefined) this.clear.closed.resolve(undefined);
  }

  abort(error) {
    if (this.ended) return;
    native.fetchAbort(this.target, this.id);
    this.onError(error);
  }

  // Nothing that the server says in the clear from here on, or has said and nobody has read, may pass
  // for what comes through TLS.
  startTls(clear, hostname) {
    this.clear = clear;
    this.securing = true;
    if (this.ended) this.onError(this.over ?? lost());
    else if (this.target === TARGET_POOL)
      this.abort(new Error("The connection to the database is a channel to this server's own pool: it needs no TLS."));
    else if (clear.source.hasUnread()) this.abort(spokeInClear());
    else if (!native.socketStartTls(this.id, hostname)) this.abort(lost());
  }

  onDropped() {
    this.over = new Error(
      "Cannot perform I/O on behalf of a different request: the socket belongs to a request that is over. Connect in each request.",
    );
    this.socket.source.onWanted = () => this.isOver();
  }

  // For another request than its own. Then that is told, and with it whatever still waits; what is left
  // of its own request is told nothing.
  isOver() {
    if (this.over === undefined || current() === this.owner) return false;
    this.onError(this.over);
    return true;
  }

  onCredit(bytes) {
    this.left += bytes;
    this.socket.sink.credit(bytes);
    this.socket.maybeFinish();
  }

  write(bytes, fin) {
    if (this.ended) return 1;
    this.left = native.fetchBody(this.target, this.id, bytes, fin);
    return this.left;
  }

  // What was written is on its way; nothing more comes, and nothing more goes.
  finish() {
    if (this.ended) return;
    native.fetchAbort(this.target, this.id);
    this.end();
    this.refuse(new Error("The socket was closed before it was open."));
    this.socket.finished();
  }
}

// What stands behind a Socket.
class SocketState {
  opened = promiseWithResolvers();
  closed = promiseWithResolvers();
  readEnded = false;
  writeEnded = false;
  closing = false;
  detached = false; // by startTls

  constructor(connection, secureTransport, allowHalfOpen, upgraded, hostname) {
    this.connection = connection;
    this.secureTransport = secureTransport;
    this.allowHalfOpen = allowHalfOpen;
    this.upgraded = upgraded;
    this.hostname = hostname;
    connection.socket = this;
    markHandled(this.opened.promise);
    markHandled(this.closed.promise);
    this.source = new NativeSource(
      (bytes) => native.fetchCredit(connection.target, connection.id, bytes),
      () => {
        this.readEnded = true;
        this.maybeFinish();
      },
    );
    this.sink = new BodySink(
      (bytes, fin) => connection.write(bytes, fin),
      (reason) => connection.abort(reason),
    );
    this.readable = streamFromSource(this.source);
    this.writable = createWritable({
      write: (chunk) => this.write(chunk),
      close: () => {
        if (connection.isOver()) return promiseReject(connection.over);
        this.sink.close();
        this.writeEnded = true;
        this.maybeFinish();
        return promiseResolve(undefined);
      },
      abort: (reason) => {
        if (!this.detached) connection.abort(reason);
        return promiseResolve(undefined);
      },
    });
  }

  write(chunk) {
    if (this.connection.isOver()) return promiseReject(this.connection.over);
    if (this.detached || this.connection.ended)
      return promiseReject(new TypeError("This WritableStream has been closed."));
    if (!isBufferSource(chunk))
      return promiseReject(
        new TypeError("This TransformStream is being used as a byte stream, but received an object of non-ArrayBuffer/ArrayBufferView type on its writable side."),
      );
    return promiseResolve(this.sink.chunk(bytesOf(chunk)));
  }

  fail(error) {
    this.sink.abandon(error);
    this.source.fail(error);
    this.closed.reject(error);
  }

  finished() {
    this.sink.abandon(undefined);
    this.source.close();
    this.closed.resolve(undefined);
  }

  // After what waits in the writable.
  close() {
    if (this.detached || this.connection.ended) return;
    this.closing = true;
    const impl = writableImpl(this.writable);
    if (!closeQueuedOrInFlight(impl)) markHandled(writableClose(impl));
    this.maybeFinish();
  }

  maybeFinish() {
    const { connection } = this;
    if (this.writeEnded && (this.readEnded || this.closing) && connection.left > 0) connection.finish();
  }
}

const internal = Symbol("internal");

export class Socket {
  #state;

  constructor(state, key) {
    if (key !== internal) throw illegalConstructor();
    this.#state = state;
  }

  get readable() {
    return this.#state.readable;
  }

  get writable() {
    return this.#state.writable;
  }

  get opened() {
    this.#state.connection.isOver();
    return this.#state.opened.promise;
  }

  get closed() {
    this.#state.connection.isOver();
    return this.#state.closed.promise;
  }

  get upgraded() {
    return this.#state.upgraded;
  }

  get secureTransport() {
    return this.#state.secureTransport;
  }

  // Resolves when it is closed; what was written before still goes out.
  close() {
    this.#state.close();
    return this.closed;
  }

  startTls(options = undefined) {
    const old = this.#state;
    if (old.secureTransport !== "starttls")
      throw new TypeError("The `secureTransport` socket option must be set to 'starttls' for startTls to be used.");
    if (old.detached) throw new TypeError("startTls can only be called once on a Socket.");
    const name = String((isObject(options) ? options.expectedServerHostname : undefined) ?? old.hostname);
    if (!isHostName(name)) throw new TypeError("The `expectedServerHostname` option is no host name.");
    const { connection } = old;
    old.detached = old.upgraded = true;
    const next = new SocketState(connection, "on", old.allowHalfOpen, false, old.hostname);
    connection.startTls(old, name);
    old.sink.abandon(undefined);
    old.source.close();
    return new Socket(next, internal);
  }
}
defineInterface(Socket, "Socket");

// ---- connect ----

const badAddress = () => new TypeError("Specified address could not be parsed.");

function parsePort(text) {
  const port = Number(text);
  if (text === "" || !NumberIsInteger(port) || port < 1 || port > 65535) throw badAddress();
  return port;
}

// → [host without brackets, port]
function parseAddress(address) {
  if (isObject(address)) {
    const { hostname, port } = address;
    if (hostname === undefined || port === undefined) throw badAddress();
    return [unbracket(String(hostname)), parsePort(String(port))];
  }
  const text = String(address), colon = StringLastIndexOf.call(text, ":");
  if (colon <= 0) throw badAddress();
  const host = StringSlice.call(text, 0, colon);
  if (StringIndexOf.call(host, ":") >= 0 && !StringStartsWith.call(host, "[")) throw badAddress();
  return [unbracket(host), parsePort(StringSlice.call(text, colon + 1))];
}

function unbracket(host) {
  if (!isHostName(host) || /[/@?#\\]/.test(host)) throw badAddress();
  if (!StringStartsWith.call(host, "[")) return StringToLowerCase.call(host);
  if (!/^\[.*:.*\]$/.test(host)) throw badAddress();
  return StringSlice.call(host, 1, -1);
}

export function connect(address, options = undefined) {
  requireRequest("connect()");
  const [host, port] = parseAddress(address);
  const secureTransport = String((isObject(options) ? options.secureTransport : undefined) ?? "off");
  const allowHalfOpen = !!(isObject(options) && options.allowHalfOpen);
  if (secureTransport !== "off" && secureTransport !== "on" && secureTransport !== "starttls")
    throw new TypeError(`Unsupported value in secureTransport socket option: ${secureTransport}`);
  const owner = current();
  if (owner !== undefined) owner.countSubrequest();
  const connection = new Connection(SetHas.call(databases, host) ? TARGET_POOL : TARGET_BROKER);
  const flags = SOCKET | HAS_BODY | (secureTransport === "on" ? TLS : 0);
  const target = StringIndexOf.call(host, ":") < 0 ? `${host}:${port}` : `[${host}]:${port}`;
  if (!native.fetchStart(connection.target, connection.id, "CONNECT", target, "", null, flags, -1))
    throw new Error("Too many connections are open at once.");
  connection.begin();
  return new Socket(new SocketState(connection, secureTransport, allowHalfOpen, false, host), internal);
}
