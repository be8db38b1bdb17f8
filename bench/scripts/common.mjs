// What the four scripts share: the job's shape, a pool of jobs, and what it cost.
//
// A script exports nothing; it calls measure({ name, open, job }): open() starts the browser and
// returns it, job(browser) does one job and returns the ids it has read. One line of name=value
// pairs goes to stdout, with the same names as those of the C program `reference`.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

export const settings = {
  site: process.env.SITE,
  handle: process.env.HANDLE || 'practice_500',
  posts: Number(process.env.POSTS || 100),
  jobs: Number(process.env.JOBS || 20),
  atOnce: Number(process.env.AT_ONCE || 1),
  binary: process.env.CHROMIUM || '/usr/lib/chromium/chromium-headless-shell',
  idsFile: process.env.IDS,
};
export const url = `${settings.site}/${settings.handle}`;
export const viewport = { width: 1280, height: 2000 };
// The flag that saves most is given to everybody.
export const flags = ['--blink-settings=imagesEnabled=false'];
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Runs in the page: the ids of the posts that stand in the list now. Advertisements have no link.
export function readDom() {
  return Array.from(document.querySelectorAll('article[data-testid="tweet"]'), (article) => {
    const time = article.querySelector('a[href*="/status/"] time');
    return time ? time.parentElement.getAttribute('href').split('/').pop() : null;
  }).filter(Boolean);
}

// Runs in the page: to the end of the list, and once more when the list has grown.
export function askForMore() {
  const root = document.documentElement;
  const from = root.scrollHeight;
  const go = () => {
    window.scrollTo(0, Math.max(0, root.scrollHeight - window.innerHeight - 400));
    window.scrollTo(0, root.scrollHeight);
  };
  const grown = new ResizeObserver(() => {
    if (root.scrollHeight > from) {
      grown.disconnect();
      go();
    }
  });
  go();
  grown.observe(root);
}

// The ids of the posts in an answer of UserTweets.
export function idsIn(answer) {
  const find = (value) => {
    if (!value || typeof value !== 'object') return null;
    if (Array.isArray(value.instructions)) return value.instructions;
    for (const member of Object.values(value)) {
      const found = find(member);
      if (found) return found;
    }
    return null;
  };
  return (find(answer) || [])
    .flatMap((step) => [...(step.entry ? [step.entry] : []), ...(step.entries || [])])
    .map((entry) => entry.entryId)
    .filter((id) => id.startsWith('tweet-'))
    .map((id) => id.slice('tweet-'.length));
}

// The job as a careful person writes it with either library: the page's own answers are read as
// they come, and each asks for the next. Both libraries have these calls.
export async function readAnswers(page) {
  const ids = new Set();
  let nudge;
  try {
    await new Promise((done, failed) => {
      const more = () => {
        clearTimeout(nudge);
        nudge = setTimeout(more, 1000);
        page.evaluate(askForMore).catch(() => {}); // the page may be closing
      };
      page.on('response', (response) => {
        if (!response.url().includes('/UserTweets?')) return;
        response
          .json()
          .then((answer) => {
            for (const id of idsIn(answer)) if (ids.size < settings.posts) ids.add(id);
            if (ids.size < settings.posts) more();
            else done();
          })
          .catch((error) => {
            if (ids.size < settings.posts) failed(error);
          });
      });
      page.goto(url, { waitUntil: 'domcontentloaded' }).then(() => {
        if (ids.size < settings.posts) nudge = setTimeout(more, 1000);
      }, failed);
    });
  } finally {
    clearTimeout(nudge);
  }
  return ids;
}

// The job as it is usually written: scroll a little, wait a little, read what is there.
export async function readScrolling(page) {
  const ids = new Set();
  await page.goto(url);
  await page.waitForSelector('article[data-testid="tweet"]');
  for (;;) {
    for (const id of await page.evaluate(readDom)) if (ids.size < settings.posts) ids.add(id);
    if (ids.size >= settings.posts) return ids;
    await page.evaluate(() => window.scrollBy(0, window.innerHeight * 0.9));
    await sleep(250);
  }
}

// Processes below this one: the browser. CPU in ms, with that of children waited for; PSS in MB.
function browserCost(withMemory) {
  const all = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'latin1');
      const field = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const ticks = field.slice(11, 15).reduce((sum, n) => sum + Number(n), 0);
      all.set(Number(name), { parent: Number(field[1]), ticks });
    } catch {
      // it ended meanwhile
    }
  }
  const below = (pid) => {
    for (let p = all.get(pid); p; p = all.get(p.parent)) if (p.parent === process.pid) return true;
    return false;
  };
  let cpu = 0, pss = 0, processes = 0;
  for (const [pid, p] of all) {
    if (!below(pid)) continue;
    processes++;
    cpu += p.ticks * 10; // USER_HZ is 100 on every Linux that runs Chromium
    if (withMemory) pss += pssOf(pid);
  }
  return { cpu, pss, processes };
}

function pssOf(pid) {
  try {
    return Number(/^Pss: *(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))[1]) / 1024;
  } catch {
    return 0;
  }
}

async function settle(processes) {
  let cost = browserCost(false);
  for (let turn = 0; turn < 150 && cost.processes > processes; turn++) {
    await sleep(20);
    cost = browserCost(false);
  }
  return cost;
}

async function runJobs(browser, job, count, atOnce, onHalf) {
  const took = [];
  let begun = 0, last;
  const lane = async () => {
    while (begun < count) {
      begun++;
      const from = performance.now();
      last = await job(browser, () => took.push(performance.now() - from));
      if (took.length === Math.floor(count / 2)) onHalf();
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane));
  return { took, last };
}

const percentile = (sorted, p) => sorted[Math.max(0, Math.ceil((sorted.length * p) / 100) - 1)];

// job(browser, counted) calls counted() when all posts are read, before it closes its context.
export async function measure({ name, open, job }) {
  const { jobs, atOnce } = settings;
  const browser = await open();
  const idle = browserCost(false).processes;
  await runJobs(browser, job, atOnce, atOnce, () => {});
  const before = await settle(idle);
  const ownBefore = process.cpuUsage();
  const from = performance.now();
  let pss = 0, own = 0;
  const { took, last } = await runJobs(browser, job, jobs, atOnce, () => {
    pss = browserCost(true).pss;
    own = pssOf('self');
  });
  const seconds = (performance.now() - from) / 1000;
  const ownCpu = process.cpuUsage(ownBefore);
  const after = await settle(before.processes);
  await browser.close();
  if (settings.idsFile) writeFileSync(settings.idsFile, [...last, ''].join('\n'));
  took.sort((a, b) => a - b);
  console.log(
    `program=${name} jobs=${jobs} at_once=${atOnce} browsers=1 seconds=${seconds.toFixed(2)}` +
      ` jobs_per_min=${((jobs * 60) / seconds).toFixed(1)}` +
      ` median_ms=${percentile(took, 50).toFixed(0)} p95_ms=${percentile(took, 95).toFixed(0)}` +
      ` browser_cpu_ms=${((after.cpu - before.cpu) / jobs).toFixed(0)}` +
      ` own_cpu_ms=${((ownCpu.user + ownCpu.system) / 1000 / jobs).toFixed(1)}` +
      ` browser_pss_mb=${pss.toFixed(0)} own_pss_mb=${own.toFixed(1)}`,
  );
}
