/** What is known before anything is loaded. */
export type SessionWish = {
  /** `spec.sessions`; undefined: as many as CPUs and memory allow. */
  readonly wanted: number | undefined
  readonly provider: 'CPU' | 'CUDA'
  /** CPUs of the container; undefined when nobody said how many it may use. */
  readonly cpus: number | undefined
  readonly availableCpus: number
}

const mostSessions = 64
/** A worker that was promised no CPUs takes no more than this of a large node. */
const mostUnpromised = 4

/**
 * Sessions to hope for: one for each CPU, since two sessions of one thread do more than one of two threads; one on a GPU,
 * whose memory and time nothing divides.
 */
export function sessionsWished({ wanted, provider, cpus, availableCpus }: SessionWish): number {
  if (wanted !== undefined) return wanted
  if (provider === 'CUDA') return 1
  const most = cpus === undefined ? Math.min(availableCpus, mostUnpromised) : cpus
  return Math.max(1, Math.min(mostSessions, Math.floor(most)))
}

export type MemoryFigures = {
  /** What the container may use. */
  readonly limitBytes: number
  /** Resident size of the worker itself, and what it may hold of bodies beside. */
  readonly workerBytes: number
  readonly bufferBytes: number
  /** Resident size of the first session with the model loaded and run. */
  readonly sessionBytes: number
}

/** Larger batches and the allocator's slack want more than the size after the first runs. */
const growth = 1.25

/** Sessions that fit the memory, at least 1. */
export function sessionsThatFit(figures: MemoryFigures): number {
  const left = figures.limitBytes - figures.workerBytes - figures.bufferBytes
  return Math.max(1, Math.floor(left / (figures.sessionBytes * growth)))
}

/** Threads of each session. */
export function threadsOf(cpus: number, sessions: number): number {
  return Math.max(1, Math.floor(cpus / sessions))
}
