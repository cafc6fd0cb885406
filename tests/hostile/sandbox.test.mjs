// SPDX-License-Identifier: Apache-2.0
// What native code inside an instance is refused: the worker issues system calls itself (a build with
// -Dtest_hooks=true), as an exploit of the engine would.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { dev, project, worker } from "../e2e/lib.mjs";

const EPERM = -1, ENOSYS = -38, EBADF = -9;

// x86-64 numbers. Each must be refused before the kernel looks at its arguments.
const refused = {
  open: [2, "/etc/passwd", 0],
  openat: [257, -100, "/etc/passwd", 0],
  openat2: [437, -100, "/etc/passwd", 0, 24],
  creat: [85, "/tmp/x", 0o600],
  socket: [41, 2, 1, 0],
  socketpair: [53, 1, 1, 0, new Uint8Array(8)],
  connect: [42, 3, new Uint8Array(16), 16],
  bind: [49, 3, new Uint8Array(16), 16],
  accept4: [288, 3, 0, 0, 0],
  sendmsg: [46, 3, new Uint8Array(56), 0],
  recvmsg: [47, 3, new Uint8Array(56), 0],
  execve: [59, "/bin/sh", 0, 0],
  execveat: [322, -100, "/bin/sh", 0, 0, 0],
  fork: [57],
  vfork: [58],
  clone: [56, 17, 0, 0, 0, 0],
  "clone with a namespace": [56, 0x10000000 | 17, 0, 0, 0, 0],
  ptrace: [101, 0, 1, 0, 0],
  kill: [62, 1, 9],
  "kill of all": [62, -1, 9],
  tkill: [200, 1, 9],
  "tgkill of the template": [234, 1, 1, 9],
  process_vm_readv: [310, 1, 0, 0, 0, 0, 0],
  process_vm_writev: [311, 1, 0, 0, 0, 0, 0],
  pidfd_open: [434, 1, 0],
  pidfd_getfd: [438, 3, 0, 0],
  kcmp: [312, 1, 1, 0, 0, 0],
  unshare: [272, 0x10000000],
  setns: [308, 3, 0],
  mount: [165, "none", "/", "tmpfs", 0, 0],
  umount2: [166, "/", 0],
  pivot_root: [155, ".", "."],
  chroot: [161, "/"],
  chdir: [80, "/"],
  mkdir: [83, "/x", 0o700],
  unlink: [87, "/x"],
  readlink: [89, "/proc/self/exe", new Uint8Array(64), 64],
  stat: [4, "/etc/passwd", new Uint8Array(256)],
  "stat by path": [262, -100, "/etc/passwd", new Uint8Array(256), 0],
  getdents64: [217, 3, new Uint8Array(256), 256],
  getcwd: [79, new Uint8Array(64), 64],
  memfd_create: [319, "x", 0],
  ioctl: [16, 0, 0x5401, 0],
  fcntl: [72, 3, 1],
  dup: [32, 3],
  setuid: [105, 0],
  setrlimit: [160, 9, new Uint8Array(16)],
  prlimit64: [302, 0, 9, new Uint8Array(16), 0],
  "prctl PR_SET_DUMPABLE": [157, 4, 1],
  "prctl PR_SET_SECCOMP": [157, 22, 0],
  seccomp: [317, 1, 0, 0],
  bpf: [321, 0, 0, 0],
  perf_event_open: [298, 0, 0, 0, 0, 0],
  io_uring_setup: [425, 1, new Uint8Array(128)],
  userfaultfd: [323, 0],
  keyctl: [250, 0, 0],
  add_key: [248, "user", "x", 0, 0, 0],
  init_module: [175, 0, 0, ""],
  kexec_load: [246, 0, 0, 0, 0],
  reboot: [169, 0, 0, 0, 0],
  swapon: [167, "/x", 0],
  sethostname: [170, "x", 1],
  syslog: [103, 3, new Uint8Array(64), 64],
  shmget: [29, 0, 4096, 0o1600],
  msgget: [68, 0, 0o1600],
  name_to_handle_at: [303, -100, "/", new Uint8Array(64), new Uint8Array(8), 0],
  open_by_handle_at: [304, -100, new Uint8Array(64), 0],
  wait4: [61, -1, 0, 1, 0],
  timer_create: [222, 0, 0, new Uint8Array(8)],
};

