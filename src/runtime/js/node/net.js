// SPDX-License-Identifier: Apache-2.0
// node:net: what can be said of an address; sockets are those of cloudflare:sockets.

import { notImplemented } from "./not-implemented.js";

const INSTEAD = 'use connect() of "cloudflare:sockets"';

export const Server = notImplemented("net.Server", INSTEAD);
export const Socket = notImplemented("net.Socket", INSTEAD);
export const connect = notImplemented("net.connect", INSTEAD);
export const createConnection = notImplemented("net.createConnection", INSTEAD);
export const createServer = notImplemented("net.createServer", INSTEAD);

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){4}$/;

export const isIPv4 = (text) => IPV4.test(`${text}`) && !`${text}`.endsWith(".");
// The URL Standard's parser knows all forms of IPv6; a zone is not for it.
export const isIPv6 = (text) => `${text}`.includes(":") && URL.canParse(`http://[${`${text}`.split("%")[0]}]/`);
export const isIP = (text) => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

export default { Server, Socket, connect, createConnection, createServer, isIP, isIPv4, isIPv6 };
