import { html } from 'hono/html'
import type { Child } from 'hono/jsx'
import type { Post } from './database'

const style = `
  :root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
  body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
  article { border-top: 1px solid #8884; padding: .5rem 0; }
  h2 { margin: .3rem 0; font-size: 1.15rem; }
  time { color: #888; font-size: .85rem; }
  form { display: grid; gap: .5rem; margin: 1rem 0 2rem; }
  input, textarea, button { font: inherit; padding: .5rem; border-radius: .4rem; border: 1px solid #8888; }
  .problem { color: #c33; }
`

const Layout = ({ title, children }: { title: string; children: Child }) => html`<!doctype html>${(
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width" />
      <title>{title}</title>
      <style>{style}</style>
    </head>
    <body>{children}</body>
  </html>
)}`

const Article = ({ post }: { post: Post }) => (
  <article>
    <h2>
      <a href={`/posts/${post.id}`}>{post.title}</a>
    </h2>
    <time>{post.created.toISOString().slice(0, 16).replace('T', ' ')}</time>
    <p>{post.body}</p>
  </article>
)

export const ListPage = ({ posts, problem }: { posts: Post[]; problem?: string }) => (
  <Layout title="Blog">
    <h1>Blog</h1>
    <form method="post" action="/posts">
      {problem && <p class="problem">{problem}</p>}
      <input name="title" placeholder="Title" aria-label="Title" maxlength={200} />
      <textarea name="body" rows={4} placeholder="What is new?" aria-label="Text" />
      <button>Publish</button>
    </form>
    {posts.length === 0 ? <p>Nothing has been written yet.</p> : posts.map((post) => <Article post={post} />)}
  </Layout>
)

export const PostPage = ({ post }: { post: Post }) => (
  <Layout title={post.title}>
    <p>
      <a href="/">All posts</a>
    </p>
    <Article post={post} />
  </Layout>
)
