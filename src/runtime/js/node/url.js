// SPDX-License-Identifier: Apache-2.0
// node:url: the global URL classes, file URLs, and the parser that Node had before them.

import { native } from "../native.js";
import { codeError, invalidArgType, requireString } from "./errors.js";
import * as querystring from "./querystring.js";

export const { URL, URLSearchParams, URLPattern } = globalThis;

export const domainToASCII = (domain) => native.domainToASCII(`${domain}`, false) ?? "";

export function domainToUnicode(domain) {
  const ascii = domainToASCII(domain);
  return require("punycode/").toUnicode(ascii);
}

export function fileURLToPath(path, options = undefined) {
  const url = typeof path === "string" ? new URL(path) : path;
  if (!(url instanceof URL)) throw invalidArgType("path", ["string", "URL"], path);
  if (url.protocol !== "file:") throw codeError(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (options?.windows) {
    const local = decodeURIComponent(url.pathname).replaceAll("/", "\\");
    return url.hostname !== "" ? `\\\\${url.hostname}${local}` : local.slice(1);
  }
  if (url.hostname !== "") {
    throw codeError(TypeError, "ERR_INVALID_FILE_URL_HOST", 'File URL host must be "localhost" or empty on linux');
  }
  if (/%2f/i.test(url.pathname)) {
    throw codeError(TypeError, "ERR_INVALID_FILE_URL_PATH", "File URL path must not include encoded / characters");
  }
  return decodeURIComponent(url.pathname);
}

export function pathToFileURL(path, options = undefined) {
  requireString(path, "path");
  const { posix, win32 } = require("./path.js");
  let full = options?.windows ? win32.resolve(path).replaceAll("\\", "/") : posix.resolve("/bundle", path);
  if (/[\\/]$/.test(path) && !full.endsWith("/")) full += "/";
  const escaped = full.replace(/[%\\\n\r\t?#]/g, encodeURIComponent);
  return new URL(`file://${escaped.startsWith("/") ? "" : "/"}${escaped}`);
}

export function urlToHttpOptions(url) {
  const { hostname, pathname, search, hash, href, protocol, port, username, password } = url;
  const options = {
    __proto__: null,
    ...url,
    protocol,
    hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    hash,
    search,
    pathname,
    path: `${pathname || ""}${search || ""}`,
    href,
  };
  if (port !== "") options.port = Number(port);
  if (username || password) options.auth = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return options;
}

// --- the old parser ---

const slashed = new Set(["http", "https", "ftp", "gopher", "file", "ws", "wss"]);

export class Url {
  protocol = null;
  slashes = null;
  auth = null;
  host = null;
  port = null;
  hostname = null;
  hash = null;
  search = null;
  query = null;
  pathname = null;
  path = null;
  href = null;

  parse(text, parseQuery = false, slashesDenoteHost = false) {
    requireString(text, "url");
    let rest = text.trim().replace(/^[^?#]*/, (head) => head.replaceAll("\\", "/"));
    const scheme = /^([a-z0-9.+-]+:)/i.exec(rest);
    let name = "";
    if (scheme) {
      this.protocol = scheme[1].toLowerCase();
      name = this.protocol.slice(0, -1);
      rest = rest.slice(scheme[1].length);
    }
    const hasHost =
      rest.startsWith("//") && (slashesDenoteHost || scheme || /^\/\/[^@/]+@[^@/]+/.test(rest)) && name !== "javascript";
    if (hasHost) {
      this.slashes = true;
      rest = rest.slice(2);
    }
    if (hasHost || (scheme && !slashed.has(name) && name !== "javascript" && !rest.startsWith("/"))) {
      const end = rest.search(/[/?#]/);
      let host = end < 0 ? rest : rest.slice(0, end);
      rest = end < 0 ? "" : rest.slice(end);
      const at = host.lastIndexOf("@");
      if (at >= 0) {
        this.auth = decodeURIComponent(host.slice(0, at));
        host = host.slice(at + 1);
      }
      const port = /:([0-9]*)$/.exec(host);
      if (port) {
        if (port[1] !== "") this.port = port[1];
        host = host.slice(0, -port[0].length);
      }
      const bad = host.startsWith("[") ? -1 : host.search(/[\t\n\r "'<>\\^`{|}]/);
      if (bad >= 0) {
        rest = `/${host.slice(bad)}${rest}`;
        host = host.slice(0, bad);
      }
      this.hostname = host.startsWith("[") ? host.slice(1, -1) : host.toLowerCase();
      if (!host.startsWith("[") && /[^\x00-\x7f]/.test(host)) this.hostname = domainToASCII(host);
      const shown = this.hostname.includes(":") ? `[${this.hostname}]` : this.hostname;
      this.host = shown + (this.port === null ? "" : `:${this.port}`);
      if (this.host === "" && !this.slashes) this.host = null;
    }
    rest = rest.replace(/[\t\n\r "'<>\\^`{|}]/g, (c) => (name === "javascript" ? c : c === "'" ? "%27" : encodeURIComponent(c)));
    const hash = rest.indexOf("#");
    if (hash >= 0) {
      this.hash = rest.slice(hash);
      rest = rest.slice(0, hash);
    }
    const mark = rest.indexOf("?");
    if (mark >= 0) {
      this.search = rest.slice(mark);
      this.query = parseQuery ? querystring.parse(this.search.slice(1)) : this.search.slice(1);
      rest = rest.slice(0, mark);
    } else if (parseQuery) {
      this.search = null;
      this.query = { __proto__: null };
    }
    if (rest !== "") this.pathname = rest;
    else if (slashed.has(name) && this.hostname) this.pathname = "/";
    if (this.pathname !== null || this.search !== null) this.path = `${this.pathname ?? ""}${this.search ?? ""}`;
    this.href = this.format();
    return this;
  }

  format() {
    let protocol = this.protocol ?? "";
    if (protocol && !protocol.endsWith(":")) protocol += ":";
    const auth = this.auth ? `${encodeURIComponent(this.auth).replace(/%3A/i, ":")}@` : "";
    let host = null;
    if (this.host) host = auth + this.host;
    else if (this.hostname) {
      const name = this.hostname.includes(":") && !this.hostname.startsWith("[") ? `[${this.hostname}]` : this.hostname;
      host = auth + name + (this.port ? `:${this.port}` : "");
    }
    const query = this.query !== null && typeof this.query === "object" ? querystring.stringify(this.query) : "";
    let search = this.search ?? (query ? `?${query}` : "");
    if (search && !search.startsWith("?")) search = `?${search}`;
    let hash = this.hash ?? "";
    if (hash && !hash.startsWith("#")) hash = `#${hash}`;
    let pathname = (this.pathname ?? "").replace(/[?#]/g, encodeURIComponent);
    const isSlashed = slashed.has(protocol.slice(0, -1));
    if (this.slashes || (isSlashed && host !== null)) {
      host = `//${host ?? ""}`;
      if (pathname && !pathname.startsWith("/")) pathname = `/${pathname}`;
    } else {
      host ??= "";
    }
    return protocol + host + pathname + search.replaceAll("#", "%23") + hash;
  }

  resolve(relative) {
    return this.resolveObject(parse(relative, false, true)).format();
  }

  resolveObject(relative) {
    const to = typeof relative === "string" ? parse(relative, false, true) : relative;
    const result = Object.assign(new Url(), this);
    result.hash = to.hash;
    if (to.href === "") {
      result.href = result.format();
      return result;
    }
    if ((to.protocol && to.protocol !== this.protocol) || to.host) {
      Object.assign(result, to);
      result.protocol = to.protocol ?? this.protocol;
      result.slashes ||= this.slashes;
      result.href = result.format();
      return result;
    }
    if (to.pathname) {
      result.search = to.search;
      result.query = to.query;
      const base = to.pathname.startsWith("/") ? "" : (this.pathname ?? "").replace(/[^/]*$/, "");
      const joined = base + to.pathname;
      const absolute = joined.startsWith("/") || Boolean(this.host);
      const out = [];
      const parts = joined.split("/");
      parts.forEach((part, i) => {
        const last = i === parts.length - 1;
        if (part === "." || part === "..") {
          if (part === ".." && out.length > 0 && out.at(-1) !== "..") out.pop();
          else if (part === ".." && !absolute) out.push("..");
          if (last) out.push("");
        } else if (part !== "" || last || !absolute) {
          out.push(part);
        }
      });
      result.pathname = (absolute ? "/" : "") + out.join("/");
    } else if (to.search !== null) {
      result.search = to.search;
      result.query = to.query;
    }
    result.path = `${result.pathname ?? ""}${result.search ?? ""}`;
    result.href = result.format();
    return result;
  }
}

export function parse(url, parseQuery, slashesDenoteHost) {
  return url instanceof Url ? url : new Url().parse(url, parseQuery, slashesDenoteHost);
}

export function format(url, options = undefined) {
  if (typeof url === "string") return parse(url).format();
  if (url instanceof URL) {
    const copy = new URL(url.href);
    if (options?.auth === false) copy.username = copy.password = "";
    if (options?.search === false) copy.search = "";
    if (options?.fragment === false) copy.hash = "";
    return copy.href;
  }
  if (url === null || typeof url !== "object") throw invalidArgType("urlObject", ["Object", "string"], url);
  return Url.prototype.format.call(url instanceof Url ? url : Object.assign(new Url(), url));
}

export const resolve = (from, to) => parse(from, false, true).resolve(to);
export const resolveObject = (from, to) => (from ? parse(from, false, true).resolveObject(to) : parse(to));

export default {
  URL,
  URLPattern,
  URLSearchParams,
  Url,
  domainToASCII,
  domainToUnicode,
  fileURLToPath,
  format,
  parse,
  pathToFileURL,
  resolve,
  resolveObject,
  urlToHttpOptions,
};
