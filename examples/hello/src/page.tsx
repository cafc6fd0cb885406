import type { FC } from 'hono/jsx'

export const Page: FC<{ greeting: string; visits: string }> = ({ greeting, visits }) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>Hello from weir</title>
      <style>{'body { font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 10vh auto; padding: 0 1rem }'}</style>
    </head>
    <body>
      <h1>{greeting} from a Worker</h1>
      <p>
        This page is JSX, rendered by Hono in a process of its own. Visits so far: {visits} (<a href="/visit">one more</a>,{' '}
        <a href="/forget">forget</a>).
      </p>
      <form method="post" action="/form">
        <input name="text" placeholder="Say something" /> <button>Send</button>
      </form>
    </body>
  </html>
)
