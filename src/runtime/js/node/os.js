// SPDX-License-Identifier: Apache-2.0
// node:os: what can be said without looking at the machine.

export const EOL = "\n";
export const devNull = "/dev/null";
export const arch = () => "x64";
export const machine = () => "x86_64";
export const platform = () => "linux";
export const type = () => "Linux";
export const release = () => "";
export const version = () => "";
export const hostname = () => "localhost";
export const homedir = () => "/tmp";
export const tmpdir = () => "/tmp";
export const endianness = () => "LE";
export const uptime = () => 0;
export const loadavg = () => [0, 0, 0];
export const totalmem = () => 0;
export const freemem = () => 0;
export const availableParallelism = () => 1;
export const cpus = () => [];
export const networkInterfaces = () => ({});
export const getPriority = () => 0;
export const setPriority = () => {};
export const userInfo = () => ({ uid: -1, gid: -1, username: "", homedir: "/tmp", shell: null });
export const constants = {
  UV_UDP_REUSEADDR: 4,
  dlopen: {},
  errno: {},
  priority: { PRIORITY_LOW: 19, PRIORITY_BELOW_NORMAL: 10, PRIORITY_NORMAL: 0, PRIORITY_ABOVE_NORMAL: -7, PRIORITY_HIGH: -14, PRIORITY_HIGHEST: -20 },
  signals: { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGABRT: 6, SIGFPE: 8, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15 },
};

export default {
  EOL,
  arch,
  availableParallelism,
  constants,
  cpus,
  devNull,
  endianness,
  freemem,
  getPriority,
  homedir,
  hostname,
  loadavg,
  machine,
  networkInterfaces,
  platform,
  release,
  setPriority,
  tmpdir,
  totalmem,
  type,
  uptime,
  userInfo,
  version,
};
