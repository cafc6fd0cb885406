import { Client } from 'pg'

export type Hyperdrive = { connectionString: string }
export type Post = { id: number; title: string; body: string; created: Date }

const schema = `
  create table if not exists posts (
    id serial primary key,
    title text not null,
    body text not null default '',
    created timestamptz not null default now()
  )`

// A client a request: connecting costs next to nothing, as the pool behind the binding is warm.
export async function withClient<T>(db: Hyperdrive, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: db.connectionString })
  await client.connect()
  try {
    return await work(client)
  } catch (error) {
    if ((error as { code?: string }).code !== '42P01') throw error
    await client.query(schema) // the first request of a new database
    return await work(client)
  } finally {
    await client.end()
  }
}

export const posts = {
  list: async (client: Client, before = 2147483647, count = 20): Promise<Post[]> =>
    (await client.query('select * from posts where id < $1 order by id desc limit $2', [before, count])).rows,
  get: async (client: Client, id: number): Promise<Post | undefined> =>
    (await client.query('select * from posts where id = $1', [id])).rows[0],
  create: async (client: Client, title: string, body: string): Promise<Post> =>
    (await client.query('insert into posts (title, body) values ($1, $2) returning *', [title, body])).rows[0],
  remove: async (client: Client, id: number): Promise<boolean> =>
    (await client.query('delete from posts where id = $1', [id])).rowCount === 1,
}
