// Jobs a second of BullMQ: added one after the other, in bulks of 256, and run by workers that do nothing.
// Environment: SOCKET of the Redis, JOBS.
import { Queue, Worker } from "bullmq";
import Redis from "ioredis";

const jobs = Number(process.env.JOBS);
const connect = () => new Redis({ path: process.env.SOCKET, maxRetriesPerRequest: null });
const data = { site: "x", kind: "posts", target: "nasa", spec: "s".repeat(200) };
const queue = new Queue("bench", { connection: connect() });
await queue.waitUntilReady();

async function timed(name, count, work) {
  const began = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(`${name}: ${Math.round(count / seconds)} a second`);
}

await timed("BullMQ: add, one after the other", jobs, async () => {
  for (let i = 0; i < jobs; i++) await queue.add("job", data, { jobId: `a${i}` });
});
await timed("BullMQ: addBulk of 256", jobs, async () => {
  for (let i = 0; i < jobs; i += 256) {
    const bulk = [];
    for (let k = i; k < Math.min(i + 256, jobs); k++) bulk.push({ name: "job", data, opts: { jobId: `b${k}` } });
    await queue.addBulk(bulk);
  }
});
await timed("BullMQ: a worker, 64 at once", 2 * jobs, async () => {
  let done = 0;
  const worker = new Worker("bench", async () => {}, { connection: connect(), concurrency: 64 });
  await new Promise((resolve) => worker.on("completed", () => ++done === 2 * jobs && resolve()));
  await worker.close();
});
process.exit(0); // its connections stay otherwise
