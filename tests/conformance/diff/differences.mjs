// SPDX-License-Identifier: Apache-2.0
// Reasons that several cases give.

const page = "workerd alone has no error page; ours names the code and the request, as Cloudflare's edge does";
export const errorPage = { body: page, "header content-type": page, "header cache-control": page };

export const engineMessage = "the message is the engine's: V8 and JavaScriptCore have different words";
