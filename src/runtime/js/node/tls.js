// SPDX-License-Identifier: Apache-2.0
// node:tls, of which nothing works here; TLS is an option of connect().

import { notImplemented } from "./not-implemented.js";

const INSTEAD = 'use connect() of "cloudflare:sockets" with secureTransport';

export const TLSSocket = notImplemented("tls.TLSSocket", INSTEAD);
export const connect = notImplemented("tls.connect", INSTEAD);
export const createSecureContext = notImplemented("tls.createSecureContext", INSTEAD);
export const createServer = notImplemented("tls.createServer", INSTEAD);
export const checkServerIdentity = notImplemented("tls.checkServerIdentity", INSTEAD);
export const getCiphers = notImplemented("tls.getCiphers", INSTEAD);

export default { TLSSocket, checkServerIdentity, connect, createSecureContext, createServer, getCiphers };
