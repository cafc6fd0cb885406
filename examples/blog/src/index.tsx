import { Hono } from 'hono'
import { type Hyperdrive, posts, withClient } from './database'
import { ListPage, PostPage } from './page'

const app = new Hono<{ Bindings: { DB: Hyperdrive } }>()

const TITLE_MAX = 200

// A post from what came in, or what is wrong with it.
function check(input: Record<string, unknown>): { title: string; body: string } | string {
  const { title, body = '' } = input
  if (typeof title !== 'string' || title.trim() === '') return 'A post needs a title.'
  if (title.length > TITLE_MAX) return `A title can have ${TITLE_MAX} characters.`
  if (typeof body !== 'string') return 'The body is a text.'
  return { title: title.trim(), body }
}

const idOf = (text: string) => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0)

// ---- pages ----

app.get('/', (c) => withClient(c.env.DB, async (client) => c.html(<ListPage posts={await posts.list(client)} />)))

app.post('/posts', (c) =>
  withClient(c.env.DB, async (client) => {
    const post = check(await c.req.parseBody())
    if (typeof post === 'string') return c.html(<ListPage posts={await posts.list(client)} problem={post} />, 400)
    await posts.create(client, post.title, post.body)
    return c.redirect('/', 303)
  }),
)

app.get('/posts/:id', (c) =>
  withClient(c.env.DB, async (client) => {
    const post = await posts.get(client, idOf(c.req.param('id')))
    return post ? c.html(<PostPage post={post} />) : c.notFound()
  }),
)

// ---- the same as JSON ----

app.get('/api/posts', (c) =>
  withClient(c.env.DB, async (client) => c.json(await posts.list(client, idOf(c.req.query('before') ?? '') || undefined))),
)

app.post('/api/posts', async (c) => {
  const input = await c.req.json().catch(() => undefined)
  const post = check(typeof input === 'object' && input !== null ? input : {})
  if (typeof post === 'string') return c.json({ error: post }, 400)
  return withClient(c.env.DB, async (client) => c.json(await posts.create(client, post.title, post.body), 201))
})

app.get('/api/posts/:id', (c) =>
  withClient(c.env.DB, async (client) => {
    const post = await posts.get(client, idOf(c.req.param('id')))
    return post ? c.json(post) : c.json({ error: 'There is no such post.' }, 404)
  }),
)

app.delete('/api/posts/:id', (c) =>
  withClient(c.env.DB, async (client) =>
    (await posts.remove(client, idOf(c.req.param('id')))) ? c.body(null, 204) : c.json({ error: 'There is no such post.' }, 404),
  ),
)

export default app
