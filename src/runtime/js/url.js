// SPDX-License-Identifier: Apache-2.0
// https://url.spec.whatwg.org/
//
// The parser is the standard's state machine over code points. A URL of plain characters, which is
// nearly every one a worker sees, is cut by a regular expression instead (parseFast).

import { TypeError } from "./primordials.js";
import { native } from "./native.js";
import { defineInterface, isObject, requireArguments, toSequence, toUSVString } from "./webidl.js";

const specialPorts = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21", "file:": "" };
const isSpecial = (scheme) => Object.hasOwn(specialPorts, scheme);

// ---- percent-encoding ----

const c0 = (code) => code < 0x20 || code > 0x7e;
const setOf = (base, characters) => {
  const table = new Set([...characters].map((c) => c.charCodeAt(0)));
  return (code) => base(code) || table.has(code);
};
const fragmentSet = setOf(c0, ' "<>`');
const querySet = setOf(c0, ' "#<>');
const specialQuerySet = setOf(querySet, "'");
const pathSet = setOf(querySet, "?^`{}");
const userinfoSet = setOf(pathSet, "/:;=@[\\]|");
const formSet = (code) =>
  !((code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 42 || code === 45 || code === 46 || code === 95);

const hex = "0123456789ABCDEF";
const percent = (byte) => `%${hex[byte >> 4]}${hex[byte & 15]}`;

function encode(text, inSet, spaceAsPlus = false) {
  let clean = true;
  for (let i = 0; i < text.length && clean; i++) clean = !inSet(text.charCodeAt(i));
  if (clean) return text;
  let out = "";
  for (const byte of native.utf8Encode(text)) {
    if (spaceAsPlus && byte === 0x20) out += "+";
    else out += inSet(byte) ? percent(byte) : String.fromCharCode(byte);
  }
  return out;
}

function hexValue(code) {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function percentDecode(text) {
  if (!text.includes("%")) return native.utf8Encode(text);
  const bytes = native.utf8Encode(text);
  let to = 0;
  for (let i = 0; i < bytes.length; i++) {
    let byte = bytes[i];
    if (byte === 0x25 && i + 2 < bytes.length) {
      const high = hexValue(bytes[i + 1]), low = hexValue(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        i += 2;
      }
    }
    bytes[to++] = byte;
  }
  return bytes.subarray(0, to);
}

// ---- hosts ----

const forbiddenHost = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const forbiddenDomain = /[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f]/;

function parseHost(input, special) {
  if (input.startsWith("[")) {
    if (!input.endsWith("]")) return null;
    const address = parseIPv6(input.slice(1, -1));
    return address === null ? null : `[${serializeIPv6(address)}]`;
  }
  if (!special) return forbiddenHost.test(input) ? null : encode(input, c0);
  let domain = native.utf8Decode(percentDecode(input), false, true);
  if (/^[a-z0-9.-]+$/.test(domain) && !domain.includes("xn--")) {
    // already what IDNA would make of it
  } else {
    domain = native.domainToASCII(domain, false);
    if (domain === null || domain === "" || forbiddenDomain.test(domain)) return null;
  }
  return endsInNumber(domain) ? parseIPv4(domain) : domain;
}

function endsInNumber(domain) {
  const parts = domain.split(".");
  if (parts[parts.length - 1] === "") {
    if (parts.length === 1) return false;
    parts.pop();
  }
  const last = parts[parts.length - 1];
  return /^[0-9]+$/.test(last) || /^0[xX][0-9a-fA-F]*$/.test(last);
}

function parseIPv4Number(text) {
  if (text === "") return NaN;
  let base = 10;
  if (/^0[xX]/.test(text)) {
    text = text.slice(2);
    base = 16;
  } else if (text.length > 1 && text[0] === "0") {
    text = text.slice(1);
    base = 8;
  }
  if (text === "") return 0;
  const valid = base === 10 ? /^[0-9]+$/ : base === 16 ? /^[0-9a-fA-F]+$/ : /^[0-7]+$/;
  return valid.test(text) ? parseInt(text, base) : NaN;
}

function parseIPv4(domain) {
  const parts = domain.split(".");
  if (parts[parts.length - 1] === "" && parts.length > 1) parts.pop();
  if (parts.length > 4) return null;
  const numbers = parts.map(parseIPv4Number);
  const last = numbers.length - 1;
  let address = numbers[last];
  if (numbers.some((n) => Number.isNaN(n)) || numbers.slice(0, last).some((n) => n > 255)) return null;
  if (address >= 256 ** (5 - numbers.length)) return null;
  for (let i = 0; i < last; i++) address += numbers[i] * 256 ** (3 - i);
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

function parseIPv6(input) {
  const address = [0, 0, 0, 0, 0, 0, 0, 0];
  let piece = 0, compress = -1, at = 0;
  if (input[at] === ":") {
    if (input[at + 1] !== ":") return null;
    at += 2;
    compress = ++piece;
  }
  while (at < input.length) {
    if (piece === 8) return null;
    if (input[at] === ":") {
      if (compress >= 0) return null;
      at++;
      compress = ++piece;
      continue;
    }
    let value = 0, length = 0;
    while (length < 4 && hexValue(input.charCodeAt(at)) >= 0) {
      value = value * 16 + hexValue(input.charCodeAt(at++));
      length++;
    }
    if (input[at] === ".") {
      if (length === 0) return null;
      at -= length;
      if (piece > 6) return null;
      let seen = 0;
      while (at < input.length) {
        let part = -1;
        if (seen > 0) {
          if (input[at] !== "." || seen >= 4) return null;
          at++;
        }
        if (!/[0-9]/.test(input[at] ?? "")) return null;
        while (/[0-9]/.test(input[at] ?? "")) {
          const digit = Number(input[at]);
          if (part === -1) part = digit;
          else if (part === 0) return null;
          else part = part * 10 + digit;
          if (part > 255) return null;
          at++;
        }
        address[piece] = address[piece] * 256 + part;
        seen++;
        if (seen === 2 || seen === 4) piece++;
      }
      if (seen !== 4) return null;
      break;
    }
    if (input[at] === ":") {
      at++;
      if (at === input.length) return null;
    } else if (at < input.length) {
      return null;
    }
    address[piece++] = value;
  }
  if (compress >= 0) {
    let swaps = piece - compress;
    piece = 7;
    while (piece !== 0 && swaps > 0) {
      const other = compress + swaps - 1;
      [address[piece], address[other]] = [address[other], address[piece]];
      piece--;
      swaps--;
    }
  } else if (piece !== 8) {
    return null;
  }
  return address;
}

function serializeIPv6(address) {
  let best = -1, bestLength = 1;
  for (let i = 0; i < 8; ) {
    let length = 0;
    while (i + length < 8 && address[i + length] === 0) length++;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
    i += Math.max(length, 1);
  }
  let out = "";
  for (let i = 0; i < 8; i++) {
    if (i === best) {
      out += i === 0 ? "::" : ":";
      i += bestLength - 1;
      continue;
    }
    out += address[i].toString(16) + (i < 7 ? ":" : "");
  }
  return out;
}

// ---- records ----

class Parts {
  scheme = "";
  username = "";
  password = "";
  host = null; // null, or text
  port = "";
  path = []; // segments, or a string when opaque
  query = null;
  fragment = null;

  get opaque() {
    return typeof this.path === "string";
  }

  pathname() {
    return this.opaque ? this.path : this.path.length === 0 ? "" : `/${this.path.join("/")}`;
  }

  href() {
    let out = this.scheme;
    if (this.host !== null) {
      out += "//";
      if (this.username !== "" || this.password !== "")
        out += `${this.username}${this.password === "" ? "" : `:${this.password}`}@`;
      out += this.host;
      if (this.port !== "") out += `:${this.port}`;
    } else if (!this.opaque && this.path.length > 1 && this.path[0] === "") {
      out += "/.";
    }
    out += this.pathname();
    if (this.query !== null) out += `?${this.query}`;
    if (this.fragment !== null) out += `#${this.fragment}`;
    return out;
  }
}

const hostToQuery =
  /([a-z0-9](?:[a-z0-9.-]*[a-z])?|127\.0\.0\.1)(?::([1-9][0-9]{0,4}))?(\/[A-Za-z0-9\-._~!$&()*+,;=:@%/]*)?(?:\?([A-Za-z0-9\-._~!$&()*+,;=:@%/?[\]|{}^`]*))?$/.source;
const fastUrl = new RegExp(`^(https?:)//${hostToQuery}`);
// With other schemes or a user: what drivers of databases are given.
const fastUserUrl = new RegExp(`^([a-z][a-z0-9+-]*:)//(?:([A-Za-z0-9\\-._~!$&()*+,%]*)(?::([A-Za-z0-9\\-._~!$&()*+,%]*))?@)?${hostToQuery}`);

function partsOf(scheme, host, port, path, query) {
  if (path.includes("/.") || path.includes("%2") || host.includes("xn--") || host.includes("..") || (port !== undefined && Number(port) > 65535)) return null;
  if (host !== "127.0.0.1" && endsInNumber(host)) return null;
  const parts = new Parts();
  parts.scheme = scheme;
  parts.host = host;
  parts.port = port === undefined || port === specialPorts[scheme] ? "" : port;
  parts.path = path === "" ? [] : path.slice(1).split("/");
  parts.query = query ?? null;
  return parts;
}

// null: not of that simple kind, or no URL.
function parseFast(text) {
  let match = fastUrl.exec(text);
  if (match !== null) return partsOf(match[1], match[2], match[3], match[4] ?? "/", match[5]);
  match = fastUserUrl.exec(text);
  if (match === null || match[1] === "file:") return null;
  const parts = partsOf(match[1], match[4], match[5], match[6] ?? (isSpecial(match[1]) ? "/" : ""), match[7]);
  if (parts === null) return null;
  parts.username = match[2] ?? "";
  parts.password = match[3] ?? "";
  return parts;
}

const isWindowsLetter = (text) => /^[A-Za-z][:|]$/.test(text);
const isNormalWindowsLetter = (text) => /^[A-Za-z]:$/.test(text);
const startsWithWindowsLetter = (text) => /^[A-Za-z][:|]([/\\?#]|$)/.test(text);
const isSingleDot = (text) => text === "." || text.toLowerCase() === "%2e";
const isDoubleDot = (text) => /^(\.|%2e)(\.|%2e)$/i.test(text);

function shorten(url) {
  if (url.scheme === "file:" && url.path.length === 1 && isNormalWindowsLetter(url.path[0])) return;
  url.path.pop();
}

// https://url.spec.whatwg.org/#concept-basic-url-parser. With `override` it changes `url` (setters) and
// returns false when it must not. → Parts, or null.
function parse(text, base = null, url = undefined, override = undefined) {
  if (url === undefined) {
    url = new Parts();
    text = text.replace(/^[\0-\x20]+|[\0-\x20]+$/g, "");
  }
  text = text.replace(/[\t\n\r]/g, "");
  let state = override ?? "scheme start", buffer = "", at = false, brackets = false, passwordSeen = false;
  const end = text.length;
  for (let p = 0; ; p++) {
    const c = p < end ? text[p] : undefined;
    switch (state) {
      case "scheme start":
        if (c !== undefined && /[A-Za-z]/.test(c)) {
          buffer += c.toLowerCase();
          state = "scheme";
        } else if (override === undefined) {
          state = "no scheme";
          p--;
        } else {
          return null;
        }
        break;
      case "scheme":
        if (c !== undefined && /[A-Za-z0-9+\-.]/.test(c)) {
          buffer += c.toLowerCase();
        } else if (c === ":") {
          const scheme = `${buffer}:`;
          if (override !== undefined) {
            if (isSpecial(url.scheme) !== isSpecial(scheme)) return null;
            if ((url.username !== "" || url.password !== "" || url.port !== "") && scheme === "file:") return null;
            if (url.scheme === "file:" && (url.host === "" || url.host === null)) return null;
            url.scheme = scheme;
            if (url.port === specialPorts[scheme]) url.port = "";
            return url;
          }
          url.scheme = scheme;
          buffer = "";
          if (scheme === "file:") state = "file";
          else if (isSpecial(scheme) && base !== null && base.scheme === scheme) state = "special relative or authority";
          else if (isSpecial(scheme)) state = "special authority slashes";
          else if (text[p + 1] === "/") {
            state = "path or authority";
            p++;
          } else {
            url.path = "";
            state = "opaque path";
          }
        } else if (override === undefined) {
          buffer = "";
          state = "no scheme";
          p = -1;
        } else {
          return null;
        }
        break;
      case "no scheme":
        if (base === null || (base.opaque && c !== "#")) return null;
        if (base.opaque) {
          Object.assign(url, base);
          url.fragment = "";
          state = "fragment";
        } else {
          state = base.scheme === "file:" ? "file" : "relative";
          p--;
        }
        break;
      case "special relative or authority":
        if (c === "/" && text[p + 1] === "/") {
          state = "special authority ignore slashes";
          p++;
        } else {
          state = "relative";
          p--;
        }
        break;
      case "path or authority":
        if (c === "/") {
          state = "authority";
        } else {
          state = "path";
          p--;
        }
        break;
      case "relative":
        url.scheme = base.scheme;
        if (c === "/") {
          state = "relative slash";
        } else if (isSpecial(url.scheme) && c === "\\") {
          state = "relative slash";
        } else {
          url.username = base.username;
          url.password = base.password;
          url.host = base.host;
          url.port = base.port;
          url.path = [...base.path];
          url.query = base.query;
          if (c === "?") {
            url.query = "";
            state = "query";
          } else if (c === "#") {
            url.fragment = "";
            state = "fragment";
          } else if (c !== undefined) {
            url.query = null;
            shorten(url);
            state = "path";
            p--;
          }
        }
        break;
      case "relative slash":
        if (isSpecial(url.scheme) && (c === "/" || c === "\\")) {
          state = "special authority ignore slashes";
        } else if (c === "/") {
          state = "authority";
        } else {
          url.username = base.username;
          url.password = base.password;
          url.host = base.host;
          url.port = base.port;
          state = "path";
          p--;
        }
        break;
      case "special authority slashes":
        state = "special authority ignore slashes";
        if (c === "/" && text[p + 1] === "/") p++;
        else p--;
        break;
      case "special authority ignore slashes":
        if (c !== "/" && c !== "\\") {
          state = "authority";
          p--;
        }
        break;
      case "authority":
        if (c === "@") {
          if (at) buffer = `%40${buffer}`;
          at = true;
          for (const character of buffer) {
            if (character === ":" && !passwordSeen) {
              passwordSeen = true;
              continue;
            }
            const encoded = encode(character, userinfoSet);
            if (passwordSeen) url.password += encoded;
            else url.username += encoded;
          }
          buffer = "";
        } else if (c === undefined || c === "/" || c === "?" || c === "#" || (isSpecial(url.scheme) && c === "\\")) {
          if (at && buffer === "") return null;
          p -= buffer.length + 1;
          buffer = "";
          state = "host";
        } else {
          buffer += c;
        }
        break;
      case "host":
      case "hostname":
        if (override !== undefined && url.scheme === "file:") {
          p--;
          state = "file host";
        } else if (c === ":" && !brackets) {
          if (buffer === "" || override === "hostname") return null;
          const host = parseHost(buffer, isSpecial(url.scheme));
          if (host === null) return null;
          url.host = host;
          buffer = "";
          state = "port";
        } else if (c === undefined || c === "/" || c === "?" || c === "#" || (isSpecial(url.scheme) && c === "\\")) {
          p--;
          if (isSpecial(url.scheme) && buffer === "") return null;
          if (override !== undefined && buffer === "" && (url.username !== "" || url.password !== "" || url.port !== "")) return null;
          const host = parseHost(buffer, isSpecial(url.scheme));
          if (host === null) return null;
          url.host = host;
          buffer = "";
          state = "path start";
          if (override !== undefined) return url;
        } else {
          if (c === "[") brackets = true;
          else if (c === "]") brackets = false;
          buffer += c;
        }
        break;
      case "port":
        if (c !== undefined && c >= "0" && c <= "9") {
          buffer += c;
        } else if (c === undefined || c === "/" || c === "?" || c === "#" || (isSpecial(url.scheme) && c === "\\") || override !== undefined) {
          if (buffer !== "") {
            const port = Number(buffer);
            if (port > 65535) return null;
            url.port = `${port}` === specialPorts[url.scheme] ? "" : `${port}`;
            buffer = "";
            if (override !== undefined) return url;
          }
          if (override !== undefined) return null;
          state = "path start";
          p--;
        } else {
          return null;
        }
        break;
      case "file":
        url.scheme = "file:";
        url.host = "";
        if (c === "/" || c === "\\") {
          state = "file slash";
        } else if (base !== null && base.scheme === "file:") {
          url.host = base.host;
          url.path = [...base.path];
          url.query = base.query;
          if (c === "?") {
            url.query = "";
            state = "query";
          } else if (c === "#") {
            url.fragment = "";
            state = "fragment";
          } else if (c !== undefined) {
            url.query = null;
            if (!startsWithWindowsLetter(text.slice(p))) shorten(url);
            else url.path = [];
            state = "path";
            p--;
          }
        } else {
          state = "path";
          p--;
        }
        break;
      case "file slash":
        if (c === "/" || c === "\\") {
          state = "file host";
        } else {
          if (base !== null && base.scheme === "file:") {
            url.host = base.host;
            if (!startsWithWindowsLetter(text.slice(p)) && base.path.length > 0 && isNormalWindowsLetter(base.path[0]))
              url.path.push(base.path[0]);
          }
          state = "path";
          p--;
        }
        break;
      case "file host":
        if (c === undefined || c === "/" || c === "\\" || c === "?" || c === "#") {
          p--;
          if (override === undefined && isWindowsLetter(buffer)) {
            state = "path";
          } else if (buffer === "") {
            url.host = "";
            if (override !== undefined) return url;
            state = "path start";
          } else {
            let host = parseHost(buffer, isSpecial(url.scheme));
            if (host === null) return null;
            if (host === "localhost") host = "";
            url.host = host;
            if (override !== undefined) return url;
            buffer = "";
            state = "path start";
          }
        } else {
          buffer += c;
        }
        break;
      case "path start":
        if (isSpecial(url.scheme)) {
          state = "path";
          if (c !== "/" && c !== "\\") p--;
        } else if (override === undefined && c === "?") {
          url.query = "";
          state = "query";
        } else if (override === undefined && c === "#") {
          url.fragment = "";
          state = "fragment";
        } else if (c !== undefined) {
          state = "path";
          if (c !== "/") p--;
        } else if (override !== undefined && url.host === null) {
          url.path.push("");
        }
        break;
      case "path": {
        const slash = c === "/" || (isSpecial(url.scheme) && c === "\\");
        if (c === undefined || slash || (override === undefined && (c === "?" || c === "#"))) {
          buffer = encode(buffer, pathSet);
          if (isDoubleDot(buffer)) {
            shorten(url);
            if (!slash) url.path.push("");
          } else if (isSingleDot(buffer)) {
            if (!slash) url.path.push("");
          } else {
            if (url.scheme === "file:" && url.path.length === 0 && isWindowsLetter(buffer)) buffer = `${buffer[0]}:`;
            url.path.push(buffer);
          }
          buffer = "";
          if (c === "?") {
            url.query = "";
            state = "query";
          } else if (c === "#") {
            url.fragment = "";
            state = "fragment";
          }
        } else {
          buffer += c;
        }
        break;
      }
      case "opaque path":
        if (c === "?" || c === "#") {
          url.path = encode(buffer, c0);
          buffer = "";
          url[c === "?" ? "query" : "fragment"] = "";
          state = c === "?" ? "query" : "fragment";
        } else if (c !== undefined) {
          buffer += c;
        } else {
          url.path = encode(buffer, c0);
        }
        break;
      case "query":
        if ((override === undefined && c === "#") || c === undefined) {
          url.query += encode(buffer, isSpecial(url.scheme) ? specialQuerySet : querySet);
          buffer = "";
          if (c === "#") {
            url.fragment = "";
            state = "fragment";
          }
        } else {
          buffer += c;
        }
        break;
      case "fragment":
        url.fragment += encode(text.slice(p), fragmentSet);
        return url;
    }
    if (p >= end) return url; // a state may have stepped back
  }
}

function parseText(text, base) {
  const fast = parseFast(text);
  if (fast !== null) return fast;
  let baseParts = null;
  if (base !== undefined) {
    baseParts = parse(toUSVString(base));
    if (baseParts === null) return null;
  }
  return parse(text, baseParts);
}

// ---- URL ----

export let isURL;
let updateQuery;

export class URL {
  #parts;
  #params = undefined;

  constructor(url, base = undefined) {
    requireArguments(arguments.length, 1, "URL constructor");
    const text = toUSVString(url);
    this.#parts = parseText(text, base);
    if (this.#parts === null) throw new TypeError(`Invalid URL string.`);
  }

  static canParse(url, base = undefined) {
    requireArguments(arguments.length, 1, "'canParse' on 'URL'");
    return parseText(toUSVString(url), base) !== null;
  }

  static parse(url, base = undefined) {
    requireArguments(arguments.length, 1, "'parse' on 'URL'");
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }

  get href() {
    return this.#parts.href();
  }

  set href(value) {
    const parts = parse(toUSVString(value));
    if (parts === null) throw new TypeError("Invalid URL string.");
    this.#parts = parts;
    this.#params?.[reload](parts.query ?? "");
  }

  get origin() {
    const { scheme, host, port } = this.#parts;
    if (scheme === "blob:") {
      const inner = parse(this.#parts.pathname());
      return inner !== null && (inner.scheme === "http:" || inner.scheme === "https:") ? `${inner.scheme}//${inner.host}${inner.port === "" ? "" : `:${inner.port}`}` : "null";
    }
    if (!isSpecial(scheme) || scheme === "file:") return "null";
    return `${scheme}//${host}${port === "" ? "" : `:${port}`}`;
  }

  get protocol() {
    return this.#parts.scheme;
  }

  set protocol(value) {
    parse(`${toUSVString(value)}:`, null, this.#parts, "scheme start");
  }

  get username() {
    return this.#parts.username;
  }

  set username(value) {
    const text = toUSVString(value);
    if (this.#canHavePort()) this.#parts.username = encode(text, userinfoSet);
  }

  get password() {
    return this.#parts.password;
  }

  set password(value) {
    const text = toUSVString(value);
    if (this.#canHavePort()) this.#parts.password = encode(text, userinfoSet);
  }

  get host() {
    const { host, port } = this.#parts;
    return host === null ? "" : port === "" ? host : `${host}:${port}`;
  }

  set host(value) {
    const text = toUSVString(value);
    if (!this.#parts.opaque) this.#change(text, "host");
  }

  get hostname() {
    return this.#parts.host ?? "";
  }

  set hostname(value) {
    const text = toUSVString(value);
    if (!this.#parts.opaque) this.#change(text, "hostname");
  }

  get port() {
    return this.#parts.port;
  }

  set port(value) {
    const text = toUSVString(value);
    if (!this.#canHavePort()) return;
    if (text === "") this.#parts.port = "";
    else this.#change(text, "port");
  }

  get pathname() {
    return this.#parts.pathname();
  }

  set pathname(value) {
    const text = toUSVString(value);
    if (this.#parts.opaque) return;
    this.#parts.path = [];
    parse(text, null, this.#parts, "path start");
  }

  get search() {
    const { query } = this.#parts;
    return query === null || query === "" ? "" : `?${query}`;
  }

  set search(value) {
    const text = toUSVString(value);
    if (text === "") {
      this.#parts.query = null;
      this.#params?.[reload]("");
      return;
    }
    const input = text[0] === "?" ? text.slice(1) : text;
    this.#parts.query = "";
    parse(input, null, this.#parts, "query");
    this.#params?.[reload](input);
  }

  get searchParams() {
    if (this.#params === undefined) {
      this.#params = new URLSearchParams(this.#parts.query ?? "");
      this.#params[attach](this);
    }
    return this.#params;
  }

  get hash() {
    const { fragment } = this.#parts;
    return fragment === null || fragment === "" ? "" : `#${fragment}`;
  }

  set hash(value) {
    const text = toUSVString(value);
    if (text === "") {
      this.#parts.fragment = null;
      return;
    }
    this.#parts.fragment = "";
    parse(text[0] === "#" ? text.slice(1) : text, null, this.#parts, "fragment");
  }

  toString() {
    return this.#parts.href();
  }

  toJSON() {
    return this.#parts.href();
  }

  // A setter that fails half-way must leave no trace.
  #change(text, state) {
    const copy = Object.assign(new Parts(), this.#parts);
    if (!copy.opaque) copy.path = [...copy.path];
    const { host } = copy;
    const result = parse(text, null, copy, state);
    // "host:port" with a bad port still sets the host.
    if (result === null && (state === "port" || copy.host === host)) return;
    this.#parts = copy;
  }

  #canHavePort() {
    const { host, scheme } = this.#parts;
    return host !== null && host !== "" && scheme !== "file:";
  }

  static {
    isURL = (value) => isObject(value) && #parts in value;
    updateQuery = (url, query) => {
      url.#parts.query = query === "" ? null : query;
    };
  }
}
defineInterface(URL, "URL");

// ---- URLSearchParams ----

const attach = Symbol("attach"), reload = Symbol("reload");

export function parseForm(text) {
  const pairs = [];
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals), value = equals < 0 ? "" : part.slice(equals + 1);
    pairs.push([decodeForm(name), decodeForm(value)]);
  }
  return pairs;
}

function decodeForm(text) {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") ? native.utf8Decode(percentDecode(spaced), false, true) : spaced;
}

export let isURLSearchParams;

export class URLSearchParams {
  #pairs = [];
  #url = undefined;

  constructor(init = "") {
    if (isObject(init)) {
      const iterator = init[Symbol.iterator];
      if (isURLSearchParams(init) && iterator === URLSearchParams.prototype[Symbol.iterator]) {
        this.#pairs = init.#pairs.map((pair) => [pair[0], pair[1]]);
      } else if (iterator !== undefined && iterator !== null) {
        for (const pair of toSequence(init, (item) => toSequence(item, toUSVString, "The pair"), "URLSearchParams: the argument")) {
          if (pair.length !== 2) throw new TypeError("URLSearchParams: a pair must have two items");
          this.#pairs.push([pair[0], pair[1]]);
        }
      } else {
        for (const key of Reflect.ownKeys(init)) {
          if (!Object.getOwnPropertyDescriptor(init, key)?.enumerable) continue;
          const name = toUSVString(key), value = toUSVString(init[key]);
          const old = this.#pairs.find((pair) => pair[0] === name);
          if (old === undefined) this.#pairs.push([name, value]);
          else old[1] = value;
        }
      }
      return;
    }
    const text = toUSVString(init);
    this.#pairs = parseForm(text[0] === "?" ? text.slice(1) : text);
  }

  [attach](url) {
    this.#url = url;
  }

  [reload](query) {
    this.#pairs = parseForm(query);
  }

  #update() {
    if (this.#url !== undefined) updateQuery(this.#url, this.toString());
  }

  get size() {
    return this.#pairs.length;
  }

  append(name, value) {
    requireArguments(arguments.length, 2, "'append' on 'URLSearchParams'");
    this.#pairs.push([toUSVString(name), toUSVString(value)]);
    this.#update();
  }

  delete(name, value = undefined) {
    requireArguments(arguments.length, 1, "'delete' on 'URLSearchParams'");
    const key = toUSVString(name), only = value === undefined ? undefined : toUSVString(value);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || (only !== undefined && pair[1] !== only));
    this.#update();
  }

  get(name) {
    requireArguments(arguments.length, 1, "'get' on 'URLSearchParams'");
    const key = toUSVString(name);
    for (let i = 0; i < this.#pairs.length; i++) if (this.#pairs[i][0] === key) return this.#pairs[i][1];
    return null;
  }

  getAll(name) {
    requireArguments(arguments.length, 1, "'getAll' on 'URLSearchParams'");
    const key = toUSVString(name);
    return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }

  has(name, value = undefined) {
    requireArguments(arguments.length, 1, "'has' on 'URLSearchParams'");
    const key = toUSVString(name), only = value === undefined ? undefined : toUSVString(value);
    return this.#pairs.some((pair) => pair[0] === key && (only === undefined || pair[1] === only));
  }

  set(name, value) {
    requireArguments(arguments.length, 2, "'set' on 'URLSearchParams'");
    const key = toUSVString(name), text = toUSVString(value);
    const index = this.#pairs.findIndex((pair) => pair[0] === key);
    if (index < 0) {
      this.#pairs.push([key, text]);
    } else {
      this.#pairs[index][1] = text;
      this.#pairs = this.#pairs.filter((pair, i) => i <= index || pair[0] !== key);
    }
    this.#update();
  }

  sort() {
    this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }

  forEach(callback, thisArg = undefined) {
    requireArguments(arguments.length, 1, "'forEach' on 'URLSearchParams'");
    if (typeof callback !== "function") throw new TypeError("URLSearchParams.forEach: the argument is not a function");
    for (let i = 0; i < this.#pairs.length; i++) callback.call(thisArg, this.#pairs[i][1], this.#pairs[i][0], this);
  }

  entries() {
    return pairIterator(() => this.#pairs, (pair) => [pair[0], pair[1]], "URLSearchParams Iterator");
  }

  keys() {
    return pairIterator(() => this.#pairs, (pair) => pair[0], "URLSearchParams Iterator");
  }

  values() {
    return pairIterator(() => this.#pairs, (pair) => pair[1], "URLSearchParams Iterator");
  }

  toString() {
    let out = "";
    for (let i = 0; i < this.#pairs.length; i++)
      out += `${i === 0 ? "" : "&"}${encode(this.#pairs[i][0], formSet, true)}=${encode(this.#pairs[i][1], formSet, true)}`;
    return out;
  }

  static {
    isURLSearchParams = (value) => isObject(value) && #pairs in value;
  }
}
defineInterface(URLSearchParams, "URLSearchParams");
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, {
  value: URLSearchParams.prototype.entries, writable: true, enumerable: false, configurable: true,
});

// Iterators over pairs that may change meanwhile; FormData uses them too.
const arrayIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
const iteratorPrototypes = new Map(), iteratorStates = new WeakMap();
export function pairIterator(pairs, show, tag) {
  let prototype = iteratorPrototypes.get(tag);
  if (prototype === undefined) {
    prototype = Object.create(arrayIteratorPrototype, {
      next: {
        value: function next() {
          const state = iteratorStates.get(this);
          if (state === undefined) throw new TypeError("Illegal invocation");
          const list = state.pairs();
          if (state.index >= list.length) return { value: undefined, done: true };
          return { value: state.show(list[state.index++]), done: false };
        },
        writable: true, enumerable: true, configurable: true,
      },
      [Symbol.toStringTag]: { value: tag, configurable: true },
    });
    iteratorPrototypes.set(tag, prototype);
  }
  const iterator = Object.create(prototype);
  iteratorStates.set(iterator, { pairs, show, index: 0 });
  return iterator;
}
