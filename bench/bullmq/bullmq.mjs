// Jobs a second of BullMQ: added one after the other, in bulks, and run by workers that do nothing.
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
const bulks = [16, 64, 256];
for (const size of bulks)
  await timed(`BullMQ: addBulk of ${size}`, jobs, async () => {
    for (let i = 0; i < jobs; i += size) {
      const bulk = [];
      for (let k = i; k < Math.min(i + size, jobs); k++)
        bulk.push({ name: "job", data, opts: { jobId: `b${size}.${k}` } });
      await queue.addBulk(bulk);
    }
  });
const all = (1 + bulks.length) * jobs;
await timed("BullMQ: a worker, 64 at once", all, async () => {
  let done = 0;
  const worker = new Worker("bench", async () => {}, { connection: connect(), concurrency: 64 });
  await new Promise((resolve) => worker.on("completed", () => ++done === all && resolve()));
  await worker.close();
});
process.exit(0); // its connections stay otherwise
