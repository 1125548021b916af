import { expect, test } from 'vitest'
import { createWorld } from '../../../test/fault/placement-day/world.ts'

/** Mulberry32: small, seeded, good enough to shake things. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const second = 15

test.each([
  1, 2, 3,
])('over a day of load workers spill to peers and come home, and hardly any moves (seed %i)', (seed) => {
  const random = randomOf(seed)
  const world = createWorld(['city', 'university'])
  const wanted: number[] = []
  let [short, steps, changes, most] = [0, 0, 0, 0]
  for (let at = 0; at < 86_400; at += second) {
    const hour = at / 3600
    // From 2 at night to 8 at noon, with noise; as the scaler has it: up at once, down after five minutes.
    const load = Math.max(1, Math.round(5 - 3.5 * Math.cos((hour / 24) * 2 * Math.PI) + (random() - 0.5) * 1.5))
    wanted.push(load)
    const total = Math.max(...wanted.slice(-20))
    if (total !== (Math.max(...wanted.slice(-21, -1)) || total)) changes++
    // The university lends nothing from 9 to 11; a pod of somebody else takes one of our GPUs now and then.
    const lends = hour >= 9 && hour < 11 ? Math.min(3, world.at('university')) : 3
    const own = 4 - (random() < 0.02 ? 1 : 0)
    world.step(second, total, { own, city: 2, university: lends })
    steps++
    if (world.ready() < total) short += second
    most = Math.max(most, total)
  }
  expect(most).toBeGreaterThan(6)
  // At night everything is at home again.
  expect([world.at('city'), world.at('university')]).toEqual([0, 0])
  expect({ moves: world.moves, asked: world.asked, changes, short, steps }).toMatchObject({
    moves: expect.toSatisfy((moves: number) => moves <= 12),
    asked: expect.toSatisfy((asked: number) => asked <= 3 * changes + 24),
  })
})

test('nobody leaves before another is ready, and they come home only to room that lasts', () => {
  const world = createWorld(['city'])
  const room = { own: 2, city: 4 }
  for (let i = 0; i < 20; i++) world.step(second, 2, room)
  expect([world.at('own'), world.at('city'), world.ready()]).toEqual([2, 0, 2])
  for (let i = 0; i < 12; i++) {
    world.step(second, 4, room)
    expect(world.ready()).toBeGreaterThanOrEqual(2)
  }
  expect([world.at('own'), world.at('city'), world.ready()]).toEqual([2, 2, 4])
  // Room for one look alone is no room.
  world.step(second, 4, { own: 4, city: 4 })
  for (let i = 0; i < 8; i++) world.step(second, 4, room)
  expect([world.at('own'), world.at('city')]).toEqual([2, 2])
  for (let i = 0; i < 24; i++) {
    world.step(second, 4, { own: 4, city: 4 })
    expect(world.ready()).toBeGreaterThanOrEqual(4)
  }
  expect([world.at('own'), world.at('city'), world.ready()]).toEqual([4, 0, 4])
})

test('who refused is asked again after pauses that double, and others are asked meanwhile', () => {
  const world = createWorld(['city', 'university'])
  for (let i = 0; i < 8; i++) world.step(second, 3, { own: 1, city: 0, university: 8 })
  expect(world.at('university')).toBe(2)
  const askedSoon = world.asked
  for (let i = 0; i < 240; i++) world.step(second, 3, { own: 1, city: 0, university: 8 })
  expect(world.asked - askedSoon).toBeLessThanOrEqual(1)
  // Nobody has room: the requests stand, and are repeated ever more seldom.
  const before = world.asked
  for (let i = 0; i < 240; i++) world.step(second, 6, { own: 1, city: 0, university: 2 })
  expect(world.asked - before).toBeLessThanOrEqual(2 * 8)
})
