import pg from 'pg'
import { HansaError, messageOf } from '../../process/errors.ts'
import { type Database, type Row, type Sql, Turns } from './database.ts'
import { migrations } from './migrations.ts'

export type PostgresOptions = {
  host: string
  port: number
  database: string
  user: string
  password?: string | undefined
  /** Authorities (PEM) that the server's certificate must be of; undefined: those of the system. `false`: no TLS at all. */
  tls: { caPem?: string | undefined } | false
}

/** Any number that nothing else in the same database uses: "hansa" in ASCII, and 1 for the ledger. */
const lockKey = '448311681889'
const bigint = 20

/**
 * Connects with one session, which holds an advisory lock until it ends: a second writer is refused. When the session is lost nothing can be
 * written any more, because another may hold the lock. A number in the database, which each new writer raises and each transaction compares,
 * stops a writer also where a pooler gave it another session.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { tls, ...where } = options
  const client = new pg.Client({
    ...where,
    ssl: tls === false ? false : { ...(tls.caPem === undefined ? {} : { ca: tls.caPem }), minVersion: 'TLSv1.2' },
    application_name: 'hansa-ledger',
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    lock_timeout: 10_000,
    idle_in_transaction_session_timeout: 60_000,
    // The server's own limit should come first; this one is for a server that is gone without a word.
    query_timeout: 40_000,
    keepAlive: true,
    types: { getTypeParser: (oid: number) => (oid === bigint ? Number : (value: string) => value) },
  })
  const at = `${options.host}:${options.port}/${options.database}`
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined) // whoever waits for it hears of it
  let isLost: HansaError | undefined
  const lose = (cause: unknown): HansaError => {
    isLost ??= new HansaError('LedgerFenced', `the session with the database ${at} is lost: ${messageOf(cause)}`, {
      retry: 'never',
      hint: 'The process ends, and starts again with what was committed.',
      cause,
    })
    reject(isLost)
    return isLost
  }
  client.on('error', lose)
  client.on('end', () => lose(new Error('the connection ended')))

  const sql: Sql = async (text, ...values) => {
    const { rows } = await client.query<Row>({ text: numbered(text), values: [...values] })
    return rows
  }
  const turns = new Turns()
  let writer = 0
  // The row stays locked until the commit, so that who wants to be the next writer waits for it.
  const confirmWriter = async () => {
    const [held] = await sql('SELECT number FROM hansa_ledger.writer FOR SHARE')
    if (held?.number !== writer) throw lose(new Error('another process has become the writer'))
  }
  const transaction = async <T>(work: (sql: Sql) => Promise<T>): Promise<T> => {
    if (isLost !== undefined) throw isLost
    try {
      await sql('BEGIN')
      let hasWritten = false
      const result = await work((text, ...values) => {
        hasWritten ||= !text.startsWith('SELECT')
        return sql(text, ...values)
      })
      if (hasWritten) await confirmWriter()
      await sql('COMMIT')
      return result
    } catch (error) {
      if (isLost !== undefined) throw isLost
      // An answer of the server has a SQLSTATE; without one nobody knows what became of the statement.
      if (error instanceof Error && !isAnswer(error) && isOfDriver(error)) throw lose(error)
      await sql('ROLLBACK').catch((cause: unknown) => {
        throw lose(cause)
      })
      throw error
    }
  }

  try {
    await client.connect()
    await takeLock(sql, at)
    await migrate(sql, at)
    const [raised] = await sql('UPDATE hansa_ledger.writer SET number = number + 1 RETURNING number')
    writer = Number(raised?.number)
  } catch (error) {
    await client.end().catch(() => undefined) // it is the first failure that counts
    throw error instanceof HansaError ? error : unreachable(at, error)
  }
  return {
    transaction: (work) => turns.take(() => transaction(work)),
    scrub: () =>
      turns.take(async () => {
        if (isLost === undefined) await sql('VACUUM hansa_ledger.salts')
      }),
    lost,
    close: () =>
      turns.take(async () => {
        isLost ??= new HansaError('LedgerClosed', 'the ledger is closed', { retry: 'never' })
        await client.end()
      }),
  }
}

async function takeLock(sql: Sql, at: string): Promise<void> {
  const [row] = await sql(`SELECT pg_try_advisory_lock(${lockKey})::text AS held`)
  if (row?.held === 'true') return
  throw new HansaError('LedgerInUse', `another process writes the ledger in ${at}`, {
    hint: 'Only one may write. Wait for it to end, or see who it is: pg_stat_activity, application hansa-ledger.',
  })
}

async function migrate(sql: Sql, at: string): Promise<void> {
  await sql('CREATE SCHEMA IF NOT EXISTS hansa_ledger')
  await sql('SET search_path TO hansa_ledger')
  await sql('CREATE TABLE IF NOT EXISTS hansa_ledger.version (number BIGINT NOT NULL)')
  const [row] = await sql('SELECT COALESCE(MAX(number), 0) AS number FROM hansa_ledger.version')
  const version = Number(row?.number)
  if (version > migrations.length) {
    throw new HansaError('LedgerTooNew', `the ledger in ${at} was written by a newer version of Hansa (${version})`, {
      retry: 'never',
      hint: 'Run that version again; there is no way back.',
    })
  }
  for (const [index, statements] of migrations.entries()) {
    if (index < version) continue
    await sql('BEGIN')
    for (const statement of statements) await sql(dialect(statement))
    if (index === 0) {
      await sql('CREATE TABLE hansa_ledger.writer (number BIGINT NOT NULL)')
      await sql('INSERT INTO hansa_ledger.writer VALUES (0)')
    }
    await sql('INSERT INTO hansa_ledger.version VALUES (?)', index + 1)
    await sql('COMMIT')
  }
}

const dialect = (statement: string) =>
  statement.replaceAll(' INTEGER', ' BIGINT').replaceAll(' TEXT', ' TEXT COLLATE "C"')

/** `?` as PostgreSQL wants it: $1, $2, ... */
function numbered(text: string): string {
  let count = 0
  return text.replaceAll('?', () => {
    count += 1
    return `$${count}`
  })
}

/** Whether the server said it: its errors have a SQLSTATE, and those of class 57P and 08 end the session. */
function isAnswer(error: Error): boolean {
  return error instanceof pg.DatabaseError && !/^(57P|08)/.test(error.code ?? '')
}

/** Errors of our own code leave the session as it is. */
function isOfDriver(error: Error): boolean {
  return !(error instanceof HansaError || error instanceof RangeError || error instanceof TypeError)
}

function unreachable(at: string, cause: unknown): HansaError {
  return new HansaError('LedgerUnreachable', `the database ${at} cannot be used: ${messageOf(cause)}`, {
    hint: 'See whether it runs, and whether address, user, password and certificate authority are right.',
    cause,
  })
}
