// SPDX-License-Identifier: Apache-2.0
// A blog: sign up, sign in, write, edit, publish, read. Prisma's edge client, unmodified.
import { Prisma, PrismaClient } from "@prisma/client/edge";
import { withAccelerate } from "@prisma/extension-accelerate";
import { Hono } from "hono";
import { sign, verify } from "hono/jwt";

import { hashPassword, isPassword } from "./passwords";

type Env = { Bindings: { DATABASE_URL: string; JWT_SECRET: string }; Variables: { userId: string } };

const prismaOf = (url: string) => new PrismaClient({ datasourceUrl: url }).$extends(withAccelerate());

const app = new Hono<Env>();

const text = (value: unknown, max: number): value is string => typeof value === "string" && value !== "" && value.length <= max;
const wrong = (error: string) => ({ error });

app.post("/api/v1/user/signup", async (c) => {
  const { email, name, password } = await c.req.json();
  if (!text(email, 320) || !email.includes("@") || !text(password, 200)) return c.json(wrong("email and password are needed"), 400);
  const prisma = prismaOf(c.env.DATABASE_URL);
  try {
    const user = await prisma.user.create({ data: { email, name, password: await hashPassword(password) } });
    return c.json({ id: user.id, jwt: await sign({ id: user.id }, c.env.JWT_SECRET, "HS256") }, 201);
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002")
      return c.json(wrong("this address has an account already"), 409);
    throw error;
  }
});

app.post("/api/v1/user/signin", async (c) => {
  const { email, password } = await c.req.json();
  const user = text(email, 320) ? await prismaOf(c.env.DATABASE_URL).user.findUnique({ where: { email } }) : null;
  if (!user || !text(password, 200) || !(await isPassword(password, user.password)))
    return c.json(wrong("wrong address or password"), 403);
  return c.json({ id: user.id, jwt: await sign({ id: user.id }, c.env.JWT_SECRET, "HS256") });
});

app.use("/api/v1/blog/*", async (c, next) => {
  if (c.req.method === "GET") return next();
  try {
    const token = (c.req.header("authorization") ?? "").replace(/^Bearer /i, "");
    c.set("userId", String((await verify(token, c.env.JWT_SECRET, "HS256")).id));
  } catch {
    return c.json(wrong("sign in first"), 401);
  }
  return next();
});

app.post("/api/v1/blog", async (c) => {
  const { title, content } = await c.req.json();
  if (!text(title, 200) || !text(content, 100_000)) return c.json(wrong("title and content are needed"), 400);
  const post = await prismaOf(c.env.DATABASE_URL).post.create({ data: { title, content, authorId: c.get("userId") } });
  return c.json({ id: post.id }, 201);
});

// What is kept of a post is kept under this name.
const tagOf = (id: string) => `post_${id.replaceAll("-", "_")}`;

// Edits and publishes; only one's own.
app.put("/api/v1/blog/:id", async (c) => {
  const { title, content, published } = await c.req.json();
  const prisma = prismaOf(c.env.DATABASE_URL);
  const { count } = await prisma.post.updateMany({
    where: { id: c.req.param("id"), authorId: c.get("userId") },
    data: { title, content, published },
  });
  await prisma.$accelerate.invalidate({ tags: [tagOf(c.req.param("id"))] });
  return count === 0 ? c.json(wrong("you have no such post"), 404) : c.json({ id: c.req.param("id") });
});

// What is published: ?page=, from 1, ten on each.
app.get("/api/v1/blog/bulk", async (c) => {
  const page = Math.max(1, Number(c.req.query("page")) || 1), size = 10;
  const prisma = prismaOf(c.env.DATABASE_URL), where = { published: true };
  const [posts, total] = await prisma.$transaction([
    prisma.post.findMany({
      where,
      orderBy: [{ title: "asc" }, { id: "asc" }], // each on one page, also where titles are the same
      skip: (page - 1) * size,
      take: size,
      select: { id: true, title: true, author: { select: { name: true } } },
    }),
    prisma.post.count({ where }),
  ]);
  return c.json({ posts, page, pages: Math.ceil(total / size) });
});

app.get("/api/v1/blog/:id", async (c) => {
  const post = await prismaOf(c.env.DATABASE_URL).post.findFirst({
    where: { id: c.req.param("id"), published: true },
    select: { id: true, title: true, content: true, author: { select: { name: true } } },
    cacheStrategy: { ttl: 60, tags: [tagOf(c.req.param("id"))] },
  });
  return post ? c.json(post) : c.json(wrong("there is no such post"), 404);
});

export default app;
