// SPDX-License-Identifier: Apache-2.0
// Windows paths: a root (drive, UNC share, or none) and segments between either slash.

import { invalidArgType, requireString } from "./errors.js";

const slash = /[\\/]/;

// { device: "C:" or "\\\\server\\share" or "", absolute, rest }
function split(path) {
  const unc = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)/.exec(path);
  if (unc) return { device: `\\\\${unc[1]}\\${unc[2]}`, absolute: true, rest: path.slice(unc[0].length) };
  const drive = /^[a-zA-Z]:/.exec(path);
  const device = drive ? drive[0] : "";
  const rest = path.slice(device.length);
  return { device, absolute: slash.test(rest[0] ?? ""), rest };
}

function clean(rest, absolute) {
  const out = [];
  for (const part of rest.split(/[\\/]+/)) {
    if (part === "" || part === ".") continue;
    if (part !== "..") out.push(part);
    else if (out.length > 0 && out.at(-1) !== "..") out.pop();
    else if (!absolute) out.push("..");
  }
  return out.join("\\");
}

function normalize(path) {
  requireString(path, "path");
  if (path === "") return ".";
  const { device, absolute, rest } = split(path);
  let tail = clean(rest, absolute);
  if (tail === "" && !absolute) tail = ".";
  if (tail !== "" && slash.test(path.at(-1)) && rest !== "") tail += "\\";
  return device + (absolute ? "\\" : "") + tail;
}

function isAbsolute(path) {
  requireString(path, "path");
  return split(path).absolute;
}

function join(...paths) {
  for (const path of paths) requireString(path, "path");
  const parts = paths.filter((path) => path !== "");
  if (parts.length === 0) return ".";
  const joined = parts.join("\\");
  // Only a first part that is a share itself makes a share.
  return normalize(/^[\\/]{2}[^\\/]/.test(parts[0]) ? joined : joined.replace(/^[\\/]{2,}/, "\\"));
}

function resolve(...paths) {
  let device = "";
  let tail = "";
  let absolute = false;
  for (let i = paths.length - 1; i >= 0 && !(absolute && device !== ""); i--) {
    requireString(paths[i], `paths[${i}]`);
    if (paths[i] === "") continue;
    const part = split(paths[i]);
    if (part.device !== "" && device !== "" && part.device.toLowerCase() !== device.toLowerCase()) continue;
    device ||= part.device;
    if (!absolute) {
      tail = `${part.rest}\\${tail}`;
      absolute = part.absolute;
    }
  }
  const root = device || "C:";
  return `${root}\\${clean(absolute ? tail : `\\bundle\\${tail}`, true)}`;
}

function dirname(path) {
  requireString(path, "path");
  if (path === "") return ".";
  const { device, absolute, rest } = split(path);
  const trimmed = rest.replace(/[\\/]+$/, "");
  const end = Math.max(trimmed.lastIndexOf("\\"), trimmed.lastIndexOf("/"));
  const root = device + (absolute ? rest.slice(0, 1) : "");
  const head = trimmed.slice(0, Math.max(end, 0)).replace(/[\\/]+$/, "");
  return head === "" ? root || "." : device + head;
}

function basename(path, suffix) {
  requireString(path, "path");
  if (suffix !== undefined) requireString(suffix, "suffix");
  const name = split(path).rest.replace(/[\\/]+$/, "").split(slash).at(-1);
  return suffix !== undefined && name !== suffix && name.endsWith(suffix)
    ? name.slice(0, name.length - suffix.length)
    : name;
}

function extname(path) {
  const name = basename(path);
  const dot = name.lastIndexOf(".");
  return dot <= 0 || name === ".." ? "" : name.slice(dot);
}

function relative(from, to) {
  const a = resolve(from);
  const b = resolve(to);
  const left = a.split("\\").filter(Boolean);
  const right = b.split("\\").filter(Boolean);
  const equal = (i) => left[i].toLowerCase() === right[i].toLowerCase();
  let shared = 0;
  while (shared < left.length && shared < right.length && equal(shared)) shared++;
  if (shared === 0) return b;
  return [...left.slice(shared).fill(".."), ...right.slice(shared)].join("\\");
}

function parse(path) {
  requireString(path, "path");
  const { device, absolute, rest } = split(path);
  const root = device + (absolute ? rest.slice(0, 1) || "\\" : "");
  const base = basename(path);
  const ext = extname(path);
  const parent = dirname(path);
  const dir = base === "" ? root : parent === "." && !/^\.[\\/]/.test(path) ? "" : parent;
  return { root, dir, base, ext, name: base.slice(0, base.length - ext.length) };
}

function format(parts) {
  if (parts === null || typeof parts !== "object") throw invalidArgType("pathObject", "Object", parts);
  const dir = parts.dir || parts.root;
  const ext = parts.ext ? (parts.ext.startsWith(".") ? parts.ext : `.${parts.ext}`) : "";
  const base = parts.base || `${parts.name ?? ""}${ext}`;
  if (!dir) return base;
  return dir === parts.root ? dir + base : `${dir}\\${base}`;
}

function toNamespacedPath(path) {
  if (typeof path !== "string" || path === "") return path;
  const full = resolve(path);
  if (/^\\\\[^?.]/.test(full)) return `\\\\?\\UNC\\${full.slice(2)}`;
  return /^[a-zA-Z]:\\/.test(full) ? `\\\\?\\${full}` : path;
}

export default {
  basename,
  delimiter: ";",
  dirname,
  extname,
  format,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  sep: "\\",
  toNamespacedPath,
};
