import { Hono } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { cors } from 'hono/cors'
import { etag } from 'hono/etag'
import { jwt, sign } from 'hono/jwt'
import { stream, streamSSE } from 'hono/streaming'
import { Page } from './page'

type Env = { Bindings: { GREETING: string; JWT_SECRET: string } }

const app = new Hono<Env>()

app.get('/', (c) => c.html(<Page greeting={c.env.GREETING} visits={getCookie(c, 'visits') ?? '0'} />))

app.use('/api/*', cors())
app.get('/api/greet/:name', (c) => c.json({ message: `${c.env.GREETING}, ${c.req.param('name')}!` }))
app.post('/api/echo', async (c) => c.json(await c.req.json()))

app.get('/stream', (c) =>
  stream(c, async (out) => {
    for (let i = 1; i <= 5; i++) {
      await out.writeln(`line ${i}`)
      await out.sleep(100)
    }
  }),
)

app.get('/events', (c) =>
  streamSSE(c, async (out) => {
    for (let i = 1; i <= 3; i++) await out.writeSSE({ id: String(i), event: 'tick', data: `tick ${i}` })
  }),
)

app.post('/form', async (c) => {
  const form = await c.req.parseBody()
  return c.text(`You wrote: ${form.text}`)
})

app.get('/visit', (c) => {
  const visits = Number(getCookie(c, 'visits') ?? 0) + 1
  setCookie(c, 'visits', String(visits), { path: '/', httpOnly: true, sameSite: 'Lax' })
  return c.text(`visit ${visits}`)
})
app.get('/forget', (c) => {
  deleteCookie(c, 'visits', { path: '/' })
  return c.redirect('/')
})

app.use('/cached', etag())
app.get('/cached', (c) => c.text('the same every time'))

app.get('/login', async (c) => c.json({ token: await sign({ sub: 'visitor' }, c.env.JWT_SECRET, 'HS256') }))
app.use('/private/*', (c, next) => jwt({ secret: c.env.JWT_SECRET, alg: 'HS256' })(c, next))
app.get('/private/me', (c) => c.json(c.get('jwtPayload')))

app.get('/fail', () => {
  throw new Error('this route always fails')
})

app.notFound((c) => c.text('There is nothing here.', 404))

export default app
