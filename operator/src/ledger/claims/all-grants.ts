import type { Grant, LedgerStore, Side } from '../store/store.ts'

const pageSize = 500

/** All grants of one side, page by page. */
export async function* allGrants(store: LedgerStore, side: Side): AsyncGenerator<Grant> {
  let after: Grant | undefined
  for (;;) {
    const page = await store.grants({ side, limit: pageSize, ...(after !== undefined && { after }) })
    yield* page
    after = page.at(-1)
    if (page.length < pageSize) return
  }
}
