// SPDX-License-Identifier: Apache-2.0
// node:dns: a worker does not resolve names itself; whoever connects for it does.

import { notImplemented } from "./not-implemented.js";

const INSTEAD = "connect() and fetch() take host names";

export const lookup = notImplemented("dns.lookup", INSTEAD);
export const lookupService = notImplemented("dns.lookupService", INSTEAD);
export const resolve = notImplemented("dns.resolve", INSTEAD);
export const resolve4 = notImplemented("dns.resolve4", INSTEAD);
export const resolve6 = notImplemented("dns.resolve6", INSTEAD);
export const resolveAny = notImplemented("dns.resolveAny", INSTEAD);
export const resolveCname = notImplemented("dns.resolveCname", INSTEAD);
export const resolveMx = notImplemented("dns.resolveMx", INSTEAD);
export const resolveNs = notImplemented("dns.resolveNs", INSTEAD);
export const resolvePtr = notImplemented("dns.resolvePtr", INSTEAD);
export const resolveSoa = notImplemented("dns.resolveSoa", INSTEAD);
export const resolveSrv = notImplemented("dns.resolveSrv", INSTEAD);
export const resolveTxt = notImplemented("dns.resolveTxt", INSTEAD);
export const reverse = notImplemented("dns.reverse", INSTEAD);
export const getServers = notImplemented("dns.getServers", INSTEAD);
export const setServers = notImplemented("dns.setServers", INSTEAD);

export default { getServers, lookup, lookupService, resolve, resolve4, resolve6, resolveAny, resolveCname, resolveMx, resolveNs, resolvePtr, resolveSoa, resolveSrv, resolveTxt, reverse, setServers };
