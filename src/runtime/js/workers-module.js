// SPDX-License-Identifier: Apache-2.0
// The module "cloudflare:workers".

import { current } from "./context.js";

let environment = {};

export function setEnvironment(env) {
  environment = env;
}

// Base of classes that C's frames reach: `export default class extends WorkerEntrypoint`.
export class WorkerEntrypoint {
  constructor(ctx, env) {
    Object.defineProperty(this, "ctx", { value: ctx, writable: true, configurable: true });
    Object.defineProperty(this, "env", { value: env, writable: true, configurable: true });
  }
}

export class DurableObject {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class WorkflowEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class RpcTarget {}

export function workersModule() {
  return {
    env: environment,
    WorkerEntrypoint,
    DurableObject,
    WorkflowEntrypoint,
    RpcTarget,
    waitUntil(promise) {
      const owner = current();
      if (owner === undefined) throw new Error("waitUntil() needs a request");
      owner.waitUntil(promise);
    },
  };
}
