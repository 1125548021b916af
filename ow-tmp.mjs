import { run } from './test/bench/owners-200.ts'
const [o,s,t]=process.argv.slice(2).map(Number)
console.log(await run((l) => console.log(l), { owners: o, services: s, trickle: t }))