const source = (cases) => `
const cases = ${cases};
export default { async fetch(request) {
  const url = new URL(request.url);
  if (url.pathname === "/calls") {
    const results = {};
    for (const name of Object.keys(cases)) results[name] = weirTest.syscall(...cases[name]());
    return Response.json(results);
  }
  if (url.pathname === "/fds") {
    const open = [];
    for (let fd = 0; fd < 256; fd++) if (weirTest.syscall(8, fd, 0, 1) !== ${EBADF}) open.push(fd);
    return Response.json(open);
  }
  if (url.pathname === "/crash") { weirTest.syscall(234, weirTest.syscall(39), weirTest.syscall(186), 6); return new Response("alive"); }
  if (url.pathname === "/ring") {
    const offset = Number(url.searchParams.get("offset")), value = Number(url.searchParams.get("value"));
    weirTest.ring(offset, value);
    return new Response("scribbled");
  }
  return new Response("fine");
} }`;

const show = (value) =>
  value instanceof Uint8Array ? `new Uint8Array(${value.length})` : typeof value === "string" ? JSON.stringify(value) : String(value);
const literal = `{${Object.entries(refused)
  .map(([name, call]) => `${JSON.stringify(name)}: () => [${call.map(show).join(", ")}]`)
  .join(",")}}`;

async function hostile(run) {
  const made = project(worker(source(literal)));
  const server = await dev(made.dir).catch((error) => {
    made.remove();
    throw error;
  });
  try {
    await run(server);
  } finally {
    await server.stop();
    made.remove();
  }
}
process.env.WEIR_TEST_HOOKS = "1";

test("every call that reaches beyond computing is refused", () =>
  hostile(async ({ fetch }) => {
    const results = await (await fetch("/calls")).json();
    assert.equal(Object.keys(results).length, Object.keys(refused).length);
    for (const [name, result] of Object.entries(results))
      assert.ok(result === EPERM || result === ENOSYS, `${name} gave ${result}`);
    assert.equal(await (await fetch("/")).text(), "fine");
  }));

test("nothing is inherited but standard streams and the bells", () =>
  hostile(async ({ fetch }) => {
    // The first instance has one more until it has answered and is idle: by it it says so (hot_pages.h).
    let open = await (await fetch("/fds")).json();
    assert.ok(open.length <= 10, `open: ${open}`);
    for (let tries = 0; open.length > 9 && tries < 20; tries++) {
      await new Promise((done) => setTimeout(done, 50));
      open = await (await fetch("/fds")).json();
    }
    assert.ok(open.length <= 9, `open: ${open}`);
  }));

test("a crash of the engine is answered and hurts nobody else", () =>
  hostile(async ({ fetch, weir }) => {
    await fetch("/");
    const crash = await fetch("/crash");
    assert.equal(crash.status, 500);
    assert.match(await crash.text(), /crashed \(signal 6\)/);
    assert.equal(await (await fetch("/")).text(), "fine");
    await weir.waitFor("signal 6");
  }));

test("scribbling over the ring ends the scribbler alone", () =>
  hostile(async ({ fetch }) => {
    // Both rings' shared indices, then frame headers. Whatever comes of the request itself, the next works.
    const half = 4096 + 1024 * 1024;
    for (const base of [4096 - 256, 4096 - 192, 4096, half + 4096 - 256, half + 4096 - 192, half + 4096])
      for (const value of [0xffffffff, 0x7ffffff0, 8, 1]) {
        const controller = new AbortController();
        const timer = setTimeout(() => controller.abort(), 1500);
        await fetch(`/ring?offset=${base}&value=${value}`, { signal: controller.signal }).then((r) => r.text(), () => {});
        clearTimeout(timer);
        let text;
        for (let tries = 0; tries < 60 && text !== "fine"; tries++) {
          text = await fetch("/").then((r) => r.text(), () => "");
          if (text !== "fine") await new Promise((done) => setTimeout(done, 100));
        }
        assert.equal(text, "fine", `after ${value.toString(16)} at ${base}`);
      }
  }));

test("nothing is left behind", async () => {
  let dir;
  await hostile(async ({ fetch }) => {
    await fetch("/");
    dir = true;
  });
  assert.ok(dir);
  const left = spawnSync("pgrep", ["-fc", "weir-test-"]).stdout.toString().trim();
  assert.equal(left, "0");
});
