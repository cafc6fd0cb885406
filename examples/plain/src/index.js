import motto from "./motto.txt";
import add from "./add.wasm";

let lastRun = null;

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/":
        return new Response(`${env.NAME}: ${motto}`);
      case "/settings":
        return Response.json(env.SETTINGS);
      case "/add": {
        const { exports } = new WebAssembly.Instance(add);
        const a = Number(url.searchParams.get("a")), b = Number(url.searchParams.get("b"));
        return new Response(String(exports.add(a, b)));
      }
      case "/later":
        ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 10)).then(() => console.log("later is now")));
        return new Response("answered");
      case "/last-run":
        return Response.json({ lastRun });
      default:
        return new Response("Not found", { status: 404 });
    }
  },

  async scheduled(controller, env, ctx) {
    lastRun = { cron: controller.cron, scheduledTime: controller.scheduledTime };
    console.log(`scheduled ${controller.cron}`);
  },
};
